import { ActionIcon, Tooltip } from '@mantine/core'
import { IconZoomOut } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { BarChart } from '~/ui/BarChart'
import { Panel } from '~/ui/Page'
import { useReader } from '~/ui/reader'
import { QueryState } from '~/ui/States'
import { parseIso } from '~/ui/time'
import styles from './hunt.module.css'

interface HistogramProps {
  query: { data: Schemas['HistogramView'] | undefined; error: unknown; isFetching: boolean; refetch: () => unknown }
  pages: Schemas['EventPage'][] | undefined
  onZoom: (fromMs: number, toMs: number) => void
  onZoomOut: () => void
}

export function Histogram({ query, pages, onZoom, onZoomOut }: HistogramProps) {
  const { t } = useTranslation()
  const reader = useReader()
  const data = query.data
  const first = pages?.[0]
  const isPartial = data?.outcome.kind === 'deadline' || first?.outcome.kind === 'deadline'
  return (
    <Panel className={styles.histogram}>
      <div className={styles.histogramHead}>
        {data && (
          <span role="status">
            <b>{t('hunt.found', { count: data.total, text: reader.count(data.total) })}</b>
            {first && <span className="canh-dim"> {t('hunt.took', { ms: reader.count(first.took_ms) })}</span>}
            {isPartial && <span className={styles.partial}> · {t('hunt.partial')}</span>}
          </span>
        )}
        <span className={styles.histogramHint}>{t('hunt.histogramHint')}</span>
        <Tooltip label={t('hunt.zoomOut')}>
          <ActionIcon size="sm" onClick={onZoomOut} aria-label={t('hunt.zoomOut')}>
            <IconZoomOut size={16} aria-hidden />
          </ActionIcon>
        </Tooltip>
      </div>
      <div className={styles.histogramChart}>
        <QueryState query={query} skeletonRows={2}>
          {(shown) => (
            <BarChart
              startMs={parseIso(shown.start) ?? 0}
              widthMs={shown.width_ms}
              counts={shown.counts}
              height={96}
              label={t('hunt.histogramLabel', { count: shown.total, text: reader.count(shown.total) })}
              value={(count) => t('hunt.found', { count, text: reader.count(count) })}
              onZoom={onZoom}
            />
          )}
        </QueryState>
      </div>
    </Panel>
  )
}
