// A table of any length: only the rows in sight are in the page. Rows are reached by keyboard, columns by their header.

import { useMediaQuery } from '@mantine/hooks'
import { type ColumnDef, getCoreRowModel, type RowData, useReactTable } from '@tanstack/react-table'
import { useVirtualizer } from '@tanstack/react-virtual'
import { type CSSProperties, type KeyboardEvent, type ReactNode, useEffect, useRef } from 'react'

import styles from './DataTable.module.css'

declare module '@tanstack/react-table' {
  // The type parameters must be those of the library's own declaration.
  // oxlint-disable-next-line typescript/no-unused-vars
  interface ColumnMeta<TData extends RowData, TValue> {
    /** Track of the CSS grid, for example `160px` or `minmax(200px, 2fr)`. */
    track: string
    /** Pixels below which the table scrolls sideways instead. */
    min: number
    align?: 'right'
  }
}

interface DataTableProps<T> {
  label: string
  columns: ColumnDef<T, unknown>[]
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

/** A header or cell is called, not mounted: new columns then change what is shown and nothing starts anew. */
function shown<C>(content: string | ((context: C) => unknown) | undefined, context: C): ReactNode {
  return (typeof content === 'function' ? content(context) : content) as ReactNode
}

export function DataTable<T>(props: DataTableProps<T>) {
  const { label, columns, rows, rowId, rowLabel, selected, onSelect, onOpen, card, footer } = props
  const narrow = useMediaQuery(NARROW, false, { getInitialValueInEffect: false })
  const asCards = narrow && card !== undefined
  const rowHeight = asCards ? (props.cardHeight ?? 72) : (props.rowHeight ?? 30)
  const scroller = useRef<HTMLDivElement>(null)
  const table = useReactTable({ data: rows, columns, getCoreRowModel: getCoreRowModel(), getRowId: rowId })
  const model = table.getRowModel().rows
  const virtual = useVirtualizer({
    count: model.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 8,
    scrollPaddingStart: asCards ? 0 : 32,
  })

  const { measure, scrollToIndex } = virtual
  useEffect(() => measure(), [measure, rowHeight])

  const selectedIndex = selected === undefined ? -1 : model.findIndex((row) => row.id === selected)
  useEffect(() => {
    if (selectedIndex >= 0) scrollToIndex(selectedIndex, { align: 'auto' })
  }, [scrollToIndex, selectedIndex])

  const metas = table.getVisibleLeafColumns().map((column) => column.columnDef.meta)
  const tracks = metas.map((meta) => meta?.track ?? '1fr').join(' ')
  const minWidth = metas.reduce((sum, meta) => sum + (meta?.min ?? 100), 0)

  const move = (to: number) => {
    const row = model[Math.min(Math.max(to, 0), model.length - 1)]
    if (!row) return
    onSelect?.(row.original)
    scrollToIndex(row.index, { align: 'auto' })
    requestAnimationFrame(() => {
      scroller.current?.querySelector<HTMLElement>(`[data-index="${row.index}"]`)?.focus({ preventScroll: true })
    })
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const on = event.target instanceof HTMLElement ? event.target.dataset['index'] : undefined
    if (on === undefined) return
    const index = Number(on)
    const row = model[index]
    if (event.key === 'ArrowDown') move(index + 1)
    else if (event.key === 'ArrowUp') move(index - 1)
    else if (event.key === 'Home') move(0)
    else if (event.key === 'End') move(model.length - 1)
    else if (event.key === 'Enter' && row) onOpen?.(row.original)
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
        aria-rowcount={model.length + 1}
        className={styles.table}
        style={asCards ? undefined : ({ minWidth, '--tracks': tracks } as CSSProperties)}
        onKeyDown={onKeyDown}
      >
        <div role="rowgroup" className={asCards ? styles.hidden : styles.head}>
          {table.getHeaderGroups().map((group) => (
            <div key={group.id} role="row" className={styles.headRow}>
              {group.headers.map((header) => (
                <div
                  key={header.id}
                  role="columnheader"
                  className={styles.headCell}
                  data-align={header.column.columnDef.meta?.align}
                >
                  {shown(header.column.columnDef.header, header.getContext())}
                </div>
              ))}
            </div>
          ))}
        </div>
        <div role="rowgroup" className={styles.body} style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const row = model[item.index]
            if (!row) return null
            const reachable = item.index === (selectedIndex >= 0 ? selectedIndex : 0)
            return (
              // The keys are handled by the table around the rows.
              // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
              <div
                key={row.id}
                role="row"
                aria-rowindex={item.index + 2}
                aria-label={rowLabel?.(row.original)}
                aria-selected={row.id === selected}
                data-index={item.index}
                tabIndex={reachable ? 0 : -1}
                className={asCards ? styles.card : styles.row}
                style={{ height: rowHeight, transform: `translateY(${item.start}px)` }}
                onClick={(event) => {
                  const onControl = event.target instanceof HTMLElement && event.target.closest('button, a, input')
                  // Marking text with the mouse ends with a click, which must not open the row.
                  if (onControl || window.getSelection()?.toString()) return
                  onSelect?.(row.original)
                  onOpen?.(row.original)
                }}
              >
                {asCards ? (
                  <div role="cell">{card(row.original)}</div>
                ) : (
                  row.getVisibleCells().map((cell) => (
                    <div
                      key={cell.id}
                      role="cell"
                      className={styles.cell}
                      data-align={cell.column.columnDef.meta?.align}
                    >
                      {shown(cell.column.columnDef.cell, cell.getContext())}
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
