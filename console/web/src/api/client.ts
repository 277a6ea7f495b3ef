// The one way to the server. Types come from the API description (`npm run codegen`).

import i18next from 'i18next'
import createFetchClient, { type Middleware } from 'openapi-fetch'
import createClient from 'openapi-react-query'

import { currentLanguage } from '~/i18n'
import { ApiError } from './errors'
import type { components, paths } from './schema'

export type Schemas = components['schemas']

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Reads the body of a refusal. A proxy in between may answer with something else entirely. */
export async function readError(response: Response): Promise<ApiError> {
  const error: unknown = await response.json().catch(() => null)
  if (!isRecord(error) || typeof error['message'] !== 'string') {
    const message = i18next.t('common.unexpected', { status: response.status })
    return new ApiError(response.status, message, 'unexpected')
  }
  const { message, code, details, request_id: requestId } = error
  return new ApiError(
    response.status,
    message,
    typeof code === 'string' ? code : 'unexpected',
    isRecord(details) ? details : {},
    typeof requestId === 'string' ? requestId : undefined
  )
}

const middleware: Middleware = {
  onRequest({ request }) {
    // Messages of the server come in the language of the page, whatever the browser is set to.
    request.headers.set('Accept-Language', currentLanguage())
    return request
  },
  async onResponse({ response }) {
    if (!response.ok) throw await readError(response)
    return undefined
  },
  onError({ error }) {
    if (error instanceof ApiError) return error
    if (error instanceof DOMException && error.name === 'AbortError') return error
    return new ApiError(0, i18next.t('common.offline'), 'offline')
  },
}

export const fetchClient = createFetchClient<paths>({
  baseUrl: window.location.origin,
  // Looked up at each call, so that it can be replaced.
  fetch: (request) => globalThis.fetch(request),
})
fetchClient.use(middleware)

export const $api = createClient(fetchClient)
