// A table of any length: only the rows in sight are in the page. Rows are reached by keyboard, columns by their header.

import { useMediaQuery } from '@mantine/hooks'
import { useVirtualizer } from '@tanstack/react-virtual'
import { type CSSProperties, type KeyboardEvent, type ReactNode, useEffect, useRef } from 'react'

import styles from './DataTable.module.css'

export interface Column<T> {
  id: string
  header: string | (() => ReactNode)
  /** Called, not mounted: new columns then change what is shown and nothing starts anew. */
  cell: (row: T) => ReactNode
  /** Track of the CSS grid, for example `160px` or `minmax(200px, 2fr)`. */
  track: string
  /** Pixels below which the table scrolls sideways instead. */
  min: number
  align?: 'right'
}

interface DataTableProps<T> {
  label: string
  columns: Column<T>[]
  rows: T[]
  rowId: (row: T) => string
  rowLabel?: (row: T) => string
  selected?: string | undefined
  /** The row that the keyboard is on has changed. */
  onSelect?: (row: T) => void
  onOpen?: (row: T) => void
  rowHeight?: number
  /** One row on a phone, where columns do not fit. */
  card?: (row: T) => ReactNode
  cardHeight?: number
  /** Below the last row: "load more" and the like. */
  footer?: ReactNode
}

const NARROW = '(max-width: 700px)'

export function DataTable<T>(props: DataTableProps<T>) {
  const { label, columns, rows, rowId, rowLabel, selected, onSelect, onOpen, card, footer } = props
  const narrow = useMediaQuery(NARROW, false, { getInitialValueInEffect: false })
  const asCards = narrow && card !== undefined
  const rowHeight = asCards ? (props.cardHeight ?? 72) : (props.rowHeight ?? 30)
  const scroller = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 8,
    scrollPaddingStart: asCards ? 0 : 32,
  })

  const { measure, scrollToIndex } = virtual
  useEffect(() => measure(), [measure, rowHeight])

  const selectedIndex = selected === undefined ? -1 : rows.findIndex((row) => rowId(row) === selected)
  useEffect(() => {
    if (selectedIndex >= 0) scrollToIndex(selectedIndex, { align: 'auto' })
  }, [scrollToIndex, selectedIndex])

  const tracks = columns.map((column) => column.track).join(' ')
  const minWidth = columns.reduce((sum, column) => sum + column.min, 0)

  const move = (to: number) => {
    const index = Math.min(Math.max(to, 0), rows.length - 1)
    const row = rows[index]
    if (row === undefined) return
    onSelect?.(row)
    scrollToIndex(index, { align: 'auto' })
    requestAnimationFrame(() => {
      scroller.current?.querySelector<HTMLElement>(`[data-index="${index}"]`)?.focus({ preventScroll: true })
    })
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const on = event.target instanceof HTMLElement ? event.target.dataset['index'] : undefined
    if (on === undefined) return
    const index = Number(on)
    const row = rows[index]
    if (event.key === 'ArrowDown') move(index + 1)
    else if (event.key === 'ArrowUp') move(index - 1)
    else if (event.key === 'Home') move(0)
    else if (event.key === 'End') move(rows.length - 1)
    else if (event.key === 'Enter' && row !== undefined) onOpen?.(row)
    else return
    event.preventDefault()
  }

  return (
    <div ref={scroller} className={styles.scroller}>
      {/* Keys reach the table from its rows. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions */}
      <div
        role="table"
        aria-label={label}
        aria-rowcount={rows.length + 1}
        className={styles.table}
        style={asCards ? undefined : ({ minWidth, '--tracks': tracks } as CSSProperties)}
        onKeyDown={onKeyDown}
      >
        <div role="rowgroup" className={asCards ? styles.hidden : styles.head}>
          <div role="row" className={styles.headRow}>
            {columns.map(({ id, header, align }) => (
              <div key={id} role="columnheader" className={styles.headCell} data-align={align}>
                {typeof header === 'function' ? header() : header}
              </div>
            ))}
          </div>
        </div>
        <div role="rowgroup" className={styles.body} style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index]
            if (row === undefined) return null
            const id = rowId(row)
            const reachable = item.index === (selectedIndex >= 0 ? selectedIndex : 0)
            return (
              // The keys are handled by the table around the rows.
              // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
              <div
                key={id}
                role="row"
                aria-rowindex={item.index + 2}
                aria-label={rowLabel?.(row)}
                aria-selected={id === selected}
                data-index={item.index}
                tabIndex={reachable ? 0 : -1}
                className={asCards ? styles.card : styles.row}
                style={{ height: rowHeight, transform: `translateY(${item.start}px)` }}
                onClick={(event) => {
                  const onControl = event.target instanceof HTMLElement && event.target.closest('button, a, input')
                  // Marking text with the mouse ends with a click, which must not open the row.
                  if (onControl || window.getSelection()?.toString()) return
                  onSelect?.(row)
                  onOpen?.(row)
                }}
              >
                {asCards ? (
                  <div role="cell">{card(row)}</div>
                ) : (
                  columns.map((column) => (
                    <div key={column.id} role="cell" className={styles.cell} data-align={column.align}>
                      {column.cell(row)}
                    </div>
                  ))
                )}
              </div>
            )
          })}
        </div>
      </div>
      {footer && <div className={styles.footer}>{footer}</div>}
    </div>
  )
}
