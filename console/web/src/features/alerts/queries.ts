// What the alert pages ask of the server.

import { notifications } from '@mantine/notifications'
import { infiniteQueryOptions, keepPreviousData, useQueryClient } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'

import { $api, fetchClient, type Schemas } from '~/api/client'
import { readProblem, sentence } from '~/ui/problem'
import type { AlertSearch } from './filter'

export type Alert = Schemas['AlertView']
export type AlertDetail = Schemas['AlertDetail']
export type Decision = Schemas['AlertStatusRequest']

const LIST_PATH = '/api/v1/alerts'
const PAGE_LEN = 200

/** Alerts that match the filter, newest first. The filter is the cache key. */
export const alertList = ({ status, level, q }: Pick<AlertSearch, 'status' | 'level' | 'q'>) => {
  const filter = {
    ...(status === 'all' ? {} : { status }),
    ...(level === 'all' ? {} : { level }),
    ...(q.trim() ? { q: q.trim() } : {}),
    limit: PAGE_LEN,
  }
  return infiniteQueryOptions({
    queryKey: ['get', LIST_PATH, { filter }] as const,
    queryFn: async ({ pageParam, signal }) => {
      const query = pageParam === '' ? filter : { ...filter, before: pageParam }
      const { data } = await fetchClient.GET(LIST_PATH, { params: { query }, signal })
      if (!data) throw new Error('the list of alerts is empty')
      return data
    },
    initialPageParam: '',
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
    refetchInterval: 10_000,
  })
}

export const alertDetail = (id: number) =>
  $api.queryOptions('get', '/api/v1/alerts/{id}', { params: { path: { id } } }, { placeholderData: keepPreviousData })

export const alertEvents = (id: number) =>
  $api.queryOptions('get', '/api/v1/alerts/{id}/events', { params: { path: { id } } })

/** Acknowledges, closes or opens again, says so, and has everything read anew that shows alerts. */
export function useDecide() {
  const { t } = useTranslation()
  const client = useQueryClient()
  return $api.useMutation('post', '/api/v1/alerts/{id}/status', {
    onSuccess: async (alert) => {
      notifications.show({ message: t('alerts.changed', { status: t(`status.${alert.status}`) }) })
      await client.invalidateQueries({
        predicate: ({ queryKey }) =>
          typeof queryKey[1] === 'string' && /^\/api\/v1\/(alerts|overview)/.test(queryKey[1]),
      })
    },
    onError: (error) => {
      notifications.show({
        color: 'red',
        title: t('alerts.changeFailed'),
        message: sentence(readProblem(error).message),
      })
    },
  })
}
