import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { agentName, AgentStatus } from '~/ui/AgentStatus'
import { useReader } from '~/ui/reader'
import { EmptyState } from '~/ui/States'
import { AgoText } from '~/ui/TimeText'
import styles from './overview.module.css'

const SHOWN = 8

/** Silent ones first: they are why somebody looks here. */
function worstFirst(agents: Schemas['AgentView'][]) {
  const rank = { silent: 0, online: 1, demo: 2 }
  return agents.toSorted((a, b) => rank[a.status] - rank[b.status]).slice(0, SHOWN)
}

export function AgentsPanel({ agents }: { agents: Schemas['AgentView'][] }) {
  const { t } = useTranslation()
  const reader = useReader()
  const online = agents.filter(({ status }) => status === 'online').length
  const demo = agents.filter(({ status }) => status === 'demo').length
  if (agents.length === 0) {
    return <EmptyState small title={t('overview.noAgents')} hint={t('overview.noAgentsHint')} />
  }
  return (
    <>
      <p className={styles.summary}>
        {t('overview.agentsOnline', { online: reader.count(online), total: reader.count(agents.length - demo) })}
        {demo > 0 && ` · ${t('overview.agentsDemo', { count: demo, text: reader.count(demo) })}`}
      </p>
      <ul className={styles.agents}>
        {worstFirst(agents).map((agent) => (
          <li key={agent.id}>
            <Link to="/agents" search={{ q: agent.id }} className={styles.agent}>
              <AgentStatus status={agent.status} />
              <span className={`${styles.agentName} canh-clip`}>
                {agentName(agent)}
                {agent.kind !== 'agent' && <span className="canh-dim"> · {t(`agents.kinds.${agent.kind}`)}</span>}
              </span>
              <span className={styles.alertTime}>
                <AgoText iso={agent.last_seen} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </>
  )
}
