import { ActionIcon, Tooltip } from '@mantine/core'
import { useDisclosure, useMediaQuery } from '@mantine/hooks'
import { IconLayoutSidebarLeftCollapse, IconLayoutSidebarLeftExpand } from '@tabler/icons-react'
import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { lazy, Suspense, useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { isApiError } from '~/api/errors'
import { filterExists, filterIn, filterOut } from '~/query/terms'
import { LazyDrawer } from '~/ui/LazyDrawer'
import { Page } from '~/ui/Page'
import { useShortcuts } from '~/ui/shortcuts'
import { SplitView } from '~/ui/SidePanel'
import { LoadingState } from '~/ui/States'
import { absolute, bounds, zoomedOut } from '~/url/range'
import { EventList } from './EventList'
import { FieldSidebar } from './FieldSidebar'
import { DEFAULT_COLUMNS, DEFAULT_RANGE, type HuntSearch } from './filter'
import { Hints } from './Hints'
import { Histogram } from './Histogram'
import styles from './hunt.module.css'
import { LiveBar } from './LiveBar'
import { eventPages, foundFields, histogram, huntOf, isHuntQuery } from './queries'
import { QueryBar } from './QueryBar'
import { QueryError } from './QueryError'
import { useTail } from './useTail'

const EventDetails = lazy(() => import('./EventDetails').then((file) => ({ default: file.EventDetails })))

const route = getRouteApi('/app/hunt')

/** Refusals that are about the words of the query and belong next to it. */
const QUERY_ERRORS = new Set(['query_invalid', 'query_unsupported', 'field_unknown'])

export function HuntPage() {
  const { t } = useTranslation()
  const navigate = useNavigate()
  const client = useQueryClient()
  const search = route.useSearch()
  // "Now" stands still between two runs, so that the table, the chart and the fields speak of the same events.
  const [anchor, setAnchor] = useState(() => Date.now())
  const [paused, setPaused] = useState(false)
  const [fieldsOpen, fieldsToggle] = useDisclosure(true)
  const [fieldsDrawer, drawer] = useDisclosure(false)
  const narrow = useMediaQuery('(max-width: 1000px)', false, { getInitialValueInEffect: false })
  const tight = useMediaQuery('(max-width: 1700px)', false, { getInitialValueInEffect: false })
  // Where details take half of the window, the fields come as a drawer.
  const asDrawer = narrow || (tight && search.event !== undefined)
  const beside = fieldsOpen && !asDrawer

  const range = useMemo(
    () => bounds(search, anchor) ?? bounds(DEFAULT_RANGE, anchor) ?? { fromMs: anchor - 1, toMs: anchor },
    [anchor, search]
  )
  const hunt = useMemo(() => huntOf(search.q, range), [range, search.q])
  const live = search.live === 'on'
  const events = useInfiniteQuery({ ...eventPages(hunt), enabled: !live })
  const bars = useQuery({ ...histogram(hunt), enabled: !live })
  const fields = useQuery(foundFields(hunt))
  const tail = useTail(hunt.q, live, paused)
  const rows = useMemo(
    () => (live ? tail.events : (events.data?.pages.flatMap((page) => page.items) ?? [])),
    [events.data, live, tail.events]
  )

  const problem = [events.error, fields.error].find((error) => isApiError(error) && QUERY_ERRORS.has(error.code))
  const queryError = isApiError(problem) ? problem : null
  const busy = !live && (events.isFetching || bars.isFetching)

  const set = (change: Partial<HuntSearch>, replace = false) =>
    void navigate({ to: '/hunt', search: { ...search, ...change }, replace })
  const run = (change: Partial<HuntSearch> = {}) => {
    setAnchor(Date.now())
    set({ event: undefined, ...change })
  }
  const stop = () => void client.cancelQueries({ predicate: isHuntQuery })
  const filters = {
    onIn: (field: string, value: string) => run({ q: filterIn(search.q, field, value), event: search.event }),
    onOut: (field: string, value: string) => run({ q: filterOut(search.q, field, value), event: search.event }),
    onExists: (field: string) => run({ q: filterExists(search.q, field), event: search.event }),
    columns: search.columns,
    onColumns: (columns: string[]) => set({ columns: columns.length > 0 ? columns : [...DEFAULT_COLUMNS] }, true),
  }

  const index = rows.findIndex((event) => event.id === search.event)
  const go = (to: number) => {
    const event = rows[Math.min(Math.max(to, 0), rows.length - 1)]
    if (event) set({ event: event.id }, true)
  }
  useShortcuts({
    j: () => go(index + 1),
    k: () => go(index - 1),
    Escape: () => (busy ? stop() : set({ event: undefined }, true)),
  })

  const sidebar = <FieldSidebar fields={fields} hunt={hunt} filters={filters} hidden={queryError !== null} />
  const FieldsIcon = beside ? IconLayoutSidebarLeftCollapse : IconLayoutSidebarLeftExpand
  const fieldsLabel = beside ? t('hunt.hideFields') : t('hunt.showFields')
  return (
    <Page fill title={t('hunt.title')}>
      <QueryBar
        search={search}
        range={range}
        busy={busy}
        live={live}
        onRun={run}
        onStop={stop}
        onRange={(next) => run(next)}
        onLive={() => {
          setPaused(false)
          run({ live: live ? undefined : 'on' })
        }}
      />
      {queryError && <QueryError query={hunt.q} error={queryError} />}
      {!queryError && !live && <Hints hints={events.data?.pages[0]?.hints ?? []} />}
      {!queryError && live && <LiveBar tail={tail} paused={paused} onPause={() => setPaused(!paused)} />}
      {!queryError && !live && (
        <Histogram
          query={bars}
          pages={events.data?.pages}
          onZoom={(fromMs, toMs) => run(absolute(fromMs, toMs))}
          onZoomOut={() => run(zoomedOut(range, Date.now()))}
        />
      )}
      <SplitView
        label={t('hunt.event')}
        opened={search.event !== undefined}
        onClose={() => set({ event: undefined }, true)}
        side={
          search.event && (
            <Suspense fallback={<LoadingState rows={10} />}>
              <EventDetails
                id={search.event}
                filters={filters}
                onPrevious={index > 0 ? () => go(index - 1) : undefined}
                onNext={index >= 0 && index < rows.length - 1 ? () => go(index + 1) : undefined}
                onDismiss={() => set({ event: undefined }, true)}
              />
            </Suspense>
          )
        }
      >
        <div className={styles.body}>
          {beside && queryError === null && <aside className={styles.sidebar}>{sidebar}</aside>}
          <EventList
            query={events}
            live={live}
            rows={rows}
            range={range}
            q={search.q}
            selected={search.event}
            filters={filters}
            invalid={queryError !== null}
            onOpen={(event) => set({ event: event.id }, search.event !== undefined)}
            onRun={run}
            tools={
              <Tooltip label={fieldsLabel}>
                <ActionIcon
                  size="sm"
                  aria-label={fieldsLabel}
                  aria-expanded={asDrawer ? fieldsDrawer : fieldsOpen}
                  onClick={asDrawer ? drawer.open : fieldsToggle.toggle}
                >
                  <FieldsIcon size={16} aria-hidden />
                </ActionIcon>
              </Tooltip>
            }
          />
        </div>
      </SplitView>
      <LazyDrawer
        opened={asDrawer && fieldsDrawer}
        onClose={drawer.close}
        title={t('hunt.fields')}
        size={320}
        closeButtonProps={{ 'aria-label': t('common.close') }}
        classNames={{ body: styles.drawerBody ?? '' }}
      >
        {sidebar}
      </LazyDrawer>
    </Page>
  )
}
