// Whether all that a sender sent is here: icon, colour and word.

import { IconAlertTriangle, IconCircleCheck, IconClockHour4 } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import { useReader } from '~/ui/reader'
import { visibleText } from '~/ui/visible'
import styles from './deliveries.module.css'
import type { Line } from './queries'

const ICONS = { gap: IconAlertTriangle, waiting: IconClockHour4, complete: IconCircleCheck }

export function State({ state }: { state: Line['state'] }) {
  const { t } = useTranslation()
  const Icon = ICONS[state]
  return (
    <span className={styles.state} data-state={state} title={t(`deliveries.about.${state}`)}>
      <Icon size={14} aria-hidden />
      {t(`deliveries.state.${state}`)}
    </span>
  )
}

const UNITS = [
  { unit: 'day', ms: 86_400_000 },
  { unit: 'hour', ms: 3_600_000 },
  { unit: 'minute', ms: 60_000 },
  { unit: 'second', ms: 1_000 },
] as const

/** How far the sender's clock is away, in words; nothing where it is right, or where nobody can tell. */
export function Clock({ line, exact = false }: { line: Line; exact?: boolean }) {
  const { t } = useTranslation()
  const reader = useReader()
  const behind = line.clock_behind_ms
  if (typeof behind !== 'number' || (!line.clock_off && !exact)) return null
  const size = UNITS.find(({ ms }) => Math.abs(behind) >= ms)
  if (!size) return null
  const text = reader.count(Math.floor(Math.abs(behind) / size.ms))
  return (
    <span className={`${line.clock_off ? styles.clock : styles.small} canh-clip`} title={t('deliveries.clock.about')}>
      {t(`deliveries.clock.${behind > 0 ? 'behind' : 'ahead'}`, { text: t(`deliveries.clock.${size.unit}`, { text }) })}
    </span>
  )
}

/** What was lost, by reason; nothing for a sender that lost nothing. */
export function Lost({ line }: { line: Line }) {
  const { t } = useTranslation()
  const lost = line.dropped.map(({ reason, records }) => ({ reason, records, label: reason }))
  const missed = line.missed > 0 ? [{ reason: 'missed', records: line.missed, label: t('deliveries.missed') }] : []
  const all = [...lost, ...missed]
  if (all.length === 0) return <span className="canh-dim">–</span>
  return (
    <span className={styles.two}>
      {all.map(({ reason, records, label }) => (
        <LostLine key={reason} reason={label} records={records} cut={reason === 'truncated'} />
      ))}
    </span>
  )
}

/** A count of what was lost. A record that was cut is not lost, so it is not in the colour of alarm. */
function LostLine({ reason, records, cut }: { reason: string; records: number; cut: boolean }) {
  const reader = useReader()
  return (
    <span className={`${cut ? styles.small : styles.lost} canh-clip`} title={visibleText(reason)}>
      {reader.count(records)} {visibleText(reason)}
    </span>
  )
}
