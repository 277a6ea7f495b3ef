// How bad it is and how far it has been dealt with: always an icon of its own shape, a colour and a word.

import {
  IconAlertOctagonFilled,
  IconAlertTriangleFilled,
  IconCircleCheck,
  IconCircleDot,
  IconEyeCheck,
  IconInfoCircleFilled,
  IconSquareRotatedFilled,
  IconCircleArrowDownFilled,
} from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import styles from './Severity.module.css'

/** From worst to harmless. */
export const LEVELS = ['critical', 'high', 'medium', 'low', 'informational'] as const
export type Level = (typeof LEVELS)[number]

const ICONS = {
  critical: IconAlertOctagonFilled,
  high: IconAlertTriangleFilled,
  medium: IconSquareRotatedFilled,
  low: IconCircleArrowDownFilled,
  informational: IconInfoCircleFilled,
}

export function SeverityIcon({ level, size = 14 }: { level: Level; size?: number }) {
  const Icon = ICONS[level]
  return <Icon size={size} className={styles[level]} aria-hidden />
}

export function Severity({ level }: { level: Level }) {
  const { t } = useTranslation()
  return (
    <span className={`${styles.badge} ${styles[level]} ${styles[`${level}Bg`]}`}>
      <SeverityIcon level={level} size={12} />
      {t(`severity.${level}`)}
    </span>
  )
}

export const STATUSES = ['open', 'acknowledged', 'closed'] as const
export type Status = (typeof STATUSES)[number]

const STATUS_ICONS = { open: IconCircleDot, acknowledged: IconEyeCheck, closed: IconCircleCheck }

export function StatusText({ status, detail }: { status: Status; detail?: string | undefined }) {
  const { t } = useTranslation()
  const Icon = STATUS_ICONS[status]
  return (
    <span className={`${styles.status} ${styles[`status_${status}`]}`}>
      <Icon size={14} aria-hidden />
      <span className="canh-clip">
        {t(`status.${status}`)}
        {detail && <span className="canh-dim"> · {detail}</span>}
      </span>
    </span>
  )
}
