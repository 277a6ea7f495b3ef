// Every sender with what it sent and what became of it.

import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'

import { type Column, DataTable } from '~/ui/DataTable'
import { useReader } from '~/ui/reader'
import { visibleText } from '~/ui/visible'
import styles from './deliveries.module.css'
import type { Line } from './queries'
import { Clock, Lost, State } from './State'

interface DeliveryTableProps {
  lines: Line[]
  /** Only what matters most, for a table with details beside it. */
  compact: boolean
  selected: string | undefined
  onOpen: (line: Line) => void
}

export function DeliveryTable({ lines, compact, selected, onOpen }: DeliveryTableProps) {
  const { t } = useTranslation()
  const reader = useReader()
  const columns = useMemo<Column<Line>[]>(() => {
    const number = (id: 'read' | 'sent' | 'received' | 'journaled' | 'detected' | 'stored' | 'duplicates') => ({
      id,
      header: t(`deliveries.${id}`),
      cell: (line: Line) => {
        const value = line[id]
        const behind = (id === 'detected' || id === 'stored') && line[id] < line.journaled
        return typeof value === 'number' ? (
          <span className={styles.num} data-behind={behind}>
            {reader.count(value)}
          </span>
        ) : (
          <span className="canh-dim">–</span>
        )
      },
      track: 'minmax(104px, 1fr)', min: 104, align: 'right' as const,
    })
    const all: Column<Line>[] = [
      {
        id: 'state',
        header: t('deliveries.status'),
        cell: (line) => <State state={line.state} />,
        track: '132px', min: 132,
      },
      {
        id: 'source',
        header: t('deliveries.source'),
        cell: (line) => <Name line={line} />,
        track: 'minmax(240px, 3fr)', min: 240,
      },
      number('read'),
      number('sent'),
      number('received'),
      number('journaled'),
      number('detected'),
      number('stored'),
      number('duplicates'),
      {
        id: 'lost',
        header: t('deliveries.lost'),
        cell: (line) => <Lost line={line} />,
        track: 'minmax(150px, 2fr)', min: 150,
      },
    ]
    return compact ? all.filter(({ id }) => COMPACT.has(id)) : all
  }, [compact, reader, t])
  return (
    <DataTable
      label={t('deliveries.title')}
      columns={columns}
      rows={lines}
      rowId={(line) => line.source}
      rowLabel={(line) => visibleText(line.host ?? line.source)}
      selected={selected}
      onOpen={onOpen}
      rowHeight={46}
      card={(line) => <Card line={line} />}
      cardHeight={74}
    />
  )
}

const COMPACT = new Set(['state', 'source', 'received', 'stored'])

function Name({ line }: { line: Line }) {
  return (
    <span className={styles.two}>
      <span className={`${styles.name} canh-clip`}>{visibleText(line.host ?? line.source)}</span>
      {line.host && !line.clock_off && (
        <span className={`${styles.small} canh-mono canh-clip`}>{visibleText(line.source)}</span>
      )}
      <Clock line={line} />
    </span>
  )
}

function Card({ line }: { line: Line }) {
  const { t } = useTranslation()
  const reader = useReader()
  return (
    <div className={styles.card}>
      <Name line={line} />
      <State state={line.state} />
      <span className={styles.small}>
        {t('deliveries.received')} {reader.count(line.received)} · {t('deliveries.stored')} {reader.count(line.stored)}
      </span>
    </div>
  )
}
