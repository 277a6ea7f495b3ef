// A range of time as the URL writes it: `now-15m` to `now`, or ISO 8601 texts. The clock comes in as an argument.

import { parseIso } from '~/ui/time'

export interface Range {
  from: string
  to: string
}

export interface Bounds {
  fromMs: number
  toMs: number
}

export const QUICK_RANGES = [
  ['m5', 'now-5m'],
  ['m15', 'now-15m'],
  ['h1', 'now-1h'],
  ['h6', 'now-6h'],
  ['h24', 'now-24h'],
  ['d2', 'now-2d'],
  ['d7', 'now-7d'],
  ['d30', 'now-30d'],
] as const

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** Milliseconds of one end, or `null` when the text says none. */
export function resolve(text: string, nowMs: number): number | null {
  if (text === 'now') return nowMs
  const match = /^now-(\d{1,5})([smhdw])$/.exec(text)
  if (!match) return parseIso(text)
  return nowMs - Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]
}

/** Both ends, or `null` when they say no range. */
export function bounds(range: Range, nowMs: number): Bounds | null {
  const fromMs = resolve(range.from, nowMs)
  const toMs = resolve(range.to, nowMs)
  return fromMs === null || toMs === null || fromMs >= toMs ? null : { fromMs, toMs }
}

/** A range that the URL may say; what it does not say well becomes the range given. */
export function readRange(from: string, to: string, otherwise: Range): Range {
  const range = { from: from || otherwise.from, to: to || otherwise.to }
  return bounds(range, 0) === null && bounds(range, Date.parse('2200-01-01')) === null ? otherwise : range
}

export function absolute(fromMs: number, toMs: number): Range {
  return { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() }
}

/** Twice as long, around the same middle, but not into the future. */
export function zoomedOut({ fromMs, toMs }: Bounds, nowMs: number): Range {
  const half = (toMs - fromMs) / 2
  return absolute(fromMs - half, Math.min(toMs + half, Math.max(nowMs, toMs)))
}
