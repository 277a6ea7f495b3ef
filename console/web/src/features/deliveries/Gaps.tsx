// What is missing, with its exact range.

import { IconAlertTriangle, IconCircleCheck } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import { useReader } from '~/ui/reader'
import { AgoText, TimeText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import styles from './deliveries.module.css'
import type { Gap } from './queries'

export function Gaps({ gaps, left }: { gaps: Gap[]; left: number }) {
  const { t } = useTranslation()
  const reader = useReader()
  return (
    <ul className={styles.gaps} aria-label={t('deliveries.missing')}>
      {gaps.map((gap) => (
        <GapItem key={`${gap.kind}/${gap.source}/${gap.spool}/${gap.first}/${gap.noticed}`} gap={gap} />
      ))}
      {left > 0 && <li className={styles.small}>{t('deliveries.more', { text: reader.count(left), count: left })}</li>}
    </ul>
  )
}

function GapItem({ gap }: { gap: Gap }) {
  const { t } = useTranslation()
  const reader = useReader()
  const healed = typeof gap.healed === 'string'
  const Icon = healed ? IconCircleCheck : IconAlertTriangle
  const kind = gap.kind === 'store' && gap.reason === 'doubled' ? 'doubled' : gap.kind
  const isTime = gap.kind === 'dropped' || gap.kind === 'sequence'
  return (
    <li className={styles.gap} data-healed={healed}>
      <Icon size={15} aria-hidden />
      <span className={styles.gapText} title={visibleText(gap.source)}>
        <strong>{visibleText(gap.host ?? gap.source)}</strong>{' '}
        {t(`deliveries.gap.${kind}`, { text: reader.count(gap.missing), count: gap.missing })}
        {gap.reason && (kind === 'dropped' || kind === 'offsets') && <code className={styles.code}>{visibleText(gap.reason)}</code>}
      </span>
      <span className={styles.small}>
        {healed ? <>{t('deliveries.healed')} </> : null}
        <AgoText iso={gap.healed ?? gap.noticed} />
      </span>
      <span className={`${styles.small} ${styles.range} canh-num`}>
        {isTime ? <TimeText iso={gap.first} /> : gap.first}
        {gap.first !== gap.last && <> – {isTime ? <TimeText iso={gap.last} /> : gap.last}</>}
        {gap.spool && <> · {kind === 'offsets' ? visibleText(gap.spool) : t('deliveries.spool', { text: gap.spool })}</>}
      </span>
    </li>
  )
}
