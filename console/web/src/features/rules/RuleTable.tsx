import type { ColumnDef } from '@tanstack/react-table'
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { CopyAction } from '~/ui/CopyAction'
import { DataTable } from '~/ui/DataTable'
import { useReader } from '~/ui/reader'
import { Severity } from '~/ui/Severity'
import { Tags } from '~/ui/Tags'
import { AgoText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import { AnchorLink } from '~/url/links'
import styles from './rules.module.css'

type Rule = Schemas['RuleView']

export function RuleTable({ rules }: { rules: Rule[] }) {
  const { t } = useTranslation()
  const columns = useMemo<ColumnDef<Rule, unknown>[]>(
    () => [
      {
        id: 'level',
        header: t('rules.level'),
        cell: ({ row }) => <Severity level={row.original.level} />,
        meta: { track: '128px', min: 128 },
      },
      {
        id: 'title',
        header: t('rules.titleColumn'),
        cell: ({ row }) => <Title rule={row.original} />,
        meta: { track: 'minmax(260px, 3fr)', min: 260 },
      },
      {
        id: 'tags',
        header: t('rules.tags'),
        cell: ({ row }) => <Tags tags={row.original.tags} />,
        meta: { track: 'minmax(180px, 2fr)', min: 180 },
      },
      {
        id: 'id',
        header: t('rules.id'),
        cell: ({ row }) => (
          <span className={styles.id}>
            <span className="canh-mono canh-clip" title={visibleText(row.original.id)}>
              {visibleText(row.original.id)}
            </span>
            <CopyAction value={row.original.id} label={t('rules.copyId')} />
          </span>
        ),
        meta: { track: 'minmax(170px, 1fr)', min: 170 },
      },
      {
        id: 'findings',
        header: t('rules.findings'),
        cell: ({ row }) => <Findings rule={row.original} />,
        meta: { track: '150px', min: 150, align: 'right' },
      },
    ],
    [t]
  )
  return (
    <DataTable
      label={t('rules.title')}
      columns={columns}
      rows={rules}
      rowId={(rule) => `${rule.file}/${rule.id}`}
      rowHeight={46}
      card={(rule) => <RuleCard rule={rule} />}
      cardHeight={92}
    />
  )
}

function Title({ rule }: { rule: Rule }) {
  return (
    <span className={styles.two}>
      <span className={`${styles.name} canh-clip`} title={visibleText(rule.title)}>
        {visibleText(rule.title)}
      </span>
      <span className={`${styles.small} canh-mono canh-clip`} title={visibleText(rule.file)}>
        {visibleText(rule.file)}
      </span>
    </span>
  )
}

function Findings({ rule }: { rule: Rule }) {
  const { t } = useTranslation()
  const reader = useReader()
  if (rule.findings === 0) return <span className="canh-dim">{t('rules.findingsNone')}</span>
  return (
    <span className={styles.two}>
      <AnchorLink to="/alerts" search={{ status: 'all', q: rule.id }} fz={13} title={t('rules.alertsOf')}>
        {reader.count(rule.findings)}
      </AnchorLink>
      {rule.last_found && (
        <span className={styles.small}>
          <AgoText iso={rule.last_found} />
        </span>
      )}
    </span>
  )
}

function RuleCard({ rule }: { rule: Rule }) {
  return (
    <div className={styles.card}>
      <div className={styles.cardHead}>
        <Severity level={rule.level} />
        <Findings rule={rule} />
      </div>
      <Title rule={rule} />
    </div>
  )
}
