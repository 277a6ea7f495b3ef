import { Button, Select } from '@mantine/core'
import { IconEyeQuestion } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'

import { FilterInput } from '~/ui/FilterInput'
import { Page, Panel } from '~/ui/Page'
import { useReader } from '~/ui/reader'
import { EmptyState, QueryState } from '~/ui/States'
import { oneOf } from '~/url/text'
import { CHOICES, matching, type RuleSearch } from './filter'
import { ruleList } from './queries'
import { RuleErrors } from './RuleErrors'
import styles from './rules.module.css'
import { RuleTable } from './RuleTable'

const route = getRouteApi('/app/rules')

export function RulesPage() {
  const { t } = useTranslation()
  const reader = useReader()
  const navigate = useNavigate()
  const search = route.useSearch()
  const { q = '', state = 'all' } = search
  const rules = useQuery(ruleList())
  const items = useMemo(() => matching(rules.data?.items ?? [], { q, state }), [rules.data, q, state])
  const all = rules.data?.items ?? []
  const feeders = all.filter(({ quiet }) => quiet).length
  const waiting = matching(all, { state: 'needs_review' }).length
  const count = all.length - feeders
  const isNarrow = q !== '' || state !== 'all'
  const set = (change: RuleSearch) => {
    const next = { ...search, ...change }
    void navigate({
      to: '/rules',
      search: { ...(next.q ? { q: next.q } : {}), ...(next.state && next.state !== 'all' ? { state: next.state } : {}) },
      replace: true,
    })
  }
  return (
    <Page
      fill
      title={t('rules.title')}
      meta={
        rules.data && (
          <>
            {isNarrow ? t('rules.shown', { shown: reader.count(items.length), total: reader.count(all.length) }) : null}
            {!isNarrow && t('rules.loaded', { count, text: reader.count(count) })}
            {!isNarrow && feeders > 0 && ` · ${t('rules.feeders', { count: feeders, text: reader.count(feeders) })}`}
            {rules.data.loaded_at && ` · ${t('rules.loadedAt', { time: reader.iso(rules.data.loaded_at) })}`}
          </>
        )
      }
      actions={
        <>
          <Select
            aria-label={t('rules.filterState')}
            w={190}
            value={state}
            allowDeselect={false}
            onChange={(value) => set({ state: oneOf(value, CHOICES, 'all') })}
            data={CHOICES.map((choice) => ({ value: choice, label: t(`rules.choice.${choice}`) }))}
          />
          <FilterInput label={t('rules.filter')} value={q} onChange={(text) => set({ q: text })} />
        </>
      }
    >
      {rules.data && rules.data.errors.length > 0 && <RuleErrors errors={rules.data.errors} />}
      {waiting > 0 && state !== 'needs_review' && (
        <section className={styles.waiting} aria-label={t('rules.choice.needs_review')}>
          <IconEyeQuestion size={16} aria-hidden />
          <span>{t('rules.waiting', { count: waiting, text: reader.count(waiting) })}</span>
          <Button size="compact-sm" variant="default" onClick={() => set({ state: 'needs_review' })}>
            {t('rules.showWaiting')}
          </Button>
        </section>
      )}
      <Panel className={styles.panel}>
        <QueryState
          query={rules}
          skeletonRows={8}
          isEmpty={(list) => list.items.length === 0}
          empty={<EmptyState title={t('rules.none')} hint={t('rules.noneHint')} />}
        >
          {() =>
            items.length > 0 ? (
              <RuleTable rules={items} />
            ) : (
              <EmptyState title={q ? t('rules.noneMatch') : t('rules.noneState')} />
            )
          }
        </QueryState>
      </Panel>
    </Page>
  )
}
