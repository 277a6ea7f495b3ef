// What the address of the hunt page may say. The whole view is in it: a link reproduces the page.

import type { SearchSchemaInput } from '@tanstack/react-router'

import { type Range, readRange } from '~/url/range'
import { listOf, type SearchInput, textOf } from '~/url/text'

export const DEFAULT_RANGE: Range = { from: 'now-1h', to: 'now' }
export const DEFAULT_COLUMNS: readonly string[] = ['host.name', 'message']

export interface HuntSearch {
  q: string
  from: string
  to: string
  /** Fields shown as columns after the time. */
  columns: string[]
  /** The event whose details are open. */
  event?: string | undefined
  /** Whether new events are followed. */
  live?: 'on' | undefined
}

export type HuntSearchInput = Partial<HuntSearch> & SearchSchemaInput

export function readHuntSearch(input: SearchInput): HuntSearch {
  const columns = listOf(input['columns'], 30)
  const event = textOf(input['event'], 64)
  return {
    q: textOf(input['q']),
    ...readRange(textOf(input['from'], 64), textOf(input['to'], 64), DEFAULT_RANGE),
    columns: columns.length > 0 ? columns : [...DEFAULT_COLUMNS],
    event: /^[0-9a-f]{32}$/.test(event) ? event : undefined,
    live: textOf(input['live']) === 'on' ? 'on' : undefined,
  }
}

/** What the address need not say because it is so anyway. */
export function shortHuntSearch(search: HuntSearch): Partial<HuntSearch> {
  const isDefaultRange = search.from === DEFAULT_RANGE.from && search.to === DEFAULT_RANGE.to
  const isDefaultColumns = search.columns.join('\n') === DEFAULT_COLUMNS.join('\n')
  return {
    ...(search.q ? { q: search.q } : {}),
    ...(isDefaultRange ? {} : { from: search.from, to: search.to }),
    ...(isDefaultColumns ? {} : { columns: search.columns }),
    ...(search.event ? { event: search.event } : {}),
    ...(search.live ? { live: search.live } : {}),
  }
}
