import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { useReader } from '~/ui/reader'
import { TimeText } from '~/ui/TimeText'
import styles from './overview.module.css'

export function StoreFigures({ store }: { store: Schemas['StoreStatsView'] }) {
  const { t } = useTranslation()
  const reader = useReader()
  const perEvent = store.events > 0 ? Math.round(store.bytes / store.events) : 0
  return (
    <dl className={styles.store}>
      <div>
        <dt>{t('overview.storeBytes')}</dt>
        <dd>{reader.bytes(store.bytes)}</dd>
      </div>
      <div>
        <dt>{t('overview.storeEvents')}</dt>
        <dd>{reader.count(store.events)}</dd>
      </div>
      <div>
        <dt>{t('overview.storePerEvent')}</dt>
        <dd>{store.events > 0 ? reader.bytes(perEvent) : '–'}</dd>
      </div>
      <div>
        <dt>{t('overview.storeOldest')}</dt>
        <dd>{store.oldest ? <TimeText iso={store.oldest} /> : '–'}</dd>
      </div>
      {store.damaged > 0 && (
        <div className={styles.damaged}>
          <dt>{t('overview.storeDamaged')}</dt>
          <dd>{reader.count(store.damaged)}</dd>
        </div>
      )}
    </dl>
  )
}
