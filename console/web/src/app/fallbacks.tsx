// What is shown when there is no page to show.

import { Button } from '@mantine/core'
import { IconError404, IconMoodSad } from '@tabler/icons-react'
import { useQueryClient } from '@tanstack/react-query'
import { type ErrorComponentProps, useRouter } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import { isApiError } from '~/api/errors'
import { EmptyState, FailedState, LoadingState } from '~/ui/States'
import { visibleText } from '~/ui/visible'
import { AnchorLink } from '~/url/links'

export function Starting() {
  return <LoadingState rows={3} />
}

/** A request that the page cannot do without has failed, or a page has a mistake. */
export function Crashed({ error, reset }: ErrorComponentProps) {
  const { t } = useTranslation()
  const router = useRouter()
  const client = useQueryClient()
  const again = () => {
    void client.resetQueries().finally(() => {
      reset()
      void router.invalidate()
    })
  }
  if (isApiError(error)) return <FailedState error={error} onRetry={again} />
  return (
    <div role="alert">
      <EmptyState
        icon={<IconMoodSad size={28} aria-hidden />}
        title={t('common.crashed')}
        hint={t('common.crashedHint')}
        action={
          <>
            <code className="canh-mono canh-dim">{visibleText(error instanceof Error ? error.message : String(error))}</code>
            <Button onClick={() => window.location.reload()}>{t('common.reload')}</Button>
          </>
        }
      />
    </div>
  )
}

export function NotFound() {
  const { t } = useTranslation()
  return (
    <EmptyState
      icon={<IconError404 size={32} aria-hidden />}
      title={t('common.notFound')}
      hint={t('common.notFoundHint')}
      action={
        <AnchorLink to="/">
          {t('common.goOverview')}
        </AnchorLink>
      }
    />
  )
}
