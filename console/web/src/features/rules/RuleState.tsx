// Whether a rule raises alerts: an icon of its own shape, a colour and a word.

import { IconCircleCheck, IconCircleOff, IconEyeQuestion } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import type { Rule } from './queries'
import styles from './rules.module.css'

export const STATES = ['enabled', 'disabled', 'needs_review'] as const

const ICONS = { enabled: IconCircleCheck, disabled: IconCircleOff, needs_review: IconEyeQuestion }

export function RuleState({ rule }: { rule: Rule }) {
  const { t } = useTranslation()
  const Icon = ICONS[rule.state]
  return (
    <span className={styles.stateLine}>
      <span className={`${styles.state} ${styles[`state_${rule.state}`]}`}>
        <Icon size={14} aria-hidden />
        <span>{t(`rules.state.${rule.state}`)}</span>
      </span>
      {rule.review?.changed && (
        <span className={styles.changed} title={t('rules.changedNote')}>
          {t('rules.changed')}
        </span>
      )}
    </span>
  )
}
