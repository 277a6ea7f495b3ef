// Which fields the events have. Only the names in sight are in the page, so ten thousand are no slower than ten.

import { TextInput } from '@mantine/core'
import { IconSearch } from '@tabler/icons-react'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useMemo, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { useReader } from '~/ui/reader'
import { QueryState } from '~/ui/States'
import { FieldItem } from './FieldItem'
import type { Filters } from './filters'
import styles from './fields.module.css'
import type { Hunt } from './queries'

const ROW_HEIGHT = 26

interface FieldSidebarProps {
  fields: { data: Schemas['EventFields'] | undefined; error: unknown; isFetching: boolean; refetch: () => unknown }
  hunt: Hunt
  filters: Filters
  /** The query is wrong, so nothing can be said about fields. */
  hidden: boolean
}

export function FieldSidebar({ fields, hunt, filters, hidden }: FieldSidebarProps) {
  const { t } = useTranslation()
  const [text, setText] = useState('')
  if (hidden) return null
  return (
    <>
      <div className={styles.sidebarHead}>
        <TextInput
          aria-label={t('hunt.fieldSearch')}
          placeholder={t('hunt.fieldSearch')}
          leftSection={<IconSearch size={13} aria-hidden />}
          value={text}
          spellCheck={false}
          onChange={(event) => setText(event.currentTarget.value)}
        />
      </div>
      <QueryState
        query={fields}
        skeletonRows={9}
        isEmpty={(found) => found.items.length === 0}
        empty={<p className={styles.sidebarNote}>{t('hunt.fieldsNoneFound')}</p>}
      >
        {(found) => <FieldNames found={found} text={text} hunt={hunt} filters={filters} />}
      </QueryState>
    </>
  )
}

interface FieldNamesProps {
  found: Schemas['EventFields']
  text: string
  hunt: Hunt
  filters: Filters
}

function FieldNames({ found, text, hunt, filters }: FieldNamesProps) {
  const { t } = useTranslation()
  const reader = useReader()
  const scroller = useRef<HTMLDivElement>(null)
  const { columns } = filters
  const items = useMemo(() => {
    const wanted = text.trim().toLowerCase()
    const matching = wanted ? found.items.filter(({ name }) => name.toLowerCase().includes(wanted)) : found.items
    // Columns come first, in their order; the server's order stays for the others.
    const rank = (name: string) => (columns.includes(name) ? columns.indexOf(name) : columns.length)
    return matching.toSorted((a, b) => rank(a.name) - rank(b.name))
  }, [columns, found.items, text])
  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 10,
  })
  if (items.length === 0) return <p className={styles.sidebarNote}>{t('hunt.fieldsNone')}</p>
  return (
    <>
      <p className={styles.sidebarNote}>
        {t('hunt.fieldsOf', { count: found.sampled, fields: reader.count(items.length), text: reader.count(found.sampled) })}
      </p>
      <div ref={scroller} className={styles.fieldScroller}>
        <ul aria-label={t('hunt.fields')} className={styles.fields} style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((row) => {
            const field = items[row.index]
            if (!field) return null
            return (
              <li key={field.name} style={{ transform: `translateY(${row.start}px)`, height: ROW_HEIGHT }}>
                <FieldItem field={field} sampled={found.sampled} hunt={hunt} filters={filters} />
              </li>
            )
          })}
        </ul>
      </div>
    </>
  )
}
