// What a rule would have found: the forecast, alerts over time, and the newest findings with their events.

import { IconAlertTriangle } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { BarChart } from '~/ui/BarChart'
import { useReader } from '~/ui/reader'
import { Severity } from '~/ui/Severity'
import { parseIso } from '~/ui/time'
import { TimeText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import { AnchorLink } from '~/url/links'
import { absolute } from '~/url/range'
import type { Backtest } from './queries'
import styles from './rule.module.css'

const HOUR_MS = 3_600_000
const AROUND_MS = 5 * 60_000
/** Less than this is not missed on a chart of days. */
const SHORT_OF_MS = HOUR_MS

export function BacktestResult({ result }: { result: Backtest }) {
  const { t } = useTranslation()
  const reader = useReader()
  const hourly = result.hours.length > 0
  const bars = hourly ? result.hours : result.days
  const counts = bars.map(({ alerts }) => alerts)
  const label = t(hourly ? 'rules.alertsByHour' : 'rules.alertsByDay')
  return (
    <>
      <dl className={styles.figures}>
        <Figure label={t('rules.forecast')} strong>
          {t('rules.aDay', { count: Math.round(result.alerts_per_day * 10) / 10, text: reader.decimal(result.alerts_per_day) })}
        </Figure>
        <Figure label={t('rules.alerts')}>{reader.count(result.alerts)}</Figure>
        <Figure label={t('rules.findings')}>{reader.count(result.findings)}</Figure>
        <Figure label={t('rules.eventsRead')}>{reader.count(result.events)}</Figure>
      </dl>
      <Warnings result={result} />
      <h3 className={styles.subtitle}>{label}</h3>
      <BarChart
        startMs={parseIso(bars[0]?.from) ?? 0}
        widthMs={hourly ? HOUR_MS : 24 * HOUR_MS}
        counts={counts}
        height={132}
        label={`${label}: ${counts.map((count) => reader.count(count)).join(', ')}`}
        value={(count) => t('rules.alertCount', { count, text: reader.count(count) })}
      />
      <h3 className={styles.subtitle}>{t('rules.examples')}</h3>
      {result.examples.length === 0 ? (
        <p className={styles.quiet}>{t('rules.noExamples')}</p>
      ) : (
        // The table scrolls sideways, so the keyboard must reach it.
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <div className={styles.scroll} tabIndex={0} role="group" aria-label={t('rules.examples')}>
          <table className={styles.examples}>
            <thead>
              <tr>
                <th>{t('rules.time')}</th>
                <th>{t('rules.level')}</th>
                <th>{t('alerts.host')}</th>
                <th>{t('alerts.user')}</th>
                <th>{t('alerts.sourceIp')}</th>
                <th>{t('rules.events')}</th>
              </tr>
            </thead>
            <tbody>
              {result.examples.map((example) => (
                <tr key={`${example.time} ${example.event_ids.join()}`}>
                  <td>
                    <TimeText iso={example.time} />
                  </td>
                  <td>
                    <Severity level={example.level} />
                  </td>
                  <Cell text={example.host} />
                  <Cell text={example.user} />
                  <Cell text={example.source_ip} />
                  <td>
                    <Events example={example} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  )
}

function Figure({ label, strong, children }: { label: string; strong?: boolean; children: ReactNode }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd className={strong ? styles.strong : undefined}>{children}</dd>
    </div>
  )
}

function Cell({ text }: { text?: string | null | undefined }) {
  return <td className="canh-mono">{text ? visibleText(text) : <span className="canh-dim">–</span>}</td>
}

function Events({ example }: { example: Backtest['examples'][number] }) {
  const { t } = useTranslation()
  const reader = useReader()
  const at = parseIso(example.time) ?? 0
  const [first] = example.event_ids
  if (first === undefined) return null
  const count = example.event_ids.length
  const q = `id:(${example.event_ids.join(' OR ')})`
  return (
    <AnchorLink to="/hunt" search={{ q, ...absolute(at - 24 * HOUR_MS, at + AROUND_MS), event: first }} fz={12.5}>
      {t('rules.eventCount', { count, text: reader.count(count) })}
    </AnchorLink>
  )
}

function Warnings({ result }: { result: Backtest }) {
  const { t } = useTranslation()
  const reader = useReader()
  const oldest = parseIso(result.oldest) ?? null
  const from = parseIso(result.from) ?? 0
  const warnings: string[] = []
  if (result.hour_findings_max > result.findings_per_hour) {
    warnings.push(
      t('rules.overBudget', { most: reader.count(result.hour_findings_max), budget: reader.count(result.findings_per_hour) })
    )
  }
  if (result.left_out > 0) warnings.push(t('rules.leftOut', { count: result.left_out, text: reader.count(result.left_out) }))
  if (oldest === null) warnings.push(t('rules.nothingRead'))
  else if (oldest > from + SHORT_OF_MS) warnings.push(t('rules.shortOf', { time: reader.dateTime(oldest) }))
  return warnings.map((warning) => (
    <p key={warning} className={styles.warning} role="status">
      <IconAlertTriangle size={15} aria-hidden /> {warning}
    </p>
  ))
}
