// One field of the sidebar, with its most frequent values on demand.

import { ActionIcon, Button, Popover, Tooltip, UnstyledButton } from '@mantine/core'
import { IconCheck, IconMinus, IconPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { LogText } from '~/ui/LogText'
import { useReader } from '~/ui/reader'
import { EmptyState, QueryState } from '~/ui/States'
import { clip, visibleText } from '~/ui/visible'
import { type Filters, withColumn } from './filters'
import styles from './fields.module.css'
import { type Hunt, topValues } from './queries'

interface FieldItemProps {
  field: Schemas['EventFieldCount']
  sampled: number
  hunt: Hunt
  filters: Filters
}

export function FieldItem({ field, sampled, hunt, filters }: FieldItemProps) {
  const { t } = useTranslation()
  const reader = useReader()
  const [opened, setOpened] = useState(false)
  const name = visibleText(field.name)
  const isColumn = filters.columns.includes(field.name)
  const columnLabel = isColumn ? t('hunt.columnRemove', { field: name }) : t('hunt.columnAdd', { field: name })
  return (
    <div className={styles.field}>
      <Popover opened={opened} onChange={setOpened} position="right-start" width={340} trapFocus returnFocus>
        <Popover.Target>
          <UnstyledButton className={styles.fieldName} aria-expanded={opened} onClick={() => setOpened(!opened)}>
            <span className="canh-clip">{name}</span>
            <span className={styles.fieldCount}>{reader.share(sampled > 0 ? field.count / sampled : 0)}</span>
          </UnstyledButton>
        </Popover.Target>
        <Popover.Dropdown>
          {opened && (
            <TopValues
              field={field}
              hunt={hunt}
              filters={filters}
              onDone={() => setOpened(false)}
              columnLabel={columnLabel}
            />
          )}
        </Popover.Dropdown>
      </Popover>
      <Tooltip label={columnLabel}>
        <ActionIcon
          size={24}
          className={isColumn ? styles.columnOn : styles.columnOff}
          aria-label={columnLabel}
          aria-pressed={isColumn}
          onClick={() => filters.onColumns(withColumn(filters.columns, field.name))}
        >
          {isColumn ? <IconCheck size={13} aria-hidden /> : <IconPlus size={13} aria-hidden />}
        </ActionIcon>
      </Tooltip>
    </div>
  )
}

interface TopValuesProps {
  field: Schemas['EventFieldCount']
  hunt: Hunt
  filters: Filters
  columnLabel: string
  onDone: () => void
}

function TopValues({ field, hunt, filters, columnLabel, onDone }: TopValuesProps) {
  const { t } = useTranslation()
  const reader = useReader()
  const top = useQuery(topValues(hunt, field.name))
  const name = visibleText(field.name)
  const act = (run: () => void) => () => {
    onDone()
    run()
  }
  return (
    <>
      <h3 className={styles.topTitle}>{name}</h3>
      <p className={styles.topAbout}>
        {top.data ? t('hunt.fieldAbout', { count: top.data.with_field, text: reader.count(top.data.with_field) }) : ' '}
        {top.data?.outcome.kind === 'sampled' && ` · ${t('hunt.sampled')}`}
      </p>
      <QueryState
        query={top}
        skeletonRows={5}
        isEmpty={(data) => data.items.length === 0}
        empty={<EmptyState small title={t('hunt.fieldTopNone')} />}
      >
        {(data) => (
          <ul aria-label={t('hunt.fieldTop', { field: name })} className={styles.top}>
            {data.items.map(({ value, count }) => {
              const share = data.with_field > 0 ? count / data.with_field : 0
              const shown = clip(visibleText(value), 80)
              return (
                <li key={value}>
                  <div className={styles.topValue}>
                    <LogText text={value} max={200} />
                    <span className={styles.topBar} aria-hidden>
                      <span style={{ width: `${share * 100}%` }} />
                    </span>
                  </div>
                  <span className={styles.topCount} title={reader.share(share)}>
                    {reader.count(count)}
                  </span>
                  <ActionIcon
                    size="sm"
                    aria-label={t('hunt.filterIn', { field: name, value: shown })}
                    onClick={act(() => filters.onIn(field.name, value))}
                  >
                    <IconPlus size={14} aria-hidden />
                  </ActionIcon>
                  <ActionIcon
                    size="sm"
                    aria-label={t('hunt.filterOut', { field: name, value: shown })}
                    onClick={act(() => filters.onOut(field.name, value))}
                  >
                    <IconMinus size={14} aria-hidden />
                  </ActionIcon>
                </li>
              )
            })}
          </ul>
        )}
      </QueryState>
      <div className={styles.topActions}>
        <Button size="compact-xs" variant="default" onClick={act(() => filters.onExists(field.name))}>
          {t('hunt.filterExists', { field: name })}
        </Button>
        <Button
          size="compact-xs"
          variant="default"
          onClick={act(() => filters.onColumns(withColumn(filters.columns, field.name)))}
        >
          {columnLabel}
        </Button>
      </div>
    </>
  )
}
