// The events themselves, as they were sent.

import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import { LogBlock } from '~/ui/LogText'
import { useReader } from '~/ui/reader'
import { EmptyState, QueryState } from '~/ui/States'
import { parseIso } from '~/ui/time'
import { TimeText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import { AnchorLink } from '~/url/links'
import { absolute } from '~/url/range'
import styles from './alerts.module.css'
import { type AlertDetail, alertEvents } from './queries'

/** More ids than this make an address that some proxies refuse. */
const IDS_IN_LINK = 30
const AROUND_MS = 5 * 60_000

/** A hunt for exactly these events. */
function huntFor({ alert, event_ids }: AlertDetail) {
  const ids = event_ids.slice(0, IDS_IN_LINK)
  const first = parseIso(alert.first_time) ?? 0
  const last = parseIso(alert.last_time) ?? 0
  return { q: ids.length > 0 ? `id:(${ids.join(' OR ')})` : '', ...absolute(first - AROUND_MS, last + AROUND_MS) }
}

export function AlertEvents({ detail }: { detail: AlertDetail }) {
  const { t } = useTranslation()
  const reader = useReader()
  const events = useQuery(alertEvents(detail.alert.id))
  return (
    <section className={styles.section} aria-labelledby="alert-events">
      <h3 id="alert-events" className={styles.sectionTitle}>
        {t('alerts.events')}
        <AnchorLink to="/hunt" search={huntFor(detail)} className={styles.sectionLink}>
          {t('alerts.huntEvents')}
        </AnchorLink>
      </h3>
      <QueryState
        query={events}
        skeletonRows={3}
        isEmpty={(list) => list.items.length === 0}
        empty={<EmptyState small title={t('alerts.eventsNone')} hint={t('alerts.eventsNoneHint')} />}
      >
        {(list) => (
          <>
            <ol className={styles.events}>
              {list.items.map((event) => {
                const at = parseIso(event.time) ?? 0
                const host = event.fields['host.name']
                return (
                  <li key={event.id}>
                    <div className={styles.eventHead}>
                      <Link
                        to="/hunt"
                        search={{ ...absolute(at - AROUND_MS, at + AROUND_MS), event: event.id }}
                        title={t('alerts.huntEvents')}
                      >
                        <TimeText iso={event.time} millis />
                      </Link>
                      {typeof host === 'string' && <span>{visibleText(host)}</span>}
                    </div>
                    <LogBlock text={event.raw || event.message} first={600} />
                  </li>
                )
              })}
            </ol>
            {list.missing.length > 0 && (
              <p className={styles.quiet}>
                {t('alerts.eventsMissing', { count: list.missing.length, text: reader.count(list.missing.length) })}
              </p>
            )}
          </>
        )}
      </QueryState>
    </section>
  )
}
