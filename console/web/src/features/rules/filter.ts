// What the address of the list of rules may say.

import type { SearchSchemaInput } from '@tanstack/react-router'

import { oneOf, type SearchInput, textOf } from '~/url/text'
import type { Rule } from './queries'

/** `changed` are rules that somebody decided about and that are others since. */
export const CHOICES = ['all', 'enabled', 'disabled', 'needs_review', 'changed'] as const
export type Choice = (typeof CHOICES)[number]

export interface RuleSearch {
  q?: string | undefined
  state?: Choice | undefined
}

export type RuleSearchInput = RuleSearch & SearchSchemaInput

export function readRuleSearch(input: SearchInput): RuleSearch {
  const q = textOf(input['q'], 400)
  const state = oneOf(input['state'], CHOICES, 'all')
  return { ...(q ? { q } : {}), ...(state === 'all' ? {} : { state }) }
}

/** Rules that only feed others are parts of these; they are found by name, and not listed beside them. */
export function matching(rules: Rule[], { q = '', state = 'all' }: RuleSearch): Rule[] {
  const wanted = q.trim().toLowerCase()
  return rules.filter((rule) => {
    if (!fits(rule, state)) return false
    if (!wanted) return !rule.quiet
    return [rule.title, rule.id, rule.file, rule.level, ...rule.tags].some((text) => text.toLowerCase().includes(wanted))
  })
}

function fits(rule: Rule, state: Choice): boolean {
  if (state === 'all') return true
  if (rule.quiet) return false
  return state === 'changed' ? rule.review?.changed === true : rule.state === state
}
