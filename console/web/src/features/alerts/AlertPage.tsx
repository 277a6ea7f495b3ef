// One alert as a page of its own, for links.

import { getRouteApi } from '@tanstack/react-router'
import { IconArrowLeft } from '@tabler/icons-react'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import { Page, Panel } from '~/ui/Page'
import { EmptyState } from '~/ui/States'
import { AnchorLink } from '~/url/links'
import styles from './alerts.module.css'
import { AlertDetails } from './AlertDetails'
import { LazyCloseDialog } from './LazyCloseDialog'
import { type Alert, type Decision, useDecide } from './queries'

const route = getRouteApi('/app/alerts/$id')

export function AlertPage() {
  const { t } = useTranslation()
  const { id } = route.useParams()
  const decide = useDecide()
  const [closing, setClosing] = useState<Alert | null>(null)
  const settle = (alert: Alert, body: Decision) => decide.mutate({ params: { path: { id: alert.id } }, body })
  return (
    <Page
      title={t('alerts.one', { id })}
      actions={
        <AnchorLink to="/alerts" className={styles.back}>
          <IconArrowLeft size={14} aria-hidden /> {t('alerts.back')}
        </AnchorLink>
      }
    >
      <Panel className={styles.single}>
        {/^\d{1,15}$/.test(id) ? (
          <AlertDetails
            id={Number(id)}
            onAcknowledge={(alert) => settle(alert, { status: 'acknowledged' })}
            onReopen={(alert) => settle(alert, { status: 'open' })}
            onClose={setClosing}
          />
        ) : (
          <EmptyState title={t('common.notFound')} hint={t('common.notFoundHint')} />
        )}
      </Panel>
      <LazyCloseDialog alert={closing} onCancel={() => setClosing(null)} onClose={settle} />
    </Page>
  )
}
