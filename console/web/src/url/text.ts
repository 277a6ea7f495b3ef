// Reads values of the URL, where anybody may have written anything.

export type SearchInput = Record<string, unknown>

export function textOf(value: unknown, max = 16 * 1024): string {
  const first: unknown = Array.isArray(value) ? value[0] : value
  return typeof first === 'string' || typeof first === 'number' ? String(first).slice(0, max) : ''
}

export function listOf(value: unknown, max = 100): string[] {
  const all: unknown[] = Array.isArray(value) ? value : [value]
  const texts = all.filter((each): each is string => typeof each === 'string' && each !== '')
  return [...new Set(texts)].slice(0, max)
}

export function oneOf<T extends string>(value: unknown, allowed: readonly T[], otherwise: T): T {
  const text = textOf(value)
  return allowed.find((each) => each === text) ?? otherwise
}
