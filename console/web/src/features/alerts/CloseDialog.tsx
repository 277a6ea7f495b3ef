// Closing needs a reason, so that the next analyst and the author of the rule can learn from it.

import { Button, Modal, Radio, Textarea } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { visibleText } from '~/ui/visible'
import { oneOf } from '~/url/text'
import styles from './alerts.module.css'
import type { Alert, Decision } from './queries'

const REASONS = ['true_positive', 'false_positive', 'benign', 'duplicate'] as const
const NOTE_LEN_MAX = 4_000

export interface CloseDialogProps {
  alert: Alert | null
  onCancel: () => void
  onClose: (alert: Alert, decision: Decision) => void
}

export function CloseDialog({ alert, onCancel, onClose }: CloseDialogProps) {
  const { t } = useTranslation()
  return (
    <Modal
      opened={alert !== null}
      onClose={onCancel}
      title={t('alerts.closeTitle')}
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      {alert && <CloseForm alert={alert} onCancel={onCancel} onClose={onClose} />}
    </Modal>
  )
}

function CloseForm({ alert, onCancel, onClose }: CloseDialogProps & { alert: Alert }) {
  const { t } = useTranslation()
  const [reason, setReason] = useState<(typeof REASONS)[number]>('true_positive')
  const [note, setNote] = useState('')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    onClose(alert, { status: 'closed', reason, ...(note.trim() ? { note: note.trim() } : {}) })
    onCancel()
  }
  return (
    <form onSubmit={submit} className={styles.closeForm}>
      <p className={styles.closing}>{visibleText(alert.title)}</p>
      <Radio.Group
        label={t('alerts.reasonLabel')}
        value={reason}
        onChange={(value) => setReason(oneOf(value, REASONS, 'true_positive'))}
      >
        <div className={styles.reasons}>
          {REASONS.map((each, n) => (
            <Radio
              key={each}
              value={each}
              size="xs"
              label={t(`reason.${each}`)}
              description={t(`reasonAbout.${each}`)}
              data-autofocus={n === 0 || undefined}
            />
          ))}
        </div>
      </Radio.Group>
      <Textarea
        label={t('alerts.note')}
        description={t('alerts.noteHint')}
        autosize
        minRows={3}
        maxRows={10}
        maxLength={NOTE_LEN_MAX}
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
      />
      <div className={styles.closeActions}>
        <Button variant="default" onClick={onCancel}>
          {t('common.cancel')}
        </Button>
        <Button type="submit">{t('alerts.closeDo')}</Button>
      </div>
    </form>
  )
}
