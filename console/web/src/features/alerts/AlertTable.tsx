import { useMediaQuery } from '@mantine/hooks'
import { type ReactNode, useMemo } from 'react'
import { useTranslation } from 'react-i18next'

import { type Column, DataTable } from '~/ui/DataTable'
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
  const wide = useMediaQuery('(min-width: 1700px)', true, { getInitialValueInEffect: false })
  const columns = useMemo<Column<Alert>[]>(() => {
    const all: Column<Alert>[] = [
      {
        id: 'level',
        header: t('alerts.severityColumn'),
        cell: (row) => <Severity level={row.level} />,
        track: '122px', min: 122,
      },
      {
        id: 'title',
        header: t('alerts.titleColumn'),
        cell: (row) => (
          <span className={styles.rowTitle} title={visibleText(row.title)}>
            {visibleText(row.title)}
          </span>
        ),
        track: 'minmax(220px, 4fr)', min: 220,
      },
      {
        id: 'entity',
        header: t('alerts.entity'),
        cell: (row) => <Entity entity={row.entity} />,
        track: 'minmax(130px, 1.3fr)', min: 130,
      },
      {
        id: 'count',
        header: t('alerts.count'),
        cell: (row) => reader.count(row.count),
        track: '76px', min: 76, align: 'right',
      },
      {
        id: 'first',
        header: t('alerts.first'),
        cell: (row) => <TimeText iso={row.first_time} />,
        track: '156px', min: 156,
      },
      {
        id: 'last',
        header: t('alerts.last'),
        cell: (row) => (compact ? <AgoText iso={row.last_time} /> : <TimeText iso={row.last_time} />),
        ...(compact ? { track: '110px', min: 110 } : { track: '156px', min: 156 }),
      },
      {
        id: 'status',
        header: t('alerts.statusColumn'),
        cell: (row) => <Status alert={row} />,
        track: '150px', min: 150,
      },
      {
        id: 'tags',
        header: t('alerts.tags'),
        cell: (row) => <Tags tags={row.tags} most={2} />,
        track: '204px', min: 204,
      },
    ]
    const hidden = new Set(compact ? ['count', 'first', 'status', 'tags'] : wide ? [] : ['first'])
    return all.filter((column) => !hidden.has(column.id ?? ''))
  }, [compact, reader, t, wide])
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
