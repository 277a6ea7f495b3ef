// Whether a sender is heard of: icon, colour and word.

import { IconPlugConnected, IconPlugConnectedX, IconTestPipe } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import styles from './AgentStatus.module.css'
import { visibleText } from './visible'

/** Its host; of a sender that has told none, where it sends from, without the door that its id begins with. */
export function agentName({ host, id, kind }: Pick<Schemas['AgentView'], 'host' | 'id' | 'kind'>): string {
  return visibleText(host ?? (kind === 'agent' ? id : id.replace(/^[a-z_]+:/, '')))
}

const ICONS = { online: IconPlugConnected, silent: IconPlugConnectedX, demo: IconTestPipe }

export function AgentStatus({ status }: { status: Schemas['AgentView']['status'] }) {
  const { t } = useTranslation()
  const Icon = ICONS[status]
  return (
    <span className={`${styles.status} ${styles[status]}`} title={status === 'demo' ? t('agents.demoNote') : undefined}>
      <Icon size={14} aria-hidden />
      {t(`agents.${status}`)}
    </span>
  )
}
