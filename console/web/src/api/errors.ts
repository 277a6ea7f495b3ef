// What the server says when it cannot do what was asked, as an `Error` that pages can show.

import type { Problem } from '~/ui/problem'

/** A failed request. `status` is 0 when there was no answer at all. */
export class ApiError extends Error implements Problem {
  override readonly name = 'ApiError'

  constructor(
    readonly status: number,
    message: string,
    /** Stable name of the message, for example `query_invalid`. */
    readonly code: string,
    readonly details: Record<string, unknown> = {},
    readonly requestId?: string
  ) {
    super(message)
  }

  /** A number of the details, if it is there. */
  number(name: string): number | undefined {
    const value = this.details[name]
    const number = typeof value === 'string' ? Number(value) : value
    return typeof number === 'number' && Number.isFinite(number) ? number : undefined
  }

  text(name: string): string | undefined {
    const value = this.details[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
}

export function isApiError(error: unknown): error is ApiError {
  return error instanceof ApiError
}
