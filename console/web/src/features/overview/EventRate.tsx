import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { BarChart } from '~/ui/BarChart'
import { useReader } from '~/ui/reader'
import { EmptyState } from '~/ui/States'
import { parseIso } from '~/ui/time'
import styles from './overview.module.css'

/** Counts per minute, whatever the width of the bars that the server chose. */
function perMinute({ counts, width_ms }: Schemas['HistogramView']): number[] {
  const minutes = width_ms / 60_000
  return counts.map((count) => Math.round(count / minutes))
}

interface EventRateProps {
  events: Schemas['HistogramView']
  perSecond: number
}

export function EventRate({ events, perSecond }: EventRateProps) {
  const { t } = useTranslation()
  const reader = useReader()
  const rates = useMemo(() => perMinute(events), [events])
  // The last bar is still filling.
  const last = rates.at(-2) ?? 0
  const max = Math.max(0, ...rates)
  if (events.total === 0) {
    return <EmptyState title={t('overview.chartEmpty')} hint={t('overview.chartEmptyHint')} />
  }
  return (
    <>
      <dl className={styles.figures}>
        <Figure label={t('overview.perSecondNow')} value={reader.short(perSecond)} strong />
        <Figure label={t('overview.lastMinute')} value={reader.count(last)} />
        <Figure label={t('overview.peak')} value={reader.count(max)} />
        <Figure label={t('overview.lastHour')} value={reader.count(events.total)} />
      </dl>
      <BarChart
        startMs={parseIso(events.start) ?? 0}
        widthMs={events.width_ms}
        counts={rates}
        height={168}
        label={t('overview.chartLabel', { last: reader.count(last), max: reader.count(max) })}
        value={(count) => t('overview.rate', { text: reader.count(count) })}
      />
    </>
  )
}

function Figure({ label, value, strong }: { label: string; value: string; strong?: boolean }) {
  return (
    <div className={strong ? styles.figureStrong : styles.figure}>
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  )
}
