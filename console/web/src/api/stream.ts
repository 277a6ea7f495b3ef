// Server-sent events as the answer to a POST, which the browser's own EventSource cannot ask for.

import i18next from 'i18next'

import { currentLanguage } from '~/i18n'
import { readError } from './client'
import { ApiError } from './errors'

/** Calls `take` with the name and the data of each message until the server ends the answer. */
export async function follow(
  path: string,
  body: unknown,
  signal: AbortSignal,
  take: (name: string, data: string) => void
): Promise<void> {
  const request = new Request(new URL(path, window.location.origin), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream', 'Accept-Language': currentLanguage() },
    body: JSON.stringify(body),
    signal,
  })
  const response = await globalThis.fetch(request).catch((error: unknown) => {
    throw signal.aborted ? error : new ApiError(0, i18next.t('common.offline'), 'offline')
  })
  if (!response.ok) throw await readError(response)
  if (!response.body) return
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const messages = (rest + value).split('\n\n')
    rest = messages.pop() ?? ''
    for (const message of messages) {
      const lines = message.split('\n')
      const of = (field: string) =>
        lines.filter((line) => line.startsWith(`${field}:`)).map((line) => line.slice(field.length + 1).replace(/^ /, ''))
      const data = of('data')
      if (data.length > 0) take(of('event')[0] ?? 'message', data.join('\n'))
    }
  }
}
