// What the delivery page asks of the server.

import { keepPreviousData, queryOptions } from '@tanstack/react-query'

import { fetchClient, type Schemas } from '~/api/client'
import { type DeliverySearch, SPAN_MS } from './filter'

export type Line = Schemas['LedgerLineView']
export type Gap = Schemas['LedgerGapView']

const PATH = '/api/v1/ledger'

/** All senders, or one of them hour by hour. The span is the cache key; its end is the moment of asking. */
export const ledger = (span: DeliverySearch['span'], source?: string) =>
  queryOptions({
    queryKey: ['get', PATH, { span, source }] as const,
    queryFn: async ({ signal }) => {
      const from = new Date(Date.now() - SPAN_MS[span]).toISOString()
      const query = source === undefined ? { from } : { from, source }
      const { data } = await fetchClient.GET(PATH, { params: { query }, signal })
      if (!data) throw new Error('the ledger is empty')
      return data
    },
    placeholderData: keepPreviousData,
    refetchInterval: 5_000,
  })
