import { expect, test } from 'vitest'

import { countTicks, timeTicks } from './chart'

test.each([
  [4.3, 3, [0, 2, 4]],
  [98, 3, [0, 50]],
  [1_080, 3, [0, 500, 1_000]],
  [0, 3, [0]],
])('up to %d there are at most %d round counts', (max, most, ticks) => {
  expect(countTicks(max, most)).toEqual(ticks)
})

test.each([
  ['2026-11-22T10:05:00Z', '2026-11-22T11:05:00Z', 6, ['17:10', '17:20', '17:30', '17:40', '17:50', '18:00']],
  ['2026-11-21T11:00:00Z', '2026-11-22T11:00:00Z', 4, ['18:00', '22/11', '06:00', '12:00', '18:00']],
  ['2026-11-01T00:00:00Z', '2026-11-05T00:00:00Z', 5, ['02/11', '03/11', '04/11', '05/11']],
])('from %s to %s the ticks are round where the reader is', (from, to, most, texts) => {
  const ticks = timeTicks(Date.parse(from), Date.parse(to), 'Asia/Ho_Chi_Minh', most)
  expect(ticks.map(({ text }) => text)).toEqual(texts)
})
