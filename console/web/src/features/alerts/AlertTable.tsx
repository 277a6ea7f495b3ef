import type { ColumnDef } from '@tanstack/react-table'
import { type ReactNode, useMemo } from 'react'
import { useTranslation } from 'react-i18next'

import { DataTable } from '~/ui/DataTable'
import { useReader } from '~/ui/reader'
import { Severity, StatusText } from '~/ui/Severity'
import { Tags } from '~/ui/Tags'
import { AgoText, TimeText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import styles from './alerts.module.css'
import { Entity } from './Entity'
import type { Alert } from './queries'

interface AlertTableProps {
  alerts: Alert[]
  selected: string | undefined
  /** Details are open beside the table: fewer columns. */
  compact: boolean
  onSelect: (alert: Alert) => void
  onOpen: (alert: Alert) => void
  footer?: ReactNode
}

export function AlertTable({ alerts, selected, compact, onSelect, onOpen, footer }: AlertTableProps) {
  const { t } = useTranslation()
  const reader = useReader()
  const columns = useMemo<ColumnDef<Alert, unknown>[]>(() => {
    const all: ColumnDef<Alert, unknown>[] = [
      {
        id: 'level',
        header: t('alerts.severityColumn'),
        cell: ({ row }) => <Severity level={row.original.level} />,
        meta: { track: '128px', min: 128 },
      },
      {
        id: 'title',
        header: t('alerts.titleColumn'),
        cell: ({ row }) => <span className={styles.rowTitle}>{visibleText(row.original.title)}</span>,
        meta: { track: 'minmax(220px, 3fr)', min: 220 },
      },
      {
        id: 'entity',
        header: t('alerts.entity'),
        cell: ({ row }) => <Entity entity={row.original.entity} />,
        meta: { track: 'minmax(130px, 1.3fr)', min: 130 },
      },
      {
        id: 'count',
        header: t('alerts.count'),
        cell: ({ row }) => reader.count(row.original.count),
        meta: { track: '76px', min: 76, align: 'right' },
      },
      {
        id: 'first',
        header: t('alerts.first'),
        cell: ({ row }) => <TimeText iso={row.original.first_time} />,
        meta: { track: '156px', min: 156 },
      },
      {
        id: 'last',
        header: t('alerts.last'),
        cell: ({ row }) => (compact ? <AgoText iso={row.original.last_time} /> : <TimeText iso={row.original.last_time} />),
        meta: compact ? { track: '110px', min: 110 } : { track: '156px', min: 156 },
      },
      {
        id: 'status',
        header: t('alerts.statusColumn'),
        cell: ({ row }) => <Status alert={row.original} />,
        meta: { track: '150px', min: 150 },
      },
      {
        id: 'tags',
        header: t('alerts.tags'),
        cell: ({ row }) => <Tags tags={row.original.tags} />,
        meta: { track: 'minmax(150px, 1.4fr)', min: 150 },
      },
    ]
    const hidden = new Set(compact ? ['count', 'first', 'status', 'tags'] : [])
    return all.filter((column) => !hidden.has(column.id ?? ''))
  }, [compact, reader, t])
  return (
    <DataTable
      label={t('alerts.queue')}
      columns={columns}
      rows={alerts}
      rowId={(alert) => String(alert.id)}
      rowLabel={(alert) =>
        t('alerts.row', {
          severity: t(`severity.${alert.level}`),
          title: visibleText(alert.title),
          status: t(`status.${alert.status}`),
        })
      }
      rowHeight={36}
      selected={selected}
      onSelect={onSelect}
      onOpen={onOpen}
      card={(alert) => <AlertCard alert={alert} />}
      cardHeight={96}
      footer={footer}
    />
  )
}

function Status({ alert }: { alert: Alert }) {
  const { t } = useTranslation()
  return <StatusText status={alert.status} detail={alert.reason ? t(`reason.${alert.reason}`) : undefined} />
}

function AlertCard({ alert }: { alert: Alert }) {
  return (
    <div className={styles.card}>
      <div className={styles.cardLine}>
        <Severity level={alert.level} />
        <span className={styles.small}>
          <AgoText iso={alert.last_time} />
        </span>
      </div>
      <div className={`${styles.rowTitle} canh-clip`}>{visibleText(alert.title)}</div>
      <div className={styles.cardLine}>
        <Entity entity={alert.entity} />
        <StatusText status={alert.status} />
      </div>
    </div>
  )
}
