// The events found, or those that arrive.

import { Button, Loader } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { Panel } from '~/ui/Page'
import { useReader } from '~/ui/reader'
import { EmptyState, QueryState } from '~/ui/States'
import { parseIso } from '~/ui/time'
import { absolute, type Bounds } from '~/url/range'
import type { Event } from './event'
import { EventTable } from './EventTable'
import type { HuntSearch } from './filter'
import type { Filters } from './filters'
import { newestEvent } from './queries'
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
  q: string
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
        empty={<NothingFound range={props.range} q={props.q} onRun={onRun} />}
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

/** Room around an event that was looked for, so that its neighbours are seen too. */
const AROUND_MS = 30 * 60_000

function NothingFound({ range, q, onRun }: Pick<EventListProps, 'range' | 'q' | 'onRun'>) {
  const { t } = useTranslation()
  const reader = useReader()
  const newest = useQuery(newestEvent(q))
  const at = parseIso(newest.data?.items[0]?.time)
  const between = { from: reader.dateTime(range.fromMs), to: reader.dateTime(range.toMs) }
  let hint = t('hunt.noneHint', between)
  if (at !== null) hint = t('hunt.noneNewest', { ...between, time: reader.dateTime(at) })
  else if (newest.data) hint = t('hunt.noneAtAll')
  return (
    <EmptyState
      title={t('hunt.noneTitle')}
      hint={hint}
      action={
        <div className={styles.emptyActions}>
          {at === null ? (
            <Button variant="default" onClick={() => onRun({ from: 'now-7d', to: 'now' })}>
              {t('hunt.widen')}
            </Button>
          ) : (
            <Button variant="default" onClick={() => onRun(absolute(at - AROUND_MS, at + AROUND_MS))}>
              {t('hunt.goNewest')}
            </Button>
          )}
          <Button variant="default" onClick={() => onRun({ q: '' })}>
            {t('hunt.clearQuery')}
          </Button>
        </div>
      }
    />
  )
}
