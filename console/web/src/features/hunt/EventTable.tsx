import { Menu, UnstyledButton } from '@mantine/core'
import { IconChevronDown } from '@tabler/icons-react'
import { type ReactNode, useMemo } from 'react'
import { useTranslation } from 'react-i18next'

import { type Column, DataTable } from '~/ui/DataTable'
import { LogText } from '~/ui/LogText'
import { useReader } from '~/ui/reader'
import { parseIso } from '~/ui/time'
import { TimeText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import { type Event, singles, singleText, valueOf } from './event'
import { type Filters, moved } from './filters'
import styles from './events.module.css'
import { ValueButtons } from './ValueButtons'

interface EventTableProps {
  events: Event[]
  selected: string | undefined
  filters: Filters
  onOpen: (event: Event) => void
  footer?: ReactNode
}

export function EventTable({ events, selected, filters, onOpen, footer }: EventTableProps) {
  const { t } = useTranslation()
  const reader = useReader()
  const columns = useMemo<Column<Event>[]>(
    () => [
      {
        id: '@time',
        header: t('hunt.time'),
        cell: (row) => (
          <span className={styles.time}>
            <TimeText iso={row.time} />
          </span>
        ),
        track: '158px', min: 158,
      },
      ...filters.columns.map<Column<Event>>((field) => ({
        id: field,
        header: () => <ColumnHead field={field} filters={filters} />,
        cell: (row) => <Cell event={row} field={field} filters={filters} />,
        ...(field === 'message' ? { track: 'minmax(280px, 6fr)', min: 280 } : { track: 'minmax(120px, 1fr)', min: 120 }),
      })),
    ],
    [filters, t]
  )
  return (
    <DataTable
      label={t('hunt.results')}
      columns={columns}
      rows={events}
      rowId={(event) => event.id}
      rowLabel={(event) => t('hunt.rowLabel', { time: reader.dateTime(parseIso(event.time) ?? 0) })}
      rowHeight={28}
      selected={selected}
      onOpen={onOpen}
      card={(event) => <EventCard event={event} />}
      cardHeight={66}
      footer={footer}
    />
  )
}

function Cell({ event, field, filters }: { event: Event; field: string; filters: Filters }) {
  const values = singles(valueOf(event, field))
  if (values.length === 0) return <span className="canh-dim">–</span>
  return (
    <span className={styles.cell}>
      <LogText text={values.map(singleText).join(', ')} />
      {values.length === 1 && <ValueButtons field={field} value={values[0]} filters={filters} hover />}
    </span>
  )
}

function ColumnHead({ field, filters }: { field: string; filters: Filters }) {
  const { t } = useTranslation()
  const name = visibleText(field)
  const { columns, onColumns } = filters
  const at = columns.indexOf(field)
  return (
    <Menu position="bottom-start">
      <Menu.Target>
        <UnstyledButton className={styles.columnHead} aria-label={t('hunt.columnMenu', { field: name })}>
          <span className="canh-clip">{field === 'message' ? t('hunt.message') : name}</span>
          <IconChevronDown size={12} aria-hidden />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item disabled={at === 0} onClick={() => onColumns(moved(columns, field, -1))}>
          {t('hunt.columnLeft', { field: name })}
        </Menu.Item>
        <Menu.Item disabled={at === columns.length - 1} onClick={() => onColumns(moved(columns, field, 1))}>
          {t('hunt.columnRight', { field: name })}
        </Menu.Item>
        <Menu.Item onClick={() => onColumns(columns.filter((each) => each !== field))}>
          {t('hunt.columnRemove', { field: name })}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}

function EventCard({ event }: { event: Event }) {
  const host = event.fields['host.name']
  return (
    <div className={styles.card}>
      <div className={styles.cardHead}>
        <TimeText iso={event.time} />
        {typeof host === 'string' && <span className="canh-clip">{visibleText(host)}</span>}
      </div>
      <LogText text={event.message} max={240} />
    </div>
  )
}
