import { useQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { FilterInput } from '~/ui/FilterInput'
import { Page, Panel } from '~/ui/Page'
import { useReader } from '~/ui/reader'
import { EmptyState, QueryState } from '~/ui/States'
import { ruleList } from './queries'
import { RuleErrors } from './RuleErrors'
import styles from './rules.module.css'
import { RuleTable } from './RuleTable'

const route = getRouteApi('/app/rules')

type Rule = Schemas['RuleView']

/** Rules that only feed others are parts of these; they are found by name, and not listed beside them. */
function matching(rules: Rule[], q: string): Rule[] {
  const wanted = q.trim().toLowerCase()
  if (!wanted) return rules.filter(({ quiet }) => !quiet)
  return rules.filter(({ title, id, file, level, tags }) =>
    [title, id, file, level, ...tags].some((text) => text.toLowerCase().includes(wanted))
  )
}

export function RulesPage() {
  const { t } = useTranslation()
  const reader = useReader()
  const navigate = useNavigate()
  const { q = '' } = route.useSearch()
  const rules = useQuery(ruleList())
  const items = useMemo(() => matching(rules.data?.items ?? [], q), [rules.data, q])
  const total = rules.data?.items.length ?? 0
  const feeders = rules.data?.items.filter(({ quiet }) => quiet).length ?? 0
  const count = total - feeders
  const setQ = (text: string) => void navigate({ to: '/rules', search: text ? { q: text } : {}, replace: true })
  return (
    <Page
      fill
      title={t('rules.title')}
      meta={
        rules.data && (
          <>
            {q ? t('rules.shown', { shown: reader.count(items.length), total: reader.count(total) }) : null}
            {!q && t('rules.loaded', { count, text: reader.count(count) })}
            {!q && feeders > 0 && ` · ${t('rules.feeders', { count: feeders, text: reader.count(feeders) })}`}
            {rules.data.loaded_at && ` · ${t('rules.loadedAt', { time: reader.iso(rules.data.loaded_at) })}`}
          </>
        )
      }
      actions={<FilterInput label={t('rules.filter')} value={q} onChange={setQ} />}
    >
      {rules.data && rules.data.errors.length > 0 && <RuleErrors errors={rules.data.errors} />}
      <Panel className={styles.panel}>
        <QueryState
          query={rules}
          skeletonRows={8}
          isEmpty={(list) => list.items.length === 0}
          empty={<EmptyState title={t('rules.none')} hint={t('rules.noneHint')} />}
        >
          {() => (items.length > 0 ? <RuleTable rules={items} /> : <EmptyState title={t('rules.noneMatch')} />)}
        </QueryState>
      </Panel>
    </Page>
  )
}
