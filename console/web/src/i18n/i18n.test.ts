import { describe, expect, test } from 'vitest'

import { en } from './en'
import { vi } from './vi'

/** Every text by the path of its key. */
function texts(part: object, path = ''): Map<string, string> {
  const found = new Map<string, string>()
  for (const [key, value] of Object.entries(part)) {
    const name = path ? `${path}.${key}` : key
    if (typeof value === 'string') found.set(name, value)
    else for (const [inner, text] of texts(value as object, name)) found.set(inner, text)
  }
  return found
}

function places(text: string): string[] {
  return [...text.matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name ?? '').toSorted()
}

const english = texts(en)
const vietnamese = texts(vi)

describe('both languages', () => {
  test('have the same keys; Vietnamese needs no singular', () => {
    const keys = [...english.keys()].filter((key) => !key.endsWith('_one'))
    expect([...vietnamese.keys()].toSorted()).toEqual(keys.toSorted())
  })

  test('have the same places for values', () => {
    const differing = [...vietnamese].filter(([key, text]) => places(text).join() !== places(english.get(key) ?? '').join())
    expect(differing).toEqual([])
  })

  test('have no empty text', () => {
    expect([...english, ...vietnamese].filter(([, text]) => text.trim() === '')).toEqual([])
  })
})
