// Where the ticks of a bar chart are, and their words. Pure, so that it can be tested without a page.

import { formatTick, zoneOffset } from './time'

/** Distances between ticks of a time axis, milliseconds. */
const TIME_STEPS = [
  1, 5, 15, 30, 60, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000,
].map((seconds) => seconds * 1_000)

/** At most `most` round numbers from 0 to `max`, without the one at `max` itself being forced. */
export function countTicks(max: number, most: number): number[] {
  const rough = Math.max(max, 1) / Math.max(most, 1)
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = Math.max(1, ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10) * power)
  const ticks = []
  for (let at = 0; at <= max; at += step) ticks.push(at)
  return ticks
}

export interface TimeTick {
  ms: number
  text: string
}

/** Round points in time between two moments, at most `most` of them, round in the reader's zone. */
export function timeTicks(fromMs: number, toMs: number, zone: string, most: number): TimeTick[] {
  const rough = (toMs - fromMs) / Math.max(most, 1)
  const step = TIME_STEPS.find((each) => each >= rough) ?? Math.ceil(rough / 2_592_000_000) * 2_592_000_000
  const offset = zoneOffset(fromMs, zone)
  const ticks = []
  for (let ms = Math.ceil((fromMs + offset) / step) * step - offset; ms <= toMs; ms += step) {
    ticks.push({ ms, text: formatTick(ms, zone, step) })
  }
  return ticks
}
