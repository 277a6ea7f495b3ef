import { ActionIcon, Tooltip } from '@mantine/core'
import { IconColumns3 } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'

import { attrField } from '~/query/terms'
import { CopyAction } from '~/ui/CopyAction'
import { LogBlock } from '~/ui/LogText'
import { visibleText } from '~/ui/visible'
import { type Event, singles, singleText } from './event'
import { type Filters, withColumn } from './filters'
import styles from './event.module.css'
import { catalogue } from './queries'
import { ValueButtons } from './ValueButtons'

export function EventFields({ event, filters }: { event: Event; filters: Filters }) {
  const { t } = useTranslation()
  const known = useQuery(catalogue())
  const names = useMemo(() => new Set(known.data?.items.map(({ name }) => name)), [known.data])
  const fields = byName(event.fields)
  const attrs = byName(event.attrs)
  return (
    <>
      <table className={styles.values}>
        <tbody>
          {fields.map(([name, value]) => (
            <Row key={name} label={name} field={name} value={value} filters={filters} />
          ))}
        </tbody>
      </table>
      {attrs.length > 0 && (
        <>
          <h3 className={styles.valuesTitle}>{t('hunt.attrs')}</h3>
          <table className={styles.values}>
            <tbody>
              {attrs.map(([name, value]) => (
                <Row key={name} label={name} field={attrField(name, names)} value={value} filters={filters} />
              ))}
            </tbody>
          </table>
        </>
      )}
    </>
  )
}

function byName(values: Record<string, unknown>): [string, unknown][] {
  return Object.entries(values).toSorted(([a], [b]) => a.localeCompare(b, 'en'))
}

interface RowProps {
  label: string
  /** The name by which a query means it. */
  field: string
  value: unknown
  filters: Filters
}

function Row({ label, field, value, filters }: RowProps) {
  const { t } = useTranslation()
  const name = visibleText(field)
  const isColumn = filters.columns.includes(field)
  const columnLabel = isColumn ? t('hunt.columnRemove', { field: name }) : t('hunt.columnAdd', { field: name })
  const values = singles(value)
  return (
    <tr>
      <th scope="row" title={visibleText(label)}>
        {visibleText(label)}
      </th>
      <td>
        {values.map((single, n) => (
          <span key={n} className={styles.value}>
            <LogBlock text={singleText(single)} first={500} />
            <ValueButtons field={field} value={single} filters={filters} />
          </span>
        ))}
      </td>
      <td className={styles.valueTools}>
        <Tooltip label={columnLabel}>
          <ActionIcon
            size="sm"
            aria-label={columnLabel}
            aria-pressed={isColumn}
            {...(isColumn ? { color: 'canh' } : {})}
            onClick={() => filters.onColumns(withColumn(filters.columns, field))}
          >
            <IconColumns3 size={14} aria-hidden />
          </ActionIcon>
        </Tooltip>
        <CopyAction value={values.map(singleText).join('\n')} label={t('hunt.copyValue')} />
      </td>
    </tr>
  )
}
