// What is wrong with a query: the query itself with a mark below the place, the message, and what to do.

import { IconAlertTriangle } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import type { ApiError } from '~/api/errors'
import { Message } from '~/ui/Message'
import { visible } from '~/ui/visible'
import styles from './query.module.css'

/** Letters shown on each side of the place. */
const AROUND = 60

/** One letter for each letter, so that the mark stands below the right one. */
function flat(letters: string[]): string {
  return letters.map((letter) => (visible(letter)[0]?.named ? '·' : letter)).join('')
}

interface Marked {
  line: string
  mark: string
}

export function marked(query: string, column: number, length: number): Marked {
  const letters = [...query]
  const at = Math.min(Math.max(column - 1, 0), letters.length)
  const first = Math.max(0, at - AROUND)
  const cutBefore = first > 0 ? '…' : ''
  const cutAfter = at + AROUND < letters.length ? '…' : ''
  const line = cutBefore + flat(letters.slice(first, at + AROUND)) + cutAfter
  const room = Math.max(1, line.length - cutBefore.length - (at - first))
  return {
    line,
    mark: ' '.repeat(cutBefore.length + at - first) + '^'.repeat(Math.min(Math.max(length, 1), room)),
  }
}

export function QueryError({ query, error }: { query: string; error: ApiError }) {
  const { t } = useTranslation()
  const column = error.number('column')
  const suggestion = error.text('suggestion')
  const place = column === undefined ? null : marked(query, column, error.number('length') ?? 1)
  return (
    <div role="alert" className={styles.error}>
      <IconAlertTriangle size={18} aria-hidden />
      <div className={styles.errorBody}>
        <p className={styles.errorText}>
          <Message text={error.message} />
        </p>
        {place && (
          // The box scrolls, so the keyboard must reach it.
          // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
          <pre className={styles.errorPlace} tabIndex={0} aria-label={t('hunt.errorAt', { column })}>
            {place.line}
            {'\n'}
            <span className={styles.errorMark}>{place.mark}</span>
          </pre>
        )}
        {suggestion && (
          <p className={styles.errorHint}>
            <Message text={suggestion} />
          </p>
        )}
      </div>
    </div>
  )
}
