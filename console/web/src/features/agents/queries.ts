import { $api } from '~/api/client'

/** Who sends us events. */
export const agentList = () => $api.queryOptions('get', '/api/v1/agents', {}, { refetchInterval: 10_000 })
