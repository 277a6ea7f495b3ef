// A run over the past: how far it is, and what came of it. Leaving the page ends it.

import { useEffect, useRef, useState } from 'react'

import type { Schemas } from '~/api/client'
import { ApiError } from '~/api/errors'
import { follow } from '~/api/stream'
import type { Backtest } from './queries'

export const DAYS = ['1', '7', '30'] as const
export type Days = (typeof DAYS)[number]
const DAY_MS = 86_400_000

export interface BacktestState {
  running: Schemas['BacktestProgress'] | null
  result: Backtest | null
  error: unknown
}

const NOTHING: BacktestState = { running: null, result: null, error: null }

export function useBacktest(text: string) {
  const [kept, setKept] = useState<BacktestState>(NOTHING)
  const run = useRef<AbortController | null>(null)
  useEffect(() => () => run.current?.abort(), [])

  const start = async (days: Days) => {
    run.current?.abort()
    const control = new AbortController()
    run.current = control
    const set = (state: Partial<BacktestState>) => {
      if (!control.signal.aborted) setKept({ ...NOTHING, ...state })
    }
    set({ running: { done: 0, events: 0, kept: 0 } })
    const to = new Date()
    const from = new Date(to.getTime() - Number(days) * DAY_MS)
    try {
      let ended = false
      const body = { text, from: from.toISOString(), to: to.toISOString() }
      await follow('/api/v1/rules/backtest', body, control.signal, (name, data) => {
        if (name === 'progress') set({ running: JSON.parse(data) as Schemas['BacktestProgress'] })
        if (name === 'result') set({ result: JSON.parse(data) as Backtest })
        if (name === 'error') throw new ApiError(0, data, 'backtest')
        ended ||= name === 'result'
      })
      if (!ended) throw new ApiError(0, '', 'broken')
    } catch (error) {
      set({ error })
    }
  }
  const stop = () => {
    run.current?.abort()
    setKept(NOTHING)
  }
  return { ...kept, start, stop }
}
