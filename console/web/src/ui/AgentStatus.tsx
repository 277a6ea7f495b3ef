// Whether a sender is heard of: icon, colour and word.

import { IconPlugConnected, IconPlugConnectedX } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import styles from './AgentStatus.module.css'

export function AgentStatus({ status }: { status: 'online' | 'silent' }) {
  const { t } = useTranslation()
  const Icon = status === 'online' ? IconPlugConnected : IconPlugConnectedX
  return (
    <span className={`${styles.status} ${styles[status]}`}>
      <Icon size={14} aria-hidden />
      {t(`agents.${status}`)}
    </span>
  )
}
