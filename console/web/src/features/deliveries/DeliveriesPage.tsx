import { SegmentedControl } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'

import { FilterInput } from '~/ui/FilterInput'
import { Page, Panel } from '~/ui/Page'
import { useReader } from '~/ui/reader'
import { useShortcuts } from '~/ui/shortcuts'
import { SplitView } from '~/ui/SidePanel'
import { EmptyState, QueryState } from '~/ui/States'
import { oneOf } from '~/url/text'
import styles from './deliveries.module.css'
import { DeliveryTable } from './DeliveryTable'
import { type DeliverySearch, SPANS } from './filter'
import { Gaps } from './Gaps'
import { type Line, ledger } from './queries'
import { SourceDetails } from './SourceDetails'

const route = getRouteApi('/app/deliveries')

function matching(lines: Line[], q: string): Line[] {
  const wanted = q.trim().toLowerCase()
  if (!wanted) return lines
  return lines.filter(({ source, host }) => [source, host].some((text) => text?.toLowerCase().includes(wanted)))
}

export function DeliveriesPage() {
  const { t } = useTranslation()
  const reader = useReader()
  const navigate = useNavigate()
  const search = route.useSearch()
  const page = useQuery(ledger(search.span))
  const lines = useMemo(() => matching(page.data?.lines ?? [], search.q), [page.data, search.q])
  const missing = useMemo(() => page.data?.gaps.filter(({ healed }) => typeof healed !== 'string') ?? [], [page.data])
  const set = (change: Partial<DeliverySearch>) =>
    void navigate({ to: '/deliveries', search: { ...search, ...change }, replace: true })
  const close = () => set({ source: undefined })
  useShortcuts({ Escape: close })

  const received = lines.reduce((sum, line) => sum + line.received - line.duplicates, 0)
  const stored = lines.reduce((sum, line) => sum + line.stored, 0)
  return (
    <Page
      fill
      title={t('deliveries.title')}
      meta={
        page.data && t('deliveries.sum', { received: reader.count(received), stored: reader.count(stored) })
      }
      actions={
        <>
          <SegmentedControl
            aria-label={t('deliveries.span')}
            value={search.span}
            onChange={(value) => set({ span: oneOf(value, SPANS, 'h24') })}
            data={SPANS.map((span) => ({ value: span, label: t(`deliveries.spans.${span}`) }))}
          />
          <FilterInput label={t('deliveries.filter')} value={search.q} onChange={(q) => set({ q })} />
        </>
      }
    >
      {missing.length > 0 && (
        <Panel className={styles.missing} title={t('deliveries.missing')}>
          <Gaps gaps={missing} left={page.data?.gaps_left ?? 0} />
        </Panel>
      )}
      <SplitView
        label={t('common.details')}
        opened={search.source !== undefined}
        onClose={close}
        side={
          search.source !== undefined && (
            <SourceDetails key={search.source} source={search.source} span={search.span} onDismiss={close} />
          )
        }
      >
        <Panel className={styles.panel}>
          <QueryState
            query={page}
            skeletonRows={8}
            isEmpty={(data) => data.lines.length === 0}
            empty={<EmptyState title={t('deliveries.none')} hint={t('deliveries.noneHint')} />}
          >
            {() =>
              lines.length > 0 ? (
                <DeliveryTable
                  lines={lines}
                  compact={search.source !== undefined}
                  selected={search.source}
                  onOpen={({ source }) => set({ source })}
                />
              ) : (
                <EmptyState title={t('deliveries.noneMatch')} />
              )
            }
          </QueryState>
        </Panel>
      </SplitView>
    </Page>
  )
}
