// Counts over time as bars, with an optional brush. What the bars show is also said in words.

import { type PointerEvent, useEffect, useMemo, useRef, useState } from 'react'

import styles from './BarChart.module.css'
import { countTicks, timeTicks } from './chart'
import { formatShort } from './numbers'
import { useReader } from './reader'

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

const LEFT = 44
const RIGHT = 8
const TOP = 8
const BOTTOM = 24
/** A shorter drag is a click that slipped. */
const DRAG_MIN = 4
const TICK_SPACE_X = 84
const TICK_SPACE_Y = 30

/** The width of an element, kept up to date. */
function useWidth(initial: number) {
  const ref = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(initial)
  useEffect(() => {
    const element = ref.current
    if (!element) return undefined
    const measure = () => element.clientWidth > 0 && setWidth(element.clientWidth)
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return { ref, width }
}

interface Drag {
  from: number
  to: number
}

export function BarChart({ startMs, widthMs, counts, height, label, value, onZoom }: BarChartProps) {
  const reader = useReader()
  const { ref, width } = useWidth(600)
  const [hover, setHover] = useState<number | null>(null)
  const [drag, setDrag] = useState<Drag | null>(null)

  const inner = Math.max(width - LEFT - RIGHT, 1)
  const tall = height - TOP - BOTTOM
  const endMs = startMs + counts.length * widthMs
  const max = Math.max(4, ...counts) * 1.08
  const x = (ms: number) => LEFT + ((ms - startMs) / (endMs - startMs || 1)) * inner
  const y = (count: number) => TOP + tall - (count / max) * tall
  const ms = (px: number) => startMs + ((px - LEFT) / inner) * (endMs - startMs)

  const path = useMemo(
    () => barsPath(counts, LEFT, inner / Math.max(counts.length, 1), TOP + tall, tall / max),
    [counts, inner, max, tall]
  )
  const times = useMemo(
    () => timeTicks(startMs, endMs, reader.zone, Math.floor(inner / TICK_SPACE_X)),
    [endMs, inner, reader.zone, startMs]
  )

  const at = (event: PointerEvent<SVGSVGElement>) => {
    const px = event.clientX - event.currentTarget.getBoundingClientRect().left
    return Math.min(Math.max(px, LEFT), LEFT + inner)
  }
  const onPointerMove = (event: PointerEvent<SVGSVGElement>) => {
    const px = at(event)
    setHover(Math.min(Math.floor(((px - LEFT) / inner) * counts.length), counts.length - 1))
    if (drag) setDrag({ from: drag.from, to: px })
  }
  const onPointerDown = (event: PointerEvent<SVGSVGElement>) => {
    // A finger that moves over the chart scrolls the page.
    if (!onZoom || event.button !== 0 || event.pointerType === 'touch') return
    event.currentTarget.setPointerCapture(event.pointerId)
    const px = at(event)
    setDrag({ from: px, to: px })
  }
  const onPointerUp = () => {
    setDrag(null)
    if (!drag || Math.abs(drag.to - drag.from) < DRAG_MIN) return
    onZoom?.(Math.floor(ms(Math.min(drag.from, drag.to))), Math.ceil(ms(Math.max(drag.from, drag.to))))
  }

  const count = hover === null ? undefined : counts[hover]
  return (
    <div ref={ref} className={styles.chart}>
      <svg
        role="img"
        aria-label={label}
        width={width}
        height={height}
        className={onZoom ? styles.brush : styles.plot}
        onPointerMove={onPointerMove}
        onPointerLeave={() => setHover(null)}
        onPointerDown={onPointerDown}
        onPointerUp={onPointerUp}
        onPointerCancel={() => setDrag(null)}
      >
        {countTicks(max, Math.floor(tall / TICK_SPACE_Y)).map((tick) => (
          <g key={tick}>
            <line x1={LEFT} x2={LEFT + inner} y1={y(tick)} y2={y(tick)} className={styles.grid} />
            <text x={LEFT - 7} y={y(tick)} dy="0.35em" textAnchor="end">
              {formatShort(tick, reader.language)}
            </text>
          </g>
        ))}
        {times.map((tick) => (
          <text key={tick.ms} x={Math.min(Math.max(x(tick.ms), LEFT), LEFT + inner - 14)} y={height - 8} textAnchor="middle">
            {tick.text}
          </text>
        ))}
        <path d={path} className={styles.bars} />
        {hover !== null && !drag && (
          <rect x={x(startMs + hover * widthMs)} y={TOP} width={inner / counts.length} height={tall} className={styles.hover} />
        )}
        {drag && (
          <rect
            x={Math.min(drag.from, drag.to)}
            y={TOP}
            width={Math.abs(drag.to - drag.from)}
            height={tall}
            className={styles.select}
          />
        )}
      </svg>
      <div className={styles.readout} aria-hidden>
        {count !== undefined && (
          <>
            <span>{reader.dateTime(startMs + (hover ?? 0) * widthMs)}</span> <b>{value(count)}</b>
          </>
        )}
      </div>
    </div>
  )
}

/** One path for all bars: thousands of elements would be slower than the server. A bar that counts something is seen. */
function barsPath(counts: number[], left: number, pitch: number, bottom: number, perCount: number): string {
  const wide = Math.max(Math.min(pitch * 0.82, pitch - 1, 64), 0.6)
  const round = Math.min(wide * 0.12, 3)
  let path = ''
  counts.forEach((count, n) => {
    if (count <= 0) return
    const from = left + n * pitch + (pitch - wide) / 2
    const tall = Math.max(count * perCount, 1)
    const r = Math.min(round, tall)
    path += `M${from.toFixed(2)} ${bottom.toFixed(2)}v${(r - tall).toFixed(2)}q0 ${-r} ${r} ${-r}h${(wide - 2 * r).toFixed(2)}q${r} 0 ${r} ${r}v${(tall - r).toFixed(2)}z`
  })
  return path
}
