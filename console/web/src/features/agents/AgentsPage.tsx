import { useQuery } from '@tanstack/react-query'
import { getRouteApi, useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { FilterInput } from '~/ui/FilterInput'
import { Page, Panel } from '~/ui/Page'
import { useReader } from '~/ui/reader'
import { EmptyState, QueryState } from '~/ui/States'
import styles from './agents.module.css'
import { AgentTable } from './AgentTable'
import { agentList } from './queries'

const route = getRouteApi('/app/agents')

type Agent = Schemas['AgentView']

function matching(agents: Agent[], q: string): Agent[] {
  const wanted = q.trim().toLowerCase()
  if (!wanted) return agents
  return agents.filter(({ id, host, version, kind }) =>
    [id, host, version, kind].some((text) => text?.toLowerCase().includes(wanted))
  )
}

export function AgentsPage() {
  const { t } = useTranslation()
  const reader = useReader()
  const navigate = useNavigate()
  const { q = '' } = route.useSearch()
  const agents = useQuery(agentList())
  const items = useMemo(() => matching(agents.data?.items ?? [], q), [agents.data, q])
  const setQ = (text: string) => void navigate({ to: '/agents', search: text ? { q: text } : {}, replace: true })
  return (
    <Page
      fill
      title={t('agents.title')}
      meta={agents.data && t('agents.silentAfter', { text: reader.count(agents.data.silent_after_s) })}
      actions={<FilterInput label={t('agents.filter')} value={q} onChange={setQ} />}
    >
      <Panel className={styles.panel}>
        <QueryState
          query={agents}
          skeletonRows={8}
          isEmpty={(list) => list.items.length === 0}
          empty={<EmptyState title={t('agents.none')} hint={t('agents.noneHint')} />}
        >
          {() =>
            items.length > 0 ? <AgentTable agents={items} /> : <EmptyState title={t('agents.noneMatch')} />
          }
        </QueryState>
      </Panel>
    </Page>
  )
}
