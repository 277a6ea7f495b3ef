// The events found, or those that arrive.

import { Button, Loader } from '@mantine/core'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { Panel } from '~/ui/Page'
import { useReader } from '~/ui/reader'
import { EmptyState, QueryState } from '~/ui/States'
import type { Bounds } from '~/url/range'
import type { Event } from './event'
import { EventTable } from './EventTable'
import type { HuntSearch } from './filter'
import type { Filters } from './filters'
import styles from './events.module.css'

interface EventListProps {
  query: {
    data: unknown
    error: unknown
    isPending: boolean
    isFetching: boolean
    isPlaceholderData: boolean
    hasNextPage: boolean
    isFetchingNextPage: boolean
    refetch: () => unknown
    fetchNextPage: () => Promise<unknown>
  }
  live: boolean
  rows: Event[]
  range: Bounds
  selected: string | undefined
  filters: Filters
  invalid: boolean
  onOpen: (event: Event) => void
  onRun: (change?: Partial<HuntSearch>) => void
  tools: ReactNode
}

export function EventList(props: EventListProps) {
  const { query, live, rows, selected, filters, invalid, onOpen, onRun, tools } = props
  const { t } = useTranslation()
  const reader = useReader()
  const stopped = !live && query.isPending && !query.isFetching && query.error === null
  const table = (
    <EventTable
      events={rows}
      selected={selected}
      filters={filters}
      onOpen={onOpen}
      footer={!live && <Foot query={query} />}
    />
  )
  let body: ReactNode
  if (invalid) body = <EmptyState title={t('hunt.fixQuery')} hint={t('hunt.fixQueryHint')} />
  else if (stopped) {
    body = <EmptyState title={t('hunt.stopped')} action={<Button onClick={() => onRun()}>{t('hunt.run')}</Button>} />
  } else if (live) {
    body = rows.length > 0 ? table : <EmptyState icon={<Loader size="sm" type="dots" />} title={t('hunt.liveWaiting')} />
  } else {
    body = (
      <QueryState
        query={query}
        skeletonRows={12}
        isEmpty={() => rows.length === 0 && !query.isPlaceholderData}
        empty={<NothingFound range={props.range} onRun={onRun} />}
      >
        {() => table}
      </QueryState>
    )
  }
  return (
    <Panel className={styles.results}>
      <div className={styles.resultsHead}>
        {tools}
        <span>{t('hunt.results')}</span>
        {rows.length > 0 && <span className="canh-dim canh-num">{t('hunt.shown', { shown: reader.count(rows.length) })}</span>}
        {!live && query.isFetching && <Loader size={13} aria-label={t('hunt.running')} />}
      </div>
      <div className={query.isPlaceholderData && !live ? styles.stale : styles.resultsBody}>{body}</div>
    </Panel>
  )
}

function Foot({ query }: Pick<EventListProps, 'query'>) {
  const { t } = useTranslation()
  if (!query.hasNextPage) return <>{t('hunt.end')}</>
  return (
    <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
      {t('hunt.more')}
    </Button>
  )
}

function NothingFound({ range, onRun }: Pick<EventListProps, 'range' | 'onRun'>) {
  const { t } = useTranslation()
  const reader = useReader()
  return (
    <EmptyState
      title={t('hunt.noneTitle')}
      hint={t('hunt.noneHint', { from: reader.dateTime(range.fromMs), to: reader.dateTime(range.toMs) })}
      action={
        <div className={styles.emptyActions}>
          <Button variant="default" onClick={() => onRun({ from: 'now-7d', to: 'now' })}>
            {t('hunt.widen')}
          </Button>
          <Button variant="default" onClick={() => onRun({ q: '' })}>
            {t('hunt.clearQuery')}
          </Button>
        </div>
      }
    />
  )
}
