// Text that came from outside. It is never read as HTML; what cannot be seen is named; what is long is clipped.

import { UnstyledButton } from '@mantine/core'
import { memo, useMemo, useState } from 'react'
import { useTranslation } from 'react-i18next'

import styles from './LogText.module.css'
import { useReader } from './reader'
import { clip, type LineEnds, visible } from './visible'

/** Most characters that are laid out at once; a browser stalls on more. */
const SHOWN_MAX = 64 * 1024

interface LogTextProps {
  text: string
  /** Characters that a single line gives at most. */
  max?: number
}

/** One line of it, for tables: no line ends, clipped at the edge. */
export const LogText = memo(function LogText({ text, max = 400 }: LogTextProps) {
  const { t } = useTranslation()
  const short = clip(text, max)
  return (
    <bdi className={styles.line}>
      {visible(short).map((segment, n) =>
        segment.named ? (
          <span key={n} className={styles.named} title={t('common.namedCharacter')}>
            {segment.text}
          </span>
        ) : (
          segment.text
        )
      )}
      {short.length < text.length && '…'}
    </bdi>
  )
})

interface LogBlockProps {
  text: string
  /** Characters shown before somebody asks for more. */
  first?: number
  /** Wrap it in a box of its own. */
  boxed?: boolean
  lineEnds?: LineEnds
  label?: string
}

/** All of it, on as many lines as it needs. */
export function LogBlock({ text, first = 2_000, boxed, lineEnds = 'kept', label }: LogBlockProps) {
  const { t } = useTranslation()
  const reader = useReader()
  const [open, setOpen] = useState(false)
  const shown = clip(text, open ? SHOWN_MAX : first)
  const segments = useMemo(() => visible(shown, lineEnds), [lineEnds, shown])
  const inner = (
    <>
      <bdi>
        {segments.map((segment, n) =>
          segment.named ? (
            <span key={n} className={styles.named} title={t('common.namedCharacter')}>
              {segment.text}
            </span>
          ) : (
            segment.text
          )
        )}
      </bdi>
      {text.length > first && (
        <UnstyledButton className={styles.more} onClick={() => setOpen(!open)} aria-expanded={open}>
          {open ? t('common.showLess') : t('common.showAll', { total: reader.count(text.length) })}
        </UnstyledButton>
      )}
      {open && shown.length < text.length && (
        <span className={styles.cut}>
          {t('common.tooLong', { shown: reader.count(shown.length), total: reader.count(text.length) })}
        </span>
      )}
    </>
  )
  return boxed ? (
    // The box scrolls, so the keyboard must reach it.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <pre className={styles.box} tabIndex={0} aria-label={label}>
      {inner}
    </pre>
  ) : (
    <span className={styles.block}>{inner}</span>
  )
}
