// What the address of the delivery page may say.

import type { SearchSchemaInput } from '@tanstack/react-router'

import { oneOf, type SearchInput, textOf } from '~/url/text'

export const SPANS = ['h1', 'h24', 'd7', 'd30'] as const

/** Milliseconds of each span. */
export const SPAN_MS = { h1: 3_600_000, h24: 86_400_000, d7: 604_800_000, d30: 2_592_000_000 } as const

export interface DeliverySearch {
  span: (typeof SPANS)[number]
  q: string
  /** The sender whose hours are open. */
  source?: string | undefined
}

export type DeliverySearchInput = Partial<DeliverySearch> & SearchSchemaInput

export function readDeliverySearch(input: SearchInput): DeliverySearch {
  const source = textOf(input['source'], 400)
  return {
    span: oneOf(input['span'], SPANS, 'h24'),
    q: textOf(input['q'], 400),
    source: source || undefined,
  }
}

export function shortDeliverySearch(search: DeliverySearch): Partial<DeliverySearch> {
  return {
    ...(search.span === 'h24' ? {} : { span: search.span }),
    ...(search.q ? { q: search.q } : {}),
    ...(search.source ? { source: search.source } : {}),
  }
}
