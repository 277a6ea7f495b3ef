import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { type Column, DataTable } from '~/ui/DataTable'
import { useReader } from '~/ui/reader'
import { Severity } from '~/ui/Severity'
import { Tags } from '~/ui/Tags'
import { AgoText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import { AnchorLink } from '~/url/links'
import { RuleProof } from './RuleProof'
import { RuleState } from './RuleState'
import styles from './rules.module.css'

type Rule = Schemas['RuleView']

export function RuleTable({ rules }: { rules: Rule[] }) {
  const { t } = useTranslation()
  const folder = useMemo(() => commonFolder(rules.map(({ file }) => file)), [rules])
  const columns = useMemo<Column<Rule>[]>(
    () => [
      {
        id: 'level',
        header: t('rules.level'),
        cell: (row) => <Severity level={row.level} />,
        track: '128px', min: 128,
      },
      {
        id: 'title',
        header: t('rules.titleColumn'),
        cell: (row) => <Title rule={row} folder={folder} />,
        track: 'minmax(260px, 3fr)', min: 260,
      },
      {
        id: 'tags',
        header: t('rules.tags'),
        cell: (row) => <Tags tags={row.tags} most={3} />,
        track: 'minmax(180px, 2fr)', min: 180,
      },
      {
        id: 'state',
        header: t('rules.stateColumn'),
        cell: (row) => (row.quiet ? <span className={styles.small}>{t('rules.feeds')}</span> : <RuleState rule={row} />),
        track: '160px', min: 160,
      },
      {
        id: 'proof',
        header: t('rules.proof'),
        cell: (row) => <RuleProof rule={row} />,
        track: '164px', min: 164,
      },
      {
        id: 'findings',
        header: t('rules.findings'),
        cell: (row) => <Findings rule={row} />,
        track: '150px', min: 150, align: 'right',
      },
    ],
    [folder, t]
  )
  return (
    <DataTable
      label={t('rules.title')}
      columns={columns}
      rows={rules}
      rowId={(rule) => `${rule.file}/${rule.id}`}
      rowHeight={46}
      card={(rule) => <RuleCard rule={rule} folder={folder} />}
      cardHeight={136}
    />
  )
}

/** The folder that all files are in, with its slash, so that only what differs is shown. */
function commonFolder(files: string[]): string {
  const [first = '', ...others] = files
  let folder = first.slice(0, first.lastIndexOf('/') + 1)
  while (folder && !others.every((file) => file.startsWith(folder))) {
    folder = folder.slice(0, folder.lastIndexOf('/', folder.length - 2) + 1)
  }
  return folder
}

function Title({ rule, folder }: { rule: Rule; folder: string }) {
  return (
    <span className={styles.two}>
      <AnchorLink to="/rules/$id" params={{ id: rule.id }} className={`${styles.name} canh-clip`} title={visibleText(rule.title)}>
        {visibleText(rule.title)}
      </AnchorLink>
      <span className={`${styles.small} canh-mono canh-clip`} title={visibleText(rule.file)}>
        {visibleText(rule.file.slice(folder.length))}
      </span>
    </span>
  )
}

function Findings({ rule }: { rule: Rule }) {
  const { t } = useTranslation()
  const reader = useReader()
  if (rule.findings === 0) return <span className="canh-dim">{t('rules.findingsNone')}</span>
  return (
    <span className={styles.found}>
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

function RuleCard({ rule, folder }: { rule: Rule; folder: string }) {
  return (
    <div className={styles.card}>
      <div className={styles.cardHead}>
        <Severity level={rule.level} />
        <Findings rule={rule} />
      </div>
      <Title rule={rule} folder={folder} />
      <div className={styles.cardHead}>
        <RuleProof rule={rule} />
        {!rule.quiet && <RuleState rule={rule} />}
      </div>
    </div>
  )
}
