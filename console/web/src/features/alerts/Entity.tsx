// What an alert is about: a machine, an account or an address.

import { IconMapPin, IconServer2, IconUser } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import { visibleText } from '~/ui/visible'
import styles from './alerts.module.css'
import type { Alert } from './queries'

const ICONS = { host: IconServer2, user: IconUser, source_ip: IconMapPin }
const NAMES = { host: 'alerts.host', user: 'alerts.user', source_ip: 'alerts.sourceIp' } as const

export function Entity({ entity }: { entity: Alert['entity'] }) {
  const { t } = useTranslation()
  if (entity.kind === 'none') return <span className="canh-dim">–</span>
  const Icon = ICONS[entity.kind]
  return (
    <span className={styles.entity} title={`${t(NAMES[entity.kind])}: ${visibleText(entity.value)}`}>
      <Icon size={13} role="img" aria-label={t(NAMES[entity.kind])} />
      <span className="canh-clip">{visibleText(entity.value)}</span>
    </span>
  )
}
