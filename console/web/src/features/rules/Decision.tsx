// Whether the rule is enabled, who decided so and when; and the way to disable it.

import { Button, Modal, Textarea } from '@mantine/core'
import { IconCircleOff } from '@tabler/icons-react'
import { type FormEvent, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { Panel } from '~/ui/Page'
import { useReader } from '~/ui/reader'
import { AgoText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import { type Rule, useReview } from './queries'
import styles from './rule.module.css'
import { RuleState } from './RuleState'

export const NOTE_LEN_MAX = 4_000

export function Decision({ rule, hash }: { rule: Rule; hash: string }) {
  const { t } = useTranslation()
  const [asking, setAsking] = useState(false)
  return (
    <Panel className={styles[`decision_${rule.quiet ? 'enabled' : rule.state}`] ?? ''}>
      <div className={styles.decision}>
        <div className={styles.decisionWords}>
          {rule.quiet ? <b>{t('rules.feeds')}</b> : <RuleState rule={rule} />}
          <Why rule={rule} />
        </div>
        {!rule.quiet && rule.state !== 'disabled' && (
          <Button
            variant="default"
            leftSection={<IconCircleOff size={15} aria-hidden />}
            onClick={() => setAsking(true)}
          >
            {t('rules.disableAsk')}
          </Button>
        )}
      </div>
      <Modal
        opened={asking}
        onClose={() => setAsking(false)}
        title={t('rules.disableTitle')}
        closeButtonProps={{ 'aria-label': t('common.close') }}
      >
        <DisableForm rule={rule} hash={hash} onEnd={() => setAsking(false)} />
      </Modal>
    </Panel>
  )
}

function Why({ rule }: { rule: Rule }) {
  const { t } = useTranslation()
  const reader = useReader()
  const { review } = rule
  if (rule.quiet) return <p className={styles.quiet}>{t('rules.feedsNote')}</p>
  if (!review) {
    return <p className={styles.quiet}>{t(rule.state === 'enabled' ? 'rules.enabledFromStart' : 'rules.needsReviewNote')}</p>
  }
  return (
    <>
      <p className={styles.quiet}>
        {t(review.decision === 'enabled' ? 'rules.enabledBy' : 'rules.disabledBy', { who: visibleText(review.who) })}{' '}
        <AgoText iso={review.at} />
        {review.backtest &&
          ` · ${t('rules.seenBacktest', { perDay: reader.decimal(review.backtest.alerts_per_day), from: reader.iso(review.backtest.from), to: reader.iso(review.backtest.to) })}`}
      </p>
      {review.note && <p className={styles.note}>{visibleText(review.note)}</p>}
      {review.changed && <p className={styles.changedNote}>{t('rules.changedNote')}</p>}
    </>
  )
}

function DisableForm({ rule, hash, onEnd }: { rule: Rule; hash: string; onEnd: () => void }) {
  const { t } = useTranslation()
  const review = useReview()
  const [note, setNote] = useState('')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    review.mutate({
      params: { path: { id: rule.id } },
      body: { decision: 'disabled', hash, note: note.trim() },
    })
    onEnd()
  }
  return (
    <form onSubmit={submit} className={styles.form}>
      <p className={styles.quiet}>{t('rules.disableNote')}</p>
      <Textarea
        label={t('rules.reason')}
        description={t('rules.reasonHint')}
        required
        data-autofocus
        autosize
        minRows={3}
        maxRows={10}
        maxLength={NOTE_LEN_MAX}
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
      />
      <div className={styles.formActions}>
        <Button variant="default" onClick={onEnd}>
          {t('common.cancel')}
        </Button>
        <Button type="submit" color="red" disabled={note.trim() === ''}>
          {t('rules.disable')}
        </Button>
      </div>
    </form>
  )
}
