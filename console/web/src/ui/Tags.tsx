// Tags of a rule. Those of MITRE ATT&CK are written as ATT&CK writes them.

import styles from './Tags.module.css'
import { visibleText } from './visible'

/** `attack.t1110.001` is `T1110.001`; `attack.credential_access` is `credential access`. */
export function tagText(tag: string): string {
  const attack = /^attack\.(.+)$/i.exec(tag)?.[1]
  if (attack === undefined) return visibleText(tag)
  return /^[tgs]\d{4}/i.test(attack) ? attack.toUpperCase() : visibleText(attack.replace(/[_-]/g, ' '))
}

function rank(tag: string): number {
  if (/^attack\.t\d/i.test(tag)) return 0
  return tag.startsWith('attack.') ? 1 : 2
}

interface TagsProps {
  tags: string[]
  wrap?: boolean
  /** How many are shown where room is short; the others are counted. */
  most?: number
}

export function Tags({ tags, wrap, most }: TagsProps) {
  const sorted = tags.toSorted((a, b) => rank(a) - rank(b))
  const shown = most !== undefined && sorted.length > most ? most : sorted.length
  return (
    <span className={wrap ? styles.wrap : styles.tags} title={sorted.map(tagText).join(', ')}>
      {sorted.slice(0, shown).map((tag) => (
        <span key={tag} className={rank(tag) === 0 ? styles.technique : styles.tag}>
          {tagText(tag)}
        </span>
      ))}
      {shown < sorted.length && <span className={styles.more}>+{sorted.length - shown}</span>}
    </span>
  )
}
