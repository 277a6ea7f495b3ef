// The condition of the rule as a tree: which branch was true, and what was compared with what.

import { IconCheck, IconX } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { visibleText } from '~/ui/visible'
import styles from './condition.module.css'

type Part = Schemas['ExplainedView']

export function Condition({ condition }: { condition: Part }) {
  return (
    <ul className={styles.tree}>
      <Branch part={condition} />
    </ul>
  )
}

function Branch({ part }: { part: Part }) {
  const { t } = useTranslation()
  if (part.kind === 'left_out') {
    return <li className={styles.leftOut}>{t('alerts.condition.leftOut', { count: part.count ?? 0 })}</li>
  }
  const parts = part.parts ?? []
  return (
    <li>
      <span className={styles.line}>
        <Verdict holds={part.holds} />
        {part.kind === 'compared' && part.compared ? (
          <Comparison compared={part.compared} />
        ) : (
          <span className={styles.word}>{t(`alerts.condition.${part.kind}`, { number: part.count ?? 0 })}</span>
        )}
      </span>
      {parts.length > 0 && (
        <ul className={styles.tree}>
          {parts.map((child, n) => (
            <Branch key={n} part={child} />
          ))}
        </ul>
      )}
    </li>
  )
}

function Verdict({ holds }: { holds: boolean }) {
  const { t } = useTranslation()
  return holds ? (
    <IconCheck size={14} className={styles.yes} role="img" aria-label={t('alerts.condition.holds')} />
  ) : (
    <IconX size={14} className={styles.no} role="img" aria-label={t('alerts.condition.holdsNot')} />
  )
}

function Comparison({ compared }: { compared: Schemas['ComparedView'] }) {
  const { t } = useTranslation()
  const more = compared.patterns_total - compared.patterns.length
  const value = typeof compared.value === 'string' ? compared.value : JSON.stringify(compared.value)
  return (
    <span className={styles.comparison}>
      <span className={styles.field}>
        {compared.field ? visibleText(compared.field) : compared.selection !== 'correlation' && t('alerts.keyword')}
      </span>{' '}
      <span className={styles.modifiers}>{compared.modifiers ? visibleText(compared.modifiers) : t('alerts.equals')}</span>{' '}
      <span className={styles.pattern}>{compared.patterns.map(visibleText).join(' | ')}</span>
      {compared.patterns.length > 1 && more > 0 && <span className={styles.dim}> +{more}</span>}
      <span className={styles.dim}>
        {' '}
        {compared.present ? <>← {visibleText(value.slice(0, 300))}</> : t('alerts.condition.absent')}
      </span>
    </span>
  )
}
