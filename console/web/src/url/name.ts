// The address of a list that has a search box and nothing else.

import type { SearchSchemaInput } from '@tanstack/react-router'

import { type SearchInput, textOf } from './text'

export interface NameSearch {
  q?: string | undefined
}

export type NameSearchInput = NameSearch & SearchSchemaInput

export function readNameSearch(input: SearchInput): NameSearch {
  const q = textOf(input['q'], 400)
  return q ? { q } : {}
}
