import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { term } from '~/query/terms'
import { agentName, AgentStatus } from '~/ui/AgentStatus'
import { type Column, DataTable } from '~/ui/DataTable'
import { useReader } from '~/ui/reader'
import { AgoText, TimeText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import { AnchorLink } from '~/url/links'
import styles from './agents.module.css'

type Agent = Schemas['AgentView']

export function AgentTable({ agents }: { agents: Agent[] }) {
  const { t } = useTranslation()
  const reader = useReader()
  const spools = agents.some(({ spool_bytes }) => typeof spool_bytes === 'number')
  const columns = useMemo<Column<Agent>[]>(() => {
    const all: Column<Agent>[] = [
      {
        id: 'status',
        header: t('agents.status'),
        cell: (row) => <AgentStatus status={row.status} />,
        track: '136px', min: 136,
      },
      {
        id: 'host',
        header: t('agents.host'),
        cell: (row) => <Name agent={row} />,
        track: 'minmax(260px, 3fr)', min: 260,
      },
      {
        id: 'kind',
        header: t('agents.kind'),
        cell: (row) => (
          <span className={styles.two}>
            <span>{t(`agents.kinds.${row.kind}`)}</span>
            <span className={styles.small}>{row.version && visibleText(row.version)}</span>
          </span>
        ),
        track: 'minmax(120px, 1fr)', min: 120,
      },
      {
        id: 'lastSeen',
        header: t('agents.lastSeen'),
        cell: (row) => <Seen iso={row.last_seen} />,
        track: '164px', min: 164,
      },
      {
        id: 'firstSeen',
        header: t('agents.firstSeen'),
        cell: (row) => (
          <span className={styles.small}>
            <TimeText iso={row.first_seen} />
          </span>
        ),
        track: '150px', min: 150,
      },
      {
        id: 'events',
        header: t('agents.events'),
        cell: (row) => (
          <span className={styles.two}>
            <span className={styles.num}>{reader.count(row.events)}</span>
            <span className={styles.small}>{reader.bytes(row.bytes)}</span>
          </span>
        ),
        track: '120px', min: 120, align: 'right',
      },
      {
        id: 'dropped',
        header: t('agents.dropped'),
        cell: (row) => <Dropped agent={row} />,
        track: 'minmax(130px, 1fr)', min: 130, align: 'right',
      },
      {
        id: 'spool',
        header: t('agents.spool'),
        cell: (row) => <Spool bytes={row.spool_bytes} />,
        track: '140px', min: 140, align: 'right',
      },
    ]
    // Only agents have a spool, and none of them may have told its size.
    return all.filter(({ id }) => spools || id !== 'spool')
  }, [reader, spools, t])
  return (
    <DataTable
      label={t('agents.title')}
      columns={columns}
      rows={agents}
      rowId={(agent) => agent.id}
      rowHeight={46}
      card={(agent) => <AgentCard agent={agent} />}
      cardHeight={86}
    />
  )
}

function Name({ agent }: { agent: Agent }) {
  const { t } = useTranslation()
  const host = agentName(agent)
  const q = term(agent.kind === 'agent' ? 'agent.id' : 'canh.source', agent.id)
  return (
    <span className={styles.two}>
      <AnchorLink
        to="/hunt"
        search={{ q }}
        className={`${styles.name} canh-clip`}
        title={t('agents.hunt', { host })}
      >
        {host}
      </AnchorLink>
      <span className={`${styles.small} canh-mono canh-clip`} title={visibleText(agent.id)}>
        {visibleText(agent.id)}
      </span>
    </span>
  )
}

function Seen({ iso }: { iso: string }) {
  return (
    <span className={styles.two}>
      <AgoText iso={iso} />
      <span className={styles.small}>
        <TimeText iso={iso} />
      </span>
    </span>
  )
}

function Dropped({ agent }: { agent: Agent }) {
  const { t } = useTranslation()
  const reader = useReader()
  const lost = agent.dropped.filter(({ count }) => count > 0)
  if (lost.length === 0) return <span className="canh-dim">{t('agents.droppedNone')}</span>
  return (
    <span className={styles.two}>
      {lost.map(({ reason, count }) => (
        <span key={reason} className={`${styles.lost} canh-clip`}>
          {reader.count(count)} {visibleText(reason)}
        </span>
      ))}
    </span>
  )
}

function Spool({ bytes }: { bytes: number | null | undefined }) {
  const { t } = useTranslation()
  const reader = useReader()
  if (bytes === null || bytes === undefined) return <span className="canh-dim">–</span>
  return <span className={styles.num}>{bytes === 0 ? t('agents.spoolEmpty') : reader.bytes(bytes)}</span>
}

function AgentCard({ agent }: { agent: Agent }) {
  const reader = useReader()
  const { t } = useTranslation()
  return (
    <div className={styles.card}>
      <Name agent={agent} />
      <AgentStatus status={agent.status} />
      <span className={styles.small}>
        <AgoText iso={agent.last_seen} />
      </span>
      <span className={styles.small}>
        {reader.count(agent.events)} {t('agents.events').toLocaleLowerCase()}
      </span>
    </div>
  )
}
