// One sender hour by hour.

import { ActionIcon } from '@mantine/core'
import { IconX } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'

import { term } from '~/query/terms'
import { useReader } from '~/ui/reader'
import { QueryState } from '~/ui/States'
import { TimeText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import { AnchorLink } from '~/url/links'
import styles from './deliveries.module.css'
import type { DeliverySearch } from './filter'
import { Gaps } from './Gaps'
import { ledger } from './queries'
import { Clock, Lost, State } from './State'

interface SourceDetailsProps {
  source: string
  span: DeliverySearch['span']
  onDismiss: () => void
}

export function SourceDetails({ source, span, onDismiss }: SourceDetailsProps) {
  const { t } = useTranslation()
  const reader = useReader()
  const hours = useQuery(ledger(span, source))
  const host = hours.data?.lines[0]?.host
  return (
    <div className={styles.details}>
      <header className={styles.detailsHead}>
        <h2 className={styles.detailsTitle}>{visibleText(host ?? source)}</h2>
        <ActionIcon variant="subtle" aria-label={t('common.close')} onClick={onDismiss}>
          <IconX size={16} aria-hidden />
        </ActionIcon>
      </header>
      <p className={`${styles.small} canh-mono`}>{visibleText(source)}</p>
      {hours.data?.lines[0] && <Clock line={hours.data.lines[0]} exact />}
      <p>
        <AnchorLink to="/hunt" search={{ q: term('canh.source', source), from: HUNT_FROM[span], to: 'now' }}>
          {t('deliveries.hunt')}
        </AnchorLink>
      </p>
      <QueryState query={hours} skeletonRows={6}>
        {(page) => (
          <>
            {page.gaps.length > 0 && <Gaps gaps={page.gaps} left={page.gaps_left} />}
            <div className={styles.hoursBox}>
              <table className={styles.hours}>
                <thead>
                  <tr>
                    <th scope="col">{t('deliveries.hour')}</th>
                    <th scope="col">{t('deliveries.status')}</th>
                    {COUNTS.map((name) => (
                      <th key={name} scope="col" className={styles.right}>
                        {t(`deliveries.${name}`)}
                      </th>
                    ))}
                    <th scope="col">{t('deliveries.lost')}</th>
                  </tr>
                </thead>
                <tbody>
                  {page.lines.map((line) => (
                    <tr key={line.hour}>
                      <td>
                        <TimeText iso={line.hour} />
                      </td>
                      <td>
                        <State state={line.state} />
                      </td>
                      {COUNTS.map((name) => (
                        <td key={name} className={`${styles.right} canh-num`}>
                          {reader.count(line[name])}
                        </td>
                      ))}
                      <td>
                        <Lost line={line} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </>
        )}
      </QueryState>
    </div>
  )
}

const HUNT_FROM = { h1: 'now-1h', h24: 'now-24h', d7: 'now-7d', d30: 'now-30d' } as const
const COUNTS = ['received', 'journaled', 'detected', 'stored', 'duplicates'] as const
