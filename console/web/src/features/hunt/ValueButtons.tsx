// ± on a value: one click narrows the query to it or leaves it out.

import { useTranslation } from 'react-i18next'

import { valueText } from '~/query/terms'
import { clip, visibleText } from '~/ui/visible'
import type { Filters } from './filters'
import styles from './events.module.css'

/** A longer value makes a query that nobody can read. */
const VALUE_LEN_MAX = 1_000

interface ValueButtonsProps {
  field: string
  value: unknown
  filters: Filters
  /** Shown when the pointer or the keyboard is on the cell. */
  hover?: boolean
}

export function ValueButtons({ field, value, filters, hover }: ValueButtonsProps) {
  const { t } = useTranslation()
  const text = valueText(value)
  if (text === null || text === '' || text.length > VALUE_LEN_MAX) return null
  const words = { field: visibleText(field), value: clip(visibleText(text), 80) }
  return (
    <span className={hover ? styles.valueButtonsHover : styles.valueButtons}>
      <button
        type="button"
        aria-label={t('hunt.filterIn', words)}
        title={t('hunt.filterIn', words)}
        tabIndex={hover ? -1 : 0}
        onClick={() => filters.onIn(field, text)}
      >
        +
      </button>
      <button
        type="button"
        aria-label={t('hunt.filterOut', words)}
        title={t('hunt.filterOut', words)}
        tabIndex={hover ? -1 : 0}
        onClick={() => filters.onOut(field, text)}
      >
        −
      </button>
    </span>
  )
}
