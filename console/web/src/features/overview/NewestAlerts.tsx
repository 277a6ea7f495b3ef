import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { Severity, StatusText } from '~/ui/Severity'
import { EmptyState } from '~/ui/States'
import { AgoText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import styles from './overview.module.css'

export function NewestAlerts({ alerts }: { alerts: Schemas['AlertView'][] }) {
  const { t } = useTranslation()
  if (alerts.length === 0) return <EmptyState small title={t('overview.newestAlertsNone')} />
  return (
    <ul className={styles.alerts}>
      {alerts.map((alert) => (
        <li key={alert.id}>
          <Link
            to="/alerts"
            search={{ status: 'all', alert: String(alert.id), view: 'open' }}
            className={styles.alert}
          >
            <span className={styles.alertLevel}>
              <Severity level={alert.level} />
            </span>
            <span className={`${styles.alertTitle} canh-clip`} title={visibleText(alert.title)}>{visibleText(alert.title)}</span>
            <span className={`${styles.alertEntity} canh-mono canh-clip`}>{visibleText(alert.entity.value)}</span>
            <span className={styles.alertStatus}>
              <StatusText status={alert.status} />
            </span>
            <span className={styles.alertTime}>
              <AgoText iso={alert.last_time} />
            </span>
          </Link>
        </li>
      ))}
    </ul>
  )
}
