// One alert: what, where, why, and what to do about it.

import { ActionIcon, Button, Tooltip } from '@mantine/core'
import { IconArrowsMaximize, IconCheck, IconEyeCheck, IconRotateClockwise, IconX } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { useReader } from '~/ui/reader'
import { Severity, StatusText } from '~/ui/Severity'
import { QueryState } from '~/ui/States'
import { Tags } from '~/ui/Tags'
import { TimeText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import styles from './alerts.module.css'
import { AlertEvents } from './AlertEvents'
import { AlertHistory } from './AlertHistory'
import { type Alert, alertDetail, type AlertDetail } from './queries'
import { RuleText } from './RuleText'
import { Why } from './Why'

interface AlertActions {
  onAcknowledge: (alert: Alert) => void
  onReopen: (alert: Alert) => void
  onClose: (alert: Alert) => void
}

interface AlertDetailsProps extends AlertActions {
  id: number
  /** Set when the details are beside the list. */
  onDismiss?: () => void
}

export function AlertDetails({ id, onDismiss, ...actions }: AlertDetailsProps) {
  const query = useQuery(alertDetail(id))
  return (
    <QueryState query={query} skeletonRows={12}>
      {(detail) => (
        <article className={query.isPlaceholderData ? styles.stale : styles.detail}>
          <Head detail={detail} onDismiss={onDismiss} {...actions} />
          <Why matches={detail.matches} condition={detail.condition} />
          <AlertEvents detail={detail} />
          <RuleText rule={detail.rule} />
          <AlertHistory entries={detail.history} />
        </article>
      )}
    </QueryState>
  )
}

interface HeadProps extends AlertActions {
  detail: AlertDetail
  onDismiss: (() => void) | undefined
}

function Head({ detail, onDismiss, onAcknowledge, onReopen, onClose }: HeadProps) {
  const { t } = useTranslation()
  const { alert, rule } = detail
  return (
    <header className={styles.head}>
      <div className={styles.headLine}>
        <Severity level={alert.level} />
        <StatusText status={alert.status} detail={alert.reason ? t(`reason.${alert.reason}`) : undefined} />
        <span className={styles.headTools}>
          {onDismiss && (
            <>
              <Tooltip label={t('alerts.fullPage')}>
                <ActionIcon
                  renderRoot={(props) => <Link to="/alerts/$id" params={{ id: String(alert.id) }} {...props} />}
                  aria-label={t('alerts.fullPage')}
                >
                  <IconArrowsMaximize size={15} aria-hidden />
                </ActionIcon>
              </Tooltip>
              <ActionIcon onClick={onDismiss} aria-label={t('common.close')}>
                <IconX size={16} aria-hidden />
              </ActionIcon>
            </>
          )}
        </span>
      </div>
      <h2 className={styles.title}>{visibleText(alert.title)}</h2>
      <Facts alert={alert} />
      <Tags tags={rule.tags} wrap />
      <div className={styles.actions}>
        {alert.status === 'open' && (
          <Button leftSection={<IconEyeCheck size={15} aria-hidden />} onClick={() => onAcknowledge(alert)}>
            {t('alerts.acknowledge')}
          </Button>
        )}
        {alert.status !== 'closed' && (
          <Button
            variant={alert.status === 'open' ? 'default' : 'filled'}
            leftSection={<IconCheck size={15} aria-hidden />}
            onClick={() => onClose(alert)}
          >
            {t('alerts.closeAction')}
          </Button>
        )}
        {alert.status !== 'open' && (
          <Button
            variant="default"
            leftSection={<IconRotateClockwise size={15} aria-hidden />}
            onClick={() => onReopen(alert)}
          >
            {t('alerts.reopen')}
          </Button>
        )}
      </div>
    </header>
  )
}

function Facts({ alert }: { alert: Alert }) {
  const { t } = useTranslation()
  const reader = useReader()
  return (
    <dl className={styles.facts}>
      <Fact label={t('alerts.host')} text={alert.host} />
      <Fact label={t('alerts.user')} text={alert.user} />
      <Fact label={t('alerts.sourceIp')} text={alert.source_ip} />
      <Fact label={t('alerts.findings')}>{reader.count(alert.count)}</Fact>
      <Fact label={t('alerts.first')}>
        <TimeText iso={alert.first_time} />
      </Fact>
      <Fact label={t('alerts.last')}>
        <TimeText iso={alert.last_time} />
      </Fact>
    </dl>
  )
}

function Fact({ label, text, children }: { label: string; text?: string | null | undefined; children?: ReactNode }) {
  if (!text && !children) return null
  return (
    <div>
      <dt>{label}</dt>
      <dd className={text ? 'canh-mono' : 'canh-num'}>{text ? visibleText(text) : children}</dd>
    </div>
  )
}
