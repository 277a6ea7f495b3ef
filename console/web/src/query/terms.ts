// Writes hunt queries: names and values quoted so that the server reads them back as they are, and filters put in and
// taken out. What a query means is the server's business; this only has to find where one condition ends.

/** Letters that need no quotes in a name or a value. Everything else has or may get a meaning. */
const BARE = /^[A-Za-z0-9_][A-Za-z0-9_.@-]*$/
const WORDS_WITH_MEANING = new Set(['AND', 'OR', 'NOT', 'TO'])

function quoted(text: string): string {
  return `"${text.replace(/[\\"]/g, (sign) => `\\${sign}`)}"`
}

export function quoteName(name: string): string {
  return BARE.test(name) || /^@timestamp$/.test(name) ? name : quoted(name)
}

export function quoteValue(value: string): string {
  return BARE.test(value) && !WORDS_WITH_MEANING.has(value.toUpperCase()) ? value : quoted(value)
}

/** A value of an event as a query writes it; `null` when there is nothing to ask for. */
export function valueText(value: unknown): string | null {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return null
}

export function term(field: string, value: string): string {
  // An empty value cannot be asked for by words; it is there but nothing is in it.
  return `${quoteName(field)}:${quoteValue(value)}`
}

export function existsTerm(field: string): string {
  return `${quoteName(field)}:*`
}

/**
 * The conditions of a query that all must hold, as they are written. `null` when they are joined by OR at the outermost
 * level or when brackets or quotes do not close: then the query must be kept whole.
 */
export function conditions(query: string): string[] | null {
  const found: string[] = []
  let depth = 0
  let now = ''
  let at = 0
  while (at < query.length) {
    const sign = query.charAt(at)
    if (sign === '\\') {
      now += query.slice(at, at + 2)
      at += 2
      continue
    }
    if (sign === '"' || (sign === '/' && (now === '' || now.endsWith(':') || now.endsWith('(')))) {
      const end = closing(query, at)
      if (end < 0) return null
      now += query.slice(at, end + 1)
      at = end + 1
      continue
    }
    if ('([{'.includes(sign)) depth += 1
    if (')]}'.includes(sign)) depth -= 1
    if (depth < 0) return null
    if (depth === 0 && /\s/.test(sign)) {
      if (now && !now.endsWith(':')) {
        found.push(now)
        now = ''
      }
    } else {
      now += sign
    }
    at += 1
  }
  if (depth !== 0) return null
  if (now) found.push(now)
  return joined(found)
}

/** Where the quotes or slashes that open at `start` close; -1 when they do not. */
function closing(query: string, start: number): number {
  const sign = query.charAt(start)
  for (let at = start + 1; at < query.length; at += 1) {
    if (query.charAt(at) === '\\') at += 1
    else if (query.charAt(at) === sign) return at
  }
  return -1
}

function joined(parts: string[]): string[] | null {
  const found: string[] = []
  let not = ''
  for (const part of parts) {
    if (part === 'OR' || part === '||') return null
    if (part === 'AND' || part === '&&') continue
    if (part === 'NOT' || part === '!') {
      not += 'NOT '
      continue
    }
    const bare = part.startsWith('!') ? `NOT ${part.slice(1)}` : part
    found.push(not + bare)
    not = ''
  }
  return not ? null : found
}

function withCondition(query: string, wanted: string, unwanted: string): string {
  const trimmed = query.trim()
  if (trimmed === '') return wanted
  const all = conditions(trimmed)
  if (all === null) return `(${trimmed}) ${wanted}`
  if (all.includes(wanted)) return trimmed
  const at = all.indexOf(unwanted)
  if (at < 0) return `${trimmed} ${wanted}`
  return all.with(at, wanted).join(' ')
}

/** The query narrowed to events whose field has the value. A filter that says the opposite is replaced. */
export function filterIn(query: string, field: string, value: string): string {
  const wanted = term(field, value)
  return withCondition(query, wanted, `NOT ${wanted}`)
}

/** The query without the events whose field has the value. */
export function filterOut(query: string, field: string, value: string): string {
  const unwanted = term(field, value)
  return withCondition(query, `NOT ${unwanted}`, unwanted)
}

/** The query narrowed to events that have the field. */
export function filterExists(query: string, field: string): string {
  const wanted = existsTerm(field)
  return withCondition(query, wanted, `NOT ${wanted}`)
}

/** Parts of an event that are asked for like fields. */
const PSEUDO_FIELDS = new Set(['@timestamp', 'received', 'class', 'product', 'service', 'category', 'id', 'issue'])
const ATTR_PREFIX = 'attrs.'

/** The name by which a query means an attribute, also when a field of the catalogue has the same name. */
export function attrField(name: string, catalogue: ReadonlySet<string>): string {
  const taken = catalogue.has(name) || PSEUDO_FIELDS.has(name) || name.startsWith(ATTR_PREFIX)
  return taken ? ATTR_PREFIX + name : name
}

/** The name of the attribute that a field name means, if it is written with the prefix. */
export function attrOf(field: string): string | null {
  return field.startsWith(ATTR_PREFIX) ? field.slice(ATTR_PREFIX.length) : null
}
