// How well a rule is proven: its samples, its canary, and whether it is over its budget.

import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { useReader } from '~/ui/reader'
import styles from './rules.module.css'

type Rule = Schemas['RuleView']

export function RuleProof({ rule }: { rule: Rule }) {
  const { t } = useTranslation()
  const reader = useReader()
  const samples = rule.samples
  return (
    <span className={styles.proof}>
      <Canary rule={rule} />
      {samples > 0 ? (
        <span className={styles.small}>{t('rules.samples', { count: samples, text: reader.count(samples) })}</span>
      ) : (
        <span className={styles.small} title={t('rules.noSamplesNote')}>
          {t('rules.noSamples')}
        </span>
      )}
      {rule.suppressed > 0 && (
        <span className={styles.over} title={t('rules.suppressedNote')}>
          {t('rules.suppressed', { text: reader.count(rule.suppressed) })}
        </span>
      )}
    </span>
  )
}

function Canary({ rule }: { rule: Rule }) {
  const { t } = useTranslation()
  const reader = useReader()
  if (!rule.canary || !rule.canary_at) return null
  const time = reader.iso(rule.canary_at)
  if (rule.canary === 'fired') {
    return (
      <span className={styles.fires} title={t('rules.firesNote', { time })}>
        {t('rules.fires')}
      </span>
    )
  }
  return (
    <span className={styles.silent} title={t(`rules.silentAt.${rule.canary}`, { time })}>
      {t('rules.silent')}
    </span>
  )
}
