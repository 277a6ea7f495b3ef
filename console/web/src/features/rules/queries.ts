import { $api } from '~/api/client'

/** Which rules are loaded, and which could not be. */
export const ruleList = () => $api.queryOptions('get', '/api/v1/rules', {}, { refetchInterval: 60_000 })
