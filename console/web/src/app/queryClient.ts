// The cache of everything that the server told, and what happens when it says no.

import { QueryCache, QueryClient } from '@tanstack/react-query'

import { isApiError } from '~/api/errors'
import { dropSession, sessionQuery } from '~/api/session'

/** Refusals that another try cannot change. */
function isFinal(error: unknown): boolean {
  return isApiError(error) && error.status >= 400 && error.status < 500
}

export function createQueryClient(): QueryClient {
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        const isSession = query.queryKey[1] === sessionQuery().queryKey[1]
        if (isApiError(error) && error.status === 401 && !isSession) dropSession(client)
      },
    }),
    defaultOptions: {
      queries: {
        staleTime: 5_000,
        refetchOnWindowFocus: false,
        retry: (failures, error) => !isFinal(error) && failures < 1,
        retryDelay: 700,
      },
    },
  })
  return client
}
