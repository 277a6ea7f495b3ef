// What the address of the alert queue may say.

import type { SearchSchemaInput } from '@tanstack/react-router'

import { LEVELS, STATUSES } from '~/ui/Severity'
import { oneOf, type SearchInput, textOf } from '~/url/text'

export const STATUS_CHOICES = ['all', ...STATUSES] as const
export const LEVEL_CHOICES = ['all', ...LEVELS] as const

export interface AlertSearch {
  status: (typeof STATUS_CHOICES)[number]
  level: (typeof LEVEL_CHOICES)[number]
  q: string
  /** The alert that the keyboard is on. */
  alert?: string | undefined
  /** Whether its details are open. */
  view?: 'open' | undefined
}

export type AlertSearchInput = Partial<AlertSearch> & SearchSchemaInput

export function readAlertSearch(input: SearchInput): AlertSearch {
  const alert = textOf(input['alert'], 20)
  const known = /^\d+$/.test(alert)
  return {
    status: oneOf(input['status'], STATUS_CHOICES, 'open'),
    level: oneOf(input['level'], LEVEL_CHOICES, 'all'),
    q: textOf(input['q'], 400),
    alert: known ? alert : undefined,
    view: known && textOf(input['view']) === 'open' ? 'open' : undefined,
  }
}

export function shortAlertSearch(search: AlertSearch): Partial<AlertSearch> {
  return {
    ...(search.status === 'open' ? {} : { status: search.status }),
    ...(search.level === 'all' ? {} : { level: search.level }),
    ...(search.q ? { q: search.q } : {}),
    ...(search.alert ? { alert: search.alert } : {}),
    ...(search.view ? { view: search.view } : {}),
  }
}
