// Counts over time as bars, with an optional brush. uPlot draws on a canvas; what it shows is also said in words.

import 'uplot/dist/uPlot.min.css'

import { useComputedColorScheme } from '@mantine/core'
import { useEffect, useMemo, useRef, useState } from 'react'
import uPlot from 'uplot'

import styles from './BarChart.module.css'
import { useReader } from './reader'
import { formatShort } from './numbers'
import { formatTick } from './time'

export interface BarChartProps {
  /** Beginning of the first bar, milliseconds. */
  startMs: number
  widthMs: number
  counts: number[]
  height: number
  /** What the chart says, for those who do not see it. */
  label: string
  /** Words for the number under the pointer, for example "12 events". */
  value: (count: number) => string
  /** Called with the chosen range after a drag. */
  onZoom?: (fromMs: number, toMs: number) => void
}

function cssColor(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || '#888'
}

export function BarChart({ startMs, widthMs, counts, height, label, value, onZoom }: BarChartProps) {
  const reader = useReader()
  const { zone, language } = reader
  const scheme = useComputedColorScheme('dark', { getInitialValueInEffect: false })
  const box = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | null>(null)
  const zoom = useRef(onZoom)
  const [hover, setHover] = useState<number | null>(null)
  const canZoom = onZoom !== undefined

  const data = useMemo<uPlot.AlignedData>(
    () => [counts.map((_, n) => (startMs + (n + 0.5) * widthMs) / 1000), counts],
    [counts, startMs, widthMs]
  )
  const latestData = useRef(data)
  useEffect(() => {
    zoom.current = onZoom
    latestData.current = data
    chart.current?.setData(data, false)
  }, [onZoom, data])

  const rangeStart = startMs / 1000
  const rangeEnd = (startMs + counts.length * widthMs) / 1000

  useEffect(() => {
    const element = box.current
    if (!element) return undefined
    const text = cssColor('--canh-text-dim')
    const grid = { stroke: cssColor('--canh-grid'), width: 1 }
    const font = '11px "Inter Variable", sans-serif'
    const bars = uPlot.paths.bars
    const plot = new uPlot(
      {
        width: element.clientWidth || 600,
        height,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
        cursor: {
          y: false,
          points: { show: false },
          drag: { x: canZoom, y: false, setScale: false, dist: 4 },
        },
        scales: {
          x: { time: true, range: () => [rangeStart, rangeEnd] },
          y: { range: (_plot, _min, max) => [0, Math.max(max * 1.08, 4)] },
        },
        axes: [
          {
            stroke: text,
            grid: { show: false },
            ticks: { show: false },
            font,
            size: 24,
            space: 72,
            values: (_plot, splits) => {
              const step = ((splits[1] ?? 0) - (splits[0] ?? 0)) * 1000
              return splits.map((split) => formatTick(split * 1000, zone, step))
            },
          },
          {
            stroke: text,
            grid,
            ticks: { show: false },
            font,
            size: 44,
            space: 28,
            incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 1e7, 1e8, 1e9],
            values: (_plot, splits) => splits.map((split) => formatShort(split, language)),
          },
        ],
        series: [
          {},
          {
            stroke: cssColor('--canh-chart'),
            fill: cssColor('--canh-chart'),
            width: 0,
            points: { show: false },
            ...(bars ? { paths: bars({ size: [0.82, 64], radius: 0.12 }) } : {}),
          },
        ],
        hooks: {
          setCursor: [(self) => setHover(self.cursor.idx ?? null)],
          setSelect: [
            (self) => {
              const { left, width } = self.select
              if (width < 4) return
              const from = self.posToVal(left, 'x') * 1000
              const to = self.posToVal(left + width, 'x') * 1000
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
              zoom.current?.(Math.floor(from), Math.ceil(to))
            },
          ],
        },
      },
      latestData.current,
      element
    )
    chart.current = plot
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) plot.setSize({ width: element.clientWidth, height })
    })
    observer.observe(element)
    return () => {
      observer.disconnect()
      plot.destroy()
      chart.current = null
    }
    // The colours are read from the page, so another scheme draws the chart anew.
    // oxlint-disable-next-line react/exhaustive-effect-dependencies
  }, [canZoom, height, language, rangeEnd, rangeStart, scheme, zone])

  const count = hover === null ? undefined : counts[hover]
  const at = startMs + (hover ?? 0) * widthMs
  return (
    <div className={styles.chart}>
      <div ref={box} role="img" aria-label={label} className={canZoom ? styles.brush : undefined} />
      <div className={styles.readout} aria-hidden>
        {count !== undefined && (
          <>
            <span>{reader.dateTime(at)}</span> <b>{value(count)}</b>
          </>
        )}
      </div>
    </div>
  )
}
