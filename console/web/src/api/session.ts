// Who is signed in, and what they prefer. Everything else is asked for only after this.

import type { QueryClient } from '@tanstack/react-query'

import { $api, fetchClient, type Schemas } from './client'

export type Session = Schemas['SessionView']
export type Preferences = Schemas['Preferences']

export const sessionQuery = () => $api.queryOptions('get', '/api/v1/session', {}, { staleTime: Infinity })

/** Writes down what the server has just told about the session, so that it need not be asked again. */
export function keepSession(client: QueryClient, session: Session): void {
  client.setQueryData(sessionQuery().queryKey, session)
}

/** Marks the session as over: the server no longer knows the cookie. */
export function dropSession(client: QueryClient): void {
  client.setQueryData(sessionQuery().queryKey, (session: Session | undefined) =>
    session === undefined ? session : { state: 'signed_out' as const, version: session.version }
  )
}

export async function signOut(client: QueryClient): Promise<void> {
  await fetchClient.POST('/api/v1/logout')
  client.removeQueries({ predicate: (query) => query.queryKey[1] !== '/api/v1/session' })
  dropSession(client)
}
