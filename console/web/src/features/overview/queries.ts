// What the overview asks of the server, again and again while it is open.

import { keepPreviousData } from '@tanstack/react-query'

import { $api } from '~/api/client'

const MINUTE_MS = 60_000
/** One hour as the server cuts it: with this many minutes, the bars are one minute wide. */
const MINUTES = 59
const REFRESH_MS = 10_000

/** The last hour up to the minute of `nowMs`, so that the key changes once a minute and not at each look. */
export const overviewQuery = (nowMs: number) => {
  const to = Math.ceil(nowMs / MINUTE_MS) * MINUTE_MS
  const range = { from: new Date(to - MINUTES * MINUTE_MS).toISOString(), to: new Date(to).toISOString() }
  return $api.queryOptions(
    'get',
    '/api/v1/overview',
    { params: { query: range } },
    { placeholderData: keepPreviousData, refetchInterval: REFRESH_MS }
  )
}

export const newestAlertsQuery = () =>
  $api.queryOptions(
    'get',
    '/api/v1/alerts',
    { params: { query: { limit: 8 } } },
    { refetchInterval: REFRESH_MS }
  )

export const agentsQuery = () => $api.queryOptions('get', '/api/v1/agents', {}, { refetchInterval: REFRESH_MS })
