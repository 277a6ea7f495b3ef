// What proves a rule: its samples, then a run over the past. With both on the page it can be enabled.

import { Button, Progress, SegmentedControl, TextInput } from '@mantine/core'
import { IconCheck, IconPlayerPlay, IconPlayerStop, IconX } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { Panel } from '~/ui/Page'
import { useReader } from '~/ui/reader'
import { FailedState, QueryState } from '~/ui/States'
import { visibleText } from '~/ui/visible'
import { oneOf } from '~/url/text'
import { BacktestResult } from './BacktestResult'
import { NOTE_LEN_MAX } from './Decision'
import { type Rule, ruleSamples, useReview } from './queries'
import styles from './rule.module.css'
import { DAYS, type Days, useBacktest } from './useBacktest'

interface ProvingProps {
  rule: Rule
  text: string
  hash: string
}

export function Proving({ rule, text, hash }: ProvingProps) {
  const { t } = useTranslation()
  const samples = useQuery(ruleSamples(rule.id))
  const backtest = useBacktest(text)
  const [days, setDays] = useState<Days>('7')
  const { running, result } = backtest
  return (
    <>
      <Samples query={samples} />
      <Panel
        title={t('rules.backtest')}
        actions={
          <>
            <SegmentedControl
              size="xs"
              aria-label={t('rules.backtestSpan')}
              value={days}
              disabled={running !== null}
              onChange={(value) => setDays(oneOf(value, DAYS, '7'))}
              data={DAYS.map((value) => ({ value, label: t('rules.days', { count: Number(value) }) }))}
            />
            {running ? (
              <Button size="xs" variant="default" leftSection={<IconPlayerStop size={14} aria-hidden />} onClick={backtest.stop}>
                {t('rules.stop')}
              </Button>
            ) : (
              <Button
                size="xs"
                variant={result ? 'default' : 'filled'}
                leftSection={<IconPlayerPlay size={14} aria-hidden />}
                onClick={() => void backtest.start(days)}
              >
                {t(result ? 'rules.runAgain' : 'rules.run')}
              </Button>
            )}
          </>
        }
      >
        <div className={styles.backtest}>
          {running && <Running progress={running} />}
          {backtest.error !== null && <FailedState error={backtest.error} compact />}
          {result && <BacktestResult result={result} />}
          {!running && !result && backtest.error === null && <p className={styles.quiet}>{t('rules.backtestHint')}</p>}
        </div>
        {result && !rule.quiet && (rule.state !== 'enabled' || rule.review?.changed) && (
          <Enable rule={rule} hash={hash} samples={samples.data?.items} />
        )}
      </Panel>
    </>
  )
}

function Running({ progress }: { progress: Schemas['BacktestProgress'] }) {
  const { t } = useTranslation()
  const reader = useReader()
  return (
    <div className={styles.running}>
      <Progress value={progress.done * 100} aria-label={t('rules.backtest')} size="sm" transitionDuration={150} />
      <p className={styles.quiet} role="status">
        {t('rules.progress', { share: reader.share(progress.done), events: reader.count(progress.events), kept: reader.count(progress.kept) })}
      </p>
    </div>
  )
}

interface SamplesProps {
  query: { data: Schemas['RuleSamples'] | undefined; error: unknown; isFetching: boolean; refetch: () => unknown }
}

function Samples({ query }: SamplesProps) {
  const { t } = useTranslation()
  const reader = useReader()
  const items = query.data?.items ?? []
  const good = items.filter(({ holds }) => holds).length
  return (
    <Panel
      title={t('rules.samplesTitle')}
      meta={items.length > 0 && t('rules.samplesHold', { good: reader.count(good), total: reader.count(items.length) })}
    >
      <QueryState
        query={query}
        skeletonRows={3}
        isEmpty={(data) => data.items.length === 0}
        empty={<p className={`${styles.quiet} ${styles.padded}`}>{t('rules.noSamplesWarning')}</p>}
      >
        {(data) => (
          // The list scrolls, so the keyboard must reach it.
          // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
          <ul className={styles.samples} tabIndex={0} aria-label={t('rules.samplesTitle')}>
            {data.items.map((sample, n) => (
              <li key={n} className={sample.holds ? styles.holds : styles.fails}>
                {sample.holds ? <IconCheck size={14} aria-hidden /> : <IconX size={14} aria-hidden />}
                <span className={styles.sampleWords} title={visibleText(sample.about)}>{visibleText(sample.about)}</span>
                <span className={styles.expected}>{t(sampleSays(sample))}</span>
              </li>
            ))}
          </ul>
        )}
      </QueryState>
    </Panel>
  )
}

function sampleSays({ fires, holds }: Schemas['RuleSampleView']) {
  if (fires) return holds ? 'rules.sampleFound' : 'rules.sampleMissed'
  return holds ? 'rules.sampleSilent' : 'rules.sampleFired'
}

function Enable({ rule, hash, samples }: { rule: Rule; hash: string; samples: Schemas['RuleSampleView'][] | undefined }) {
  const { t } = useTranslation()
  const review = useReview()
  const [note, setNote] = useState('')
  const failed = samples?.some(({ holds }) => !holds) ?? true
  const enable = () =>
    review.mutate({
      params: { path: { id: rule.id } },
      body: { decision: 'enabled', hash, ...(note.trim() ? { note: note.trim() } : {}) },
    })
  return (
    <footer className={styles.enable}>
      <TextInput
        aria-label={t('rules.noteOptional')}
        placeholder={t('rules.noteOptional')}
        maxLength={NOTE_LEN_MAX}
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
        className={styles.enableNote}
      />
      <Button
        leftSection={<IconCheck size={15} aria-hidden />}
        disabled={failed}
        loading={review.isPending}
        onClick={enable}
      >
        {t(rule.state === 'enabled' ? 'rules.confirm' : 'rules.enable')}
      </Button>
      {failed && samples && <p className={styles.changedNote}>{t('rules.samplesFail')}</p>}
    </footer>
  )
}
