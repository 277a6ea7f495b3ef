// What may be a mistake in a query although it can be understood.

import { IconBulb } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { visibleText } from '~/ui/visible'
import styles from './query.module.css'

export function Hints({ hints }: { hints: Schemas['EventPage']['hints'] }) {
  const { t } = useTranslation()
  if (hints.length === 0) return null
  return (
    <ul role="status" className={styles.hints}>
      {hints.map(({ field, suggestion }) => (
        <li key={field}>
          <IconBulb size={15} aria-hidden />
          {t('hunt.hint', { field: visibleText(field), suggestion: visibleText(suggestion) })}
        </li>
      ))}
    </ul>
  )
}
