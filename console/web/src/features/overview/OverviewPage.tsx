import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'

import { Page, Panel } from '~/ui/Page'
import { useNow } from '~/ui/reader'
import { QueryState } from '~/ui/States'
import { AnchorLink } from '~/url/links'
import { AgentsPanel } from './AgentsPanel'
import { DroppedPanel } from './DroppedPanel'
import { EventRate } from './EventRate'
import { NewestAlerts } from './NewestAlerts'
import { OpenAlerts } from './OpenAlerts'
import styles from './overview.module.css'
import { agentsQuery, newestAlertsQuery, overviewQuery } from './queries'
import { StoreFigures } from './StoreFigures'

export function OverviewPage() {
  const { t } = useTranslation()
  const overview = useQuery(overviewQuery(useNow()))
  const alerts = useQuery(newestAlertsQuery())
  const agents = useQuery(agentsQuery())
  return (
    <Page title={t('overview.title')}>
      <div className={styles.grid}>
        <Panel title={t('overview.eventsPerMinute')} className={styles.wide}>
          <QueryState query={overview} skeletonRows={5}>
            {(data) => <EventRate events={data.events} perSecond={data.events_per_second} />}
          </QueryState>
        </Panel>
        <Panel title={t('overview.openAlerts')}>
          <QueryState query={overview} skeletonRows={5}>
            {(data) => <OpenAlerts alerts={data.alerts} />}
          </QueryState>
        </Panel>
        <Panel
          title={t('overview.newestAlerts')}
          className={styles.wide}
          actions={
            <AnchorLink to="/alerts" search={{ status: 'all' }} fz={12}>
              {t('overview.allAlerts')}
            </AnchorLink>
          }
        >
          <QueryState query={alerts} skeletonRows={6}>
            {(page) => <NewestAlerts alerts={page.items} />}
          </QueryState>
        </Panel>
        <Panel
          title={t('overview.agents')}
          actions={
            <AnchorLink to="/agents" fz={12}>
              {t('overview.allAgents')}
            </AnchorLink>
          }
        >
          <QueryState query={agents} skeletonRows={6}>
            {(list) => <AgentsPanel agents={list.items} />}
          </QueryState>
        </Panel>
        <Panel title={t('overview.dropped')} className={styles.wide}>
          <QueryState query={overview} skeletonRows={2}>
            {(data) => <DroppedPanel dropped={data.dropped} />}
          </QueryState>
        </Panel>
        <Panel title={t('overview.store')}>
          <QueryState query={overview} skeletonRows={3}>
            {(data) => <StoreFigures store={data.store} />}
          </QueryState>
        </Panel>
      </div>
    </Page>
  )
}
