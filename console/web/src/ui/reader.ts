// Who reads: the language and the zone in which times and numbers are written.

import { createContext, useContext, useMemo, useSyncExternalStore } from 'react'

import { formatBytes, formatCount, formatDecimal, formatShare, formatShort } from './numbers'
import { formatAgo, formatDateTime, formatDateTimeMs, parseIso, zoneLabel } from './time'

export interface Reader {
  language: string
  /** Name of the IANA database, for example `Asia/Ho_Chi_Minh`. */
  zone: string
}

export const DEFAULT_ZONE = 'Asia/Ho_Chi_Minh'

export const ReaderContext = createContext<Reader>({ language: 'vi', zone: DEFAULT_ZONE })

/** The ways of writing values for this reader. */
export function useReader() {
  const { language, zone } = useContext(ReaderContext)
  return useMemo(
    () => ({
      language,
      zone,
      zoneLabel: (ms: number) => zoneLabel(zone, ms),
      dateTime: (ms: number) => formatDateTime(ms, zone),
      dateTimeMs: (ms: number) => formatDateTimeMs(ms, zone),
      ago: (ms: number, now: number) => formatAgo(ms, now, language),
      iso: (text: string | null | undefined) => {
        const ms = parseIso(text)
        return ms === null ? '' : formatDateTime(ms, zone)
      },
      count: (value: number) => formatCount(value, language),
      decimal: (value: number) => formatDecimal(value, language),
      short: (value: number) => formatShort(value, language),
      bytes: (value: number) => formatBytes(value, language),
      share: (value: number) => formatShare(value, language),
    }),
    [language, zone]
  )
}

const listeners = new Set<() => void>()
let now = Date.now()
let timer: ReturnType<typeof setInterval> | undefined

function subscribe(listener: () => void) {
  listeners.add(listener)
  now = Date.now()
  timer ??= setInterval(() => {
    now = Date.now()
    for (const each of listeners) each()
  }, 5_000)
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) {
      clearInterval(timer)
      timer = undefined
    }
  }
}

/** The time, brought up to date every five seconds by one clock for the whole page. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now)
}
