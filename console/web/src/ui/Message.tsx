// A message of the server: what it puts in back-ticks is shown as code.

import { Fragment } from 'react'

import styles from './Message.module.css'
import { sentence } from './problem'
import { visibleText } from './visible'

export function Message({ text }: { text: string }) {
  const parts = sentence(visibleText(text)).split('`')
  // Without a closing mark the last back-tick is only a back-tick.
  const closed = parts.length % 2 === 1 ? parts : [...parts.slice(0, -2), parts.slice(-2).join('`')]
  return (
    <>
      {closed.map((part, n) =>
        n % 2 === 1 ? (
          <code key={n} className={styles.code}>
            {part}
          </code>
        ) : (
          <Fragment key={n}>{part}</Fragment>
        )
      )}
    </>
  )
}
