// What people decided about the alert.

import { useTranslation } from 'react-i18next'

import { StatusText } from '~/ui/Severity'
import { TimeText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import styles from './alerts.module.css'
import type { AlertDetail } from './queries'

export function AlertHistory({ entries }: { entries: AlertDetail['history'] }) {
  const { t } = useTranslation()
  return (
    <section className={styles.section} aria-labelledby="alert-history">
      <h3 id="alert-history" className={styles.sectionTitle}>
        {t('alerts.history')}
      </h3>
      {entries.length === 0 ? (
        <p className={styles.quiet}>{t('alerts.historyNone')}</p>
      ) : (
        <ol className={styles.history}>
          {entries.map((entry) => (
            <li key={`${entry.at}/${entry.status}`}>
              <TimeText iso={entry.at} />
              <StatusText status={entry.status} detail={entry.reason ? t(`reason.${entry.reason}`) : undefined} />
              <span className="canh-dim">
                {t('alerts.changedBy', { user: entry.who ? visibleText(entry.who) : 'Canh' })}
              </span>
              {entry.note && <p className={styles.note}>{visibleText(entry.note)}</p>}
            </li>
          ))}
        </ol>
      )}
    </section>
  )
}
