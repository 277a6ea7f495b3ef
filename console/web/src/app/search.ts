// The URL's search part as plain texts, so that a link can be read and typed. A name that repeats is a list.

export type SearchText = Record<string, string | string[]>

export function parseSearch(text: string): SearchText {
  const search: SearchText = {}
  for (const [name, value] of new URLSearchParams(text)) {
    const before = search[name]
    search[name] = before === undefined ? value : [before, value].flat()
  }
  return search
}

export function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(search)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== '') params.append(name, String(each))
    }
  }
  const text = params.toString()
  return text ? `?${text}` : ''
}
