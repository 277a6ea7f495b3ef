// Points in time as people read and type them: `dd/MM/yyyy HH:mm:ss` in the reader's zone. Nothing here reads the
// clock; whoever needs "now" passes it in.

const formatters = new Map<string, Intl.DateTimeFormat>()

function formatter(zone: string): Intl.DateTimeFormat {
  const known = formatters.get(zone)
  if (known) return known
  const made = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  })
  formatters.set(zone, made)
  return made
}

interface Wall {
  year: string
  month: string
  day: string
  hour: string
  minute: string
  second: string
}

function wall(ms: number, zone: string): Wall {
  const parts = { year: '0000', month: '00', day: '00', hour: '00', minute: '00', second: '00' }
  for (const part of formatter(zone).formatToParts(ms)) {
    if (part.type in parts) parts[part.type as keyof Wall] = part.value
  }
  parts.year = parts.year.padStart(4, '0')
  return parts
}

/** Whether the browser knows this zone name. */
export function isZone(zone: string): boolean {
  try {
    formatter(zone)
    return true
  } catch {
    return false
  }
}

/** Milliseconds since 1970 of an ISO 8601 text, or `null`. */
export function parseIso(text: string | null | undefined): number | null {
  if (!text) return null
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? null : ms
}

/** `dd/MM/yyyy HH:mm:ss` in the zone. */
export function formatDateTime(ms: number, zone: string): string {
  const at = wall(ms, zone)
  return `${at.day}/${at.month}/${at.year} ${at.hour}:${at.minute}:${at.second}`
}

/** `dd/MM/yyyy HH:mm:ss.SSS` in the zone. */
export function formatDateTimeMs(ms: number, zone: string): string {
  const millis = ((Math.floor(ms) % 1000) + 1000) % 1000
  return `${formatDateTime(ms, zone)}.${String(millis).padStart(3, '0')}`
}

/** `HH:mm:ss` in the zone. */
export function formatTime(ms: number, zone: string): string {
  return formatDateTime(ms, zone).slice(11)
}

/** A tick of a time axis: as short as the distance between ticks allows. */
export function formatTick(ms: number, zone: string, stepMs: number): string {
  const at = wall(ms, zone)
  if (stepMs >= 86_400_000) return `${at.day}/${at.month}`
  if (at.hour === '00' && at.minute === '00' && at.second === '00') return `${at.day}/${at.month}`
  if (stepMs >= 60_000) return `${at.hour}:${at.minute}`
  return `${at.hour}:${at.minute}:${at.second}`
}

const TYPED = /^(\d{1,2})\/(\d{1,2})\/(\d{4})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?$/

/** Reads `dd/MM/yyyy`, `dd/MM/yyyy HH:mm` or `dd/MM/yyyy HH:mm:ss` in the zone, or an ISO 8601 text with its own zone. */
export function parseTyped(text: string, zone: string): number | null {
  const trimmed = text.trim()
  const match = TYPED.exec(trimmed)
  if (!match) return /^\d{4}-\d{2}-\d{2}T/.test(trimmed) ? parseIso(trimmed) : null
  const [day, month, year, hour, minute, second] = match.slice(1).map((part) => Number(part ?? 0))
  const utc = Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second)
  // The zone's distance from UTC depends on the moment looked for: a second round settles it near a change of clocks.
  let guess = utc - zoneOffset(utc, zone)
  guess = utc - zoneOffset(guess, zone)
  const back = wall(guess, zone)
  const sameDay = Number(back.day) === day && Number(back.month) === month
  return sameDay && (hour ?? 0) < 24 && (minute ?? 0) < 60 && (second ?? 0) < 60 ? guess : null
}

/** How far the zone is ahead of UTC at that moment, milliseconds. */
export function zoneOffset(ms: number, zone: string): number {
  const at = wall(ms, zone)
  const asUtc = Date.UTC(+at.year, +at.month - 1, +at.day, +at.hour, +at.minute, +at.second)
  return asUtc - Math.floor(ms / 1000) * 1000
}

/** `UTC+7`, for a label next to times. */
export function zoneLabel(zone: string, ms: number): string {
  const minutes = Math.round(zoneOffset(ms, zone) / 60_000)
  const sign = minutes < 0 ? '−' : '+'
  const hours = Math.floor(Math.abs(minutes) / 60)
  const rest = Math.abs(minutes) % 60
  return `UTC${sign}${hours}${rest ? `:${String(rest).padStart(2, '0')}` : ''}`
}

const AGO_STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
]

/** "5 minutes ago" in the reader's language. */
export function formatAgo(ms: number, nowMs: number, language: string): string {
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' })
  const distance = ms - nowMs
  for (const [unit, size] of AGO_STEPS) {
    if (Math.abs(distance) >= size) return format.format(Math.trunc(distance / size), unit)
  }
  return format.format(0, 'second')
}
