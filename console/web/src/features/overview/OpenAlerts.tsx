import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { useReader } from '~/ui/reader'
import { SeverityIcon } from '~/ui/Severity'
import styles from './overview.module.css'

export function OpenAlerts({ alerts }: { alerts: Schemas['AlertCounts'] }) {
  const { t } = useTranslation()
  const reader = useReader()
  const most = Math.max(1, ...alerts.open_by_level.map(({ count }) => count))
  return (
    <div className={styles.open}>
      <Link to="/alerts" className={styles.openTotal}>
        <b>{reader.count(alerts.open)}</b>
        <span>
          {t('overview.openNow')}
          <br />
          {t('overview.acknowledged', { text: reader.count(alerts.acknowledged) })}
        </span>
      </Link>
      <ul className={styles.levels}>
        {alerts.open_by_level.map(({ level, count }) => (
          <li key={level}>
            <Link
              to="/alerts"
              search={{ level }}
              className={styles.level}
            >
              <SeverityIcon level={level} size={15} />
              <span className={styles.levelName}>{t(`severity.${level}`)}</span>{' '}
              <span className={styles.levelBar} aria-hidden>
                <span style={{ width: `${(count / most) * 100}%`, background: `var(--canh-${level})` }} />
              </span>
              <span className={count > 0 ? styles.levelCount : styles.levelNone}>
                {reader.count(count)}
                <span className="canh-unseen"> {t('overview.openNow')}</span>
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </div>
  )
}
