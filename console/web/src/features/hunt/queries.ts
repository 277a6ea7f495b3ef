// What the hunt page asks of the server. The query and the range, both already absolute, are the cache key.

import { infiniteQueryOptions, keepPreviousData } from '@tanstack/react-query'

import { $api, fetchClient } from '~/api/client'
import type { Bounds } from '~/url/range'

export interface Hunt {
  q: string
  from: string
  to: string
}

const EVENTS_PATH = '/api/v1/events'
const PAGE_LEN = 200
const BARS = 90
const TOP_LEN = 10

export function huntOf(q: string, { fromMs, toMs }: Bounds): Hunt {
  return { q: q.trim(), from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() }
}

export const eventPages = (hunt: Hunt) =>
  infiniteQueryOptions({
    queryKey: ['get', EVENTS_PATH, hunt] as const,
    queryFn: async ({ pageParam, signal }) => {
      const query = { ...hunt, limit: PAGE_LEN, ...(pageParam === '' ? {} : { before: pageParam }) }
      const { data } = await fetchClient.GET(EVENTS_PATH, { params: { query }, signal })
      if (!data) throw new Error('the page of events is empty')
      return data
    },
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
    staleTime: Infinity,
  })

/** The newest event that matches, whatever its time. */
export const newestEvent = (q: string) =>
  $api.queryOptions('get', EVENTS_PATH, {
    params: { query: { q: q.trim(), from: '1970-01-01T00:00:00Z', to: '2262-01-01T00:00:00Z', limit: 1 } },
  })

export const histogram = (hunt: Hunt) =>
  $api.queryOptions(
    'get',
    '/api/v1/events/histogram',
    { params: { query: { ...hunt, buckets: BARS } } },
    { placeholderData: keepPreviousData, staleTime: Infinity }
  )

export const foundFields = (hunt: Hunt) =>
  $api.queryOptions(
    'get',
    '/api/v1/events/fields',
    { params: { query: hunt } },
    { placeholderData: keepPreviousData, staleTime: Infinity }
  )

export const topValues = (hunt: Hunt, field: string) =>
  $api.queryOptions(
    'get',
    '/api/v1/events/top',
    { params: { query: { ...hunt, field, limit: TOP_LEN } } },
    { staleTime: Infinity }
  )

/** All of one event; lists cut long texts. */
export const eventById = (id: string) =>
  $api.queryOptions('get', '/api/v1/events/{id}', { params: { path: { id } } }, { staleTime: Infinity })

export const catalogue = () => $api.queryOptions('get', '/api/v1/fields', {}, { staleTime: Infinity })

/** Whether a query of the cache is one of a hunt, which Escape may stop. */
export function isHuntQuery({ queryKey }: { queryKey: readonly unknown[] }): boolean {
  return typeof queryKey[1] === 'string' && queryKey[1].startsWith(EVENTS_PATH)
}
