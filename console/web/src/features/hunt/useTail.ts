// Events as they arrive. The server keeps a queue for this page and says what it had to leave out.

import { useEffect, useRef, useState } from 'react'

import type { Schemas } from '~/api/client'
import type { Event } from './event'

/** Most events that are kept on the page. */
export const TAIL_MAX = 500
/** The page is drawn anew this often at most, however many events arrive. */
const DRAW_MS = 200

export interface Tail {
  /** Newest first. */
  events: Event[]
  /** Arrived while paused. */
  waiting: number
  /** Left out by the server. */
  dropped: number
  state: 'connecting' | 'open' | 'lost'
}

const NOTHING: Tail = { events: [], waiting: 0, dropped: 0, state: 'connecting' }

/** What is known, and of which query. */
interface Kept extends Tail {
  q: string | null
}

export function useTail(q: string, enabled: boolean, paused: boolean): Tail {
  const [tail, setKept] = useState<Kept>({ ...NOTHING, q: null })
  const isPaused = useRef(paused)
  useEffect(() => {
    isPaused.current = paused
  }, [paused])

  useEffect(() => {
    if (!enabled) return undefined
    const setTail = (change: (before: Tail) => Tail) =>
      setKept((kept) => {
        const before: Tail = kept.q === q ? kept : NOTHING
        const after = change(before)
        return after === kept ? kept : { ...after, q }
      })
    let arrived: Event[] = []
    let waiting = 0
    let dropped = 0
    const source = new EventSource(`/api/v1/events/tail?${new URLSearchParams({ q })}`)
    source.addEventListener('open', () => setTail((before) => ({ ...before, state: 'open' })))
    source.addEventListener('error', () => setTail((before) => ({ ...before, state: 'lost' })))
    source.addEventListener('event', (message: MessageEvent<string>) => {
      arrived.push(JSON.parse(message.data) as Event)
      if (arrived.length > 2 * TAIL_MAX) arrived = arrived.slice(-TAIL_MAX)
      waiting += 1
    })
    source.addEventListener('dropped', (message: MessageEvent<string>) => {
      dropped = (JSON.parse(message.data) as Schemas['TailDropped']).total
    })
    const draw = setInterval(() => {
      if (isPaused.current) {
        setTail((before) =>
          before.waiting === waiting && before.dropped === dropped ? before : { ...before, waiting, dropped }
        )
        return
      }
      const fresh = arrived.toReversed()
      arrived = []
      waiting = 0
      setTail((before) => {
        if (fresh.length === 0 && before.dropped === dropped && before.waiting === 0) return before
        return { ...before, events: [...fresh, ...before.events].slice(0, TAIL_MAX), waiting: 0, dropped }
      })
    }, DRAW_MS)
    return () => {
      clearInterval(draw)
      source.close()
      setKept({ ...NOTHING, q: null })
    }
  }, [enabled, q])

  return tail.q === q ? tail : NOTHING
}
