import { IconCircleCheck } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { useReader } from '~/ui/reader'
import styles from './overview.module.css'

export function DroppedPanel({ dropped }: { dropped: Schemas['DroppedCount'][] }) {
  const { t } = useTranslation()
  const reader = useReader()
  const lost = dropped.filter(({ count }) => count > 0)
  const total = lost.reduce((sum, { count }) => sum + count, 0)
  if (total === 0) {
    return (
      <p className={styles.none}>
        <IconCircleCheck size={16} aria-hidden /> {t('overview.droppedNone')}
      </p>
    )
  }
  return (
    <>
      <p className={styles.summary}>{t('overview.droppedSome', { count: total, text: reader.count(total) })}</p>
      <div className={styles.tableBox}>
        <table className={styles.table}>
          <thead>
            <tr>
              <th scope="col">{t('overview.stage')}</th>
              <th scope="col">{t('overview.dropReason')}</th>
              <th scope="col" className={styles.right}>
                {t('overview.count')}
              </th>
            </tr>
          </thead>
          <tbody>
            {lost
              .toSorted((a, b) => b.count - a.count)
              .map(({ stage, reason, count }) => (
                <tr key={`${stage}/${reason}`}>
                  <td className="canh-mono">{stage}</td>
                  <td className="canh-mono">{reason}</td>
                  <td className={styles.right}>{reader.count(count)}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </div>
    </>
  )
}
