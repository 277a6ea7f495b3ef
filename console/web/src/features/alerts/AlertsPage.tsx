import { Button, SegmentedControl, Select } from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { useInfiniteQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { lazy, Suspense, useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { FilterInput } from '~/ui/FilterInput'
import { Page, Panel } from '~/ui/Page'
import { useReader } from '~/ui/reader'
import { useShortcuts } from '~/ui/shortcuts'
import { SplitView } from '~/ui/SidePanel'
import { EmptyState, LoadingState, QueryState } from '~/ui/States'
import { oneOf } from '~/url/text'
import styles from './alerts.module.css'
import { AlertTable } from './AlertTable'
import { LazyCloseDialog } from './LazyCloseDialog'
import { type AlertSearch, LEVEL_CHOICES, STATUS_CHOICES } from './filter'
import { type Alert, alertList, type Decision, useDecide } from './queries'

const AlertDetails = lazy(() => import('./AlertDetails').then((file) => ({ default: file.AlertDetails })))

const route = getRouteApi('/app/alerts')

export function AlertsPage() {
  const { t } = useTranslation()
  const reader = useReader()
  const navigate = useNavigate()
  const search = route.useSearch()
  const list = useInfiniteQuery(alertList(search))
  const decide = useDecide()
  const [closing, setClosing] = useState<Alert | null>(null)

  const alerts = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data])
  const total = list.data?.pages.at(-1)?.total ?? 0
  const index = alerts.findIndex((alert) => String(alert.id) === search.alert)
  const current = alerts[index]
  const opened = search.view === 'open' && search.alert !== undefined

  const set = (change: Partial<AlertSearch>, replace = true) =>
    void navigate({ to: '/alerts', search: { ...search, ...change }, replace })
  const select = (alert: Alert | undefined) => alert && set({ alert: String(alert.id) })
  const open = (alert: Alert | undefined) => alert && set({ alert: String(alert.id), view: 'open' }, opened)
  const close = () => set({ view: undefined })

  /** A decision that takes the alert out of the list hands the keyboard to its neighbour. */
  const settle = (alert: Alert, decision: Decision) => {
    const neighbour = alerts[index + 1] ?? alerts[index - 1]
    const leaves = search.status !== 'all' && search.status !== decision.status
    decide.mutate(
      { params: { path: { id: alert.id } }, body: decision },
      { onSuccess: () => leaves && set({ alert: neighbour && String(neighbour.id) }) }
    )
  }
  const acknowledge = (alert: Alert) => settle(alert, { status: 'acknowledged' })
  const reopen = (alert: Alert) => settle(alert, { status: 'open' })

  useShortcuts({
    j: () => select(alerts[Math.min(index + 1, alerts.length - 1)]),
    k: () => select(alerts[Math.max(index - 1, 0)]),
    Enter: () => open(current),
    a: () => current?.status === 'open' && acknowledge(current),
    c: () => current && current.status !== 'closed' && setClosing(current),
    e: () => current && current.status !== 'open' && reopen(current),
    Escape: close,
  })

  return (
    <Page
      fill
      title={t('alerts.title')}
      meta={list.data && t('alerts.shown', { shown: reader.count(alerts.length), total: reader.count(total) })}
      actions={<Filters key={search.q} search={search} onChange={set} />}
    >
      <SplitView
        label={t('common.details')}
        opened={opened}
        onClose={close}
        side={
          <Suspense fallback={<LoadingState rows={8} />}>
            <AlertDetails
              id={Number(search.alert)}
              onDismiss={close}
              onAcknowledge={acknowledge}
              onReopen={reopen}
              onClose={setClosing}
            />
          </Suspense>
        }
      >
        <Panel className={styles.panel}>
          <QueryState
            query={list}
            skeletonRows={10}
            isEmpty={() => alerts.length === 0}
            empty={<NoAlerts search={search} onChange={set} />}
          >
            {() => (
              <AlertTable
                alerts={alerts}
                selected={search.alert}
                compact={opened}
                onSelect={select}
                onOpen={open}
                footer={
                  list.hasNextPage && (
                    <Button
                      variant="default"
                      loading={list.isFetchingNextPage}
                      onClick={() => void list.fetchNextPage()}
                    >
                      {t('common.more')}
                    </Button>
                  )
                }
              />
            )}
          </QueryState>
        </Panel>
      </SplitView>
      <LazyCloseDialog alert={closing} onCancel={() => setClosing(null)} onClose={settle} />
    </Page>
  )
}

interface FiltersProps {
  search: AlertSearch
  onChange: (change: Partial<AlertSearch>) => void
}

function Filters({ search, onChange }: FiltersProps) {
  const { t } = useTranslation()
  const [text, setText] = useState(search.q)
  const keepText = useDebouncedCallback((q: string) => onChange({ q }), 350)
  return (
    <>
      <SegmentedControl
        aria-label={t('alerts.filterStatus')}
        value={search.status}
        onChange={(value) => onChange({ status: oneOf(value, STATUS_CHOICES, 'open') })}
        data={[
          { value: 'open', label: t('status.open') },
          { value: 'acknowledged', label: t('status.acknowledged') },
          { value: 'closed', label: t('status.closed') },
          { value: 'all', label: t('alerts.filterAll') },
        ]}
      />
      <Select
        aria-label={t('alerts.filterSeverity')}
        w={150}
        value={search.level}
        onChange={(value) => onChange({ level: oneOf(value, LEVEL_CHOICES, 'all') })}
        data={LEVEL_CHOICES.map((level) => ({
          value: level,
          label: level === 'all' ? t('alerts.anySeverity') : t(`severity.${level}`),
        }))}
      />
      <FilterInput
        label={t('alerts.filterText')}
        value={text}
        onChange={(value) => {
          setText(value)
          keepText(value)
        }}
      />
    </>
  )
}

function NoAlerts({ search, onChange }: FiltersProps) {
  const { t } = useTranslation()
  const isPlain = search.status === 'open' && search.level === 'all' && search.q === ''
  return (
    <EmptyState
      title={isPlain ? t('alerts.noneOpen') : t('alerts.none')}
      hint={isPlain ? t('alerts.noneOpenHint') : t('alerts.noneHint')}
      action={
        <Button variant="default" onClick={() => onChange({ status: 'all', level: 'all', q: '' })}>
          {t('alerts.showAll')}
        </Button>
      }
    />
  )
}
