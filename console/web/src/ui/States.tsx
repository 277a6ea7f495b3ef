// The four states of everything that is read from the server: loading, empty, failed, not allowed.

import { Button, Skeleton } from '@mantine/core'
import { IconCloudOff, IconInbox, IconLock, IconRefresh } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { Message } from './Message'
import { readProblem } from './problem'
import styles from './States.module.css'

interface QueryStateProps<T> {
  query: { data: T | undefined; error: unknown; isFetching: boolean; refetch: () => unknown }
  isEmpty?: (data: T) => boolean
  empty?: ReactNode
  /** Rows of the grey shape that is shown while loading. */
  skeletonRows?: number
  children: (data: T) => ReactNode
}

/** Shows what a query has. Data that is there stays on the page when a later reading fails. */
export function QueryState<T>({ query, isEmpty, empty, skeletonRows = 4, children }: QueryStateProps<T>) {
  if (query.data !== undefined) {
    const failed = query.error !== null
    return (
      <>
        {failed && <FailedState error={query.error} onRetry={() => void query.refetch()} compact />}
        {isEmpty?.(query.data) ? empty : children(query.data)}
      </>
    )
  }
  if (query.error !== null) {
    return <FailedState error={query.error} onRetry={() => void query.refetch()} busy={query.isFetching} />
  }
  return <LoadingState rows={skeletonRows} />
}

export function LoadingState({ rows = 4 }: { rows?: number }) {
  const { t } = useTranslation()
  return (
    <div className={styles.loading} role="status" aria-label={t('common.loading')}>
      {Array.from({ length: rows }, (_, row) => (
        <Skeleton key={row} height={14} width={`${94 - ((row * 17) % 40)}%`} radius="sm" />
      ))}
    </div>
  )
}

interface FailedStateProps {
  error: unknown
  onRetry?: () => void
  busy?: boolean
  /** One line above data that is still shown. */
  compact?: boolean
}

export function FailedState({ error, onRetry, busy, compact }: FailedStateProps) {
  const { t } = useTranslation()
  const problem = readProblem(error)
  if (problem.status === 403) return <NotAllowedState message={problem.message} />
  return (
    <div className={compact ? styles.failedLine : styles.state} role="alert">
      {!compact && <IconCloudOff size={26} className={styles.failedIcon} aria-hidden />}
      <div className={styles.words}>
        {!compact && <p className={styles.title}>{t('common.failed')}</p>}
        <p className={styles.hint}><Message text={problem.message} /></p>
        {problem.requestId && <p className={styles.request}>{t('common.requestId', { id: problem.requestId })}</p>}
      </div>
      {onRetry && (
        <Button
          size="xs"
          variant="default"
          onClick={onRetry}
          loading={busy ?? false}
          leftSection={<IconRefresh size={14} aria-hidden />}
        >
          {t('common.tryAgain')}
        </Button>
      )}
    </div>
  )
}

export function NotAllowedState({ message }: { message: string }) {
  const { t } = useTranslation()
  return (
    <div className={styles.state} role="alert">
      <IconLock size={26} className={styles.icon} aria-hidden />
      <div className={styles.words}>
        <p className={styles.title}>{t('common.notAllowed')}</p>
        <p className={styles.hint}>{message ? <Message text={message} /> : t('common.notAllowedHint')}</p>
      </div>
    </div>
  )
}

interface EmptyStateProps {
  title: string
  hint?: string
  icon?: ReactNode
  action?: ReactNode
  /** Less air around it, for a small panel. */
  small?: boolean
}

/** Why there is nothing here, and what to do next. */
export function EmptyState({ title, hint, icon, action, small }: EmptyStateProps) {
  return (
    <div className={small ? styles.stateSmall : styles.state}>
      {icon ?? (!small && <IconInbox size={26} className={styles.icon} aria-hidden />)}
      <div className={styles.words}>
        <p className={styles.title}>{title}</p>
        {hint && <p className={styles.hint}>{hint}</p>}
      </div>
      {action}
    </div>
  )
}
