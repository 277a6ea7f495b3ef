// The server as a test wants it: answers at the network boundary, and a record of what was asked.

import { vi } from 'vitest'

import type { Schemas } from '~/api/client'

export interface Asked {
  method: string
  path: string
  params: URLSearchParams
  body: unknown
  language: string | null
}

type Answer = (asked: Asked) => unknown

/** An answer that is no success. */
export class Refusal {
  constructor(
    readonly status: number,
    readonly message: string,
    readonly code = 'internal',
    readonly details?: Schemas['ErrorDetails']
  ) {}
}

const SIGNED_IN: Schemas['SessionView'] = {
  state: 'signed_in',
  version: '0.1.0',
  user: { name: 'an', role: 'admin' },
  preferences: { language: 'en', theme: 'dark', time_zone: 'Asia/Ho_Chi_Minh' },
}

export class MockApi {
  readonly asked: Asked[] = []
  private readonly answers = new Map<string, Answer>()

  constructor() {
    this.on('GET /session', SIGNED_IN)
    vi.stubGlobal('fetch', (request: Request) => this.fetch(request))
  }

  /** Sets the answer of a route such as `GET /alerts/7`. A function gets what was asked. */
  on(route: string, answer: unknown): this {
    this.answers.set(route, typeof answer === 'function' ? (answer as Answer) : () => answer)
    return this
  }

  /** What was asked of a route, in order. */
  of(route: string): Asked[] {
    return this.asked.filter(({ method, path }) => `${method} ${path}` === route)
  }

  private async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const path = url.pathname.replace(/^\/api\/v1/, '')
    const text = await request.text()
    const asked: Asked = {
      method: request.method,
      path,
      params: url.searchParams,
      body: text ? JSON.parse(text) : undefined,
      language: request.headers.get('Accept-Language'),
    }
    this.asked.push(asked)
    const given = this.answers.get(`${request.method} ${path}`)
    const answer = given ? given(asked) : new Refusal(404, 'not mocked')
    if (answer instanceof Error) throw answer
    if (answer instanceof Refusal) {
      const { status, message, code, details } = answer
      return Response.json({ code, message, request_id: 'r-1', ...(details ? { details } : {}) }, { status })
    }
    return answer === null ? new Response(null, { status: 204 }) : Response.json(answer)
  }
}
