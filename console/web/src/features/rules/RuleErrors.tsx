// Rules that do not load: for everybody to see, above the others.

import { UnstyledButton } from '@mantine/core'
import { IconAlertTriangle, IconChevronDown, IconChevronRight } from '@tabler/icons-react'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { Message } from '~/ui/Message'
import { useReader } from '~/ui/reader'
import { visibleText } from '~/ui/visible'
import styles from './rules.module.css'

/** More would make the page slow; the command line lists them all. */
const SHOWN = 100
const OPEN_AT_FIRST = 5

export function RuleErrors({ errors }: { errors: Schemas['RuleErrorView'][] }) {
  const { t } = useTranslation()
  const reader = useReader()
  const [open, setOpen] = useState(errors.length <= OPEN_AT_FIRST)
  const Chevron = open ? IconChevronDown : IconChevronRight
  return (
    <section className={styles.errors} role="alert">
      <UnstyledButton className={styles.errorsHead} onClick={() => setOpen(!open)} aria-expanded={open}>
        <IconAlertTriangle size={16} aria-hidden />
        <b>{t('rules.errors', { count: errors.length, text: reader.count(errors.length) })}</b>
        <span>{t('rules.errorsHint')}</span>
        <Chevron size={16} aria-hidden />
      </UnstyledButton>
      {open && (
        <ul className={styles.errorList}>
          {errors.slice(0, SHOWN).map(({ file, line, column, message }) => (
            <li key={`${file}:${line}:${column}:${message}`}>
              <span className="canh-mono">
                {[visibleText(file), line, column].filter((part) => part !== null && part !== undefined).join(':')}
              </span>
              <span>
                <Message text={message} />
              </span>
            </li>
          ))}
          {errors.length > SHOWN && <li>{t('rules.errorsMore', { text: reader.count(errors.length - SHOWN) })}</li>}
        </ul>
      )}
    </section>
  )
}
