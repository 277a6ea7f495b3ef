// Values of an event under the names that a query uses.

import type { Schemas } from '~/api/client'
import { attrOf } from '~/query/terms'

export type Event = Schemas['EventView']

/** What an event has in a column; `undefined` when it has nothing there. */
export function valueOf(event: Event, field: string): unknown {
  const attr = attrOf(field)
  if (attr !== null) return event.attrs[attr]
  switch (field) {
    case 'message':
      return event.message
    case 'id':
      return event.id
    case 'class':
      return event.class
    case '@timestamp':
      return event.time
    case 'received':
      return event.received
    case 'product':
      return event.logsource.product ?? undefined
    case 'service':
      return event.logsource.services
    case 'category':
      return event.logsource.categories
    case 'issue':
      return event.issues.map((issue) => issue.kind)
    default:
      return event.fields[field] ?? event.attrs[field]
  }
}

/** The single values of a value: the members of a list, or itself. */
export function singles(value: unknown): unknown[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value.flatMap(singles) : [value]
}

/** One value as people read it. */
export function singleText(value: unknown): string {
  if (typeof value === 'string') return value
  return value === null ? '∅' : JSON.stringify(value)
}
