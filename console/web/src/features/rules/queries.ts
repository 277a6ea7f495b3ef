// What the rule pages ask of the server.

import { notifications } from '@mantine/notifications'
import { useQueryClient } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'

import { $api, type Schemas } from '~/api/client'
import { readProblem, sentence } from '~/ui/problem'

export type Rule = Schemas['RuleView']
export type Backtest = Schemas['BacktestResult']

/** Which rules are loaded, and which could not be. */
export const ruleList = () => $api.queryOptions('get', '/api/v1/rules', {}, { refetchInterval: 60_000 })

export const ruleDetail = (id: string) =>
  $api.queryOptions('get', '/api/v1/rules/{id}', { params: { path: { id } } }, { refetchInterval: 60_000 })

export const ruleSamples = (id: string) =>
  $api.queryOptions('get', '/api/v1/rules/{id}/samples', { params: { path: { id } } })

/** Enables or disables a rule, says so, and has everything read anew that shows rules. */
export function useReview() {
  const { t } = useTranslation()
  const client = useQueryClient()
  const again = () =>
    client.invalidateQueries({
      predicate: ({ queryKey }) => typeof queryKey[1] === 'string' && /^\/api\/v1\/(rules|overview)/.test(queryKey[1]),
    })
  return $api.useMutation('post', '/api/v1/rules/{id}/review', {
    onSuccess: async (rule) => {
      notifications.show({ message: t(rule.state === 'enabled' ? 'rules.nowEnabled' : 'rules.nowDisabled') })
      await again()
    },
    onError: async (error) => {
      const message = sentence(readProblem(error).message)
      notifications.show({ color: 'red', title: t('rules.reviewFailed'), message })
      await again()
    },
  })
}
