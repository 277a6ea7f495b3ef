// What the account pages ask of the server.

import { useQueryClient } from '@tanstack/react-query'
import { useRouter } from '@tanstack/react-router'

import { $api } from '~/api/client'
import { keepSession, type Session } from '~/api/session'

/** After somebody has signed in, everything that was kept for somebody else is let go of. */
function useSignedIn(next: string) {
  const client = useQueryClient()
  const router = useRouter()
  return async (session: Session) => {
    client.clear()
    keepSession(client, session)
    await router.navigate({ href: next, replace: true })
  }
}

export function useLogin(next: string) {
  return $api.useMutation('post', '/api/v1/login', { onSuccess: useSignedIn(next) })
}

export function useSetup() {
  return $api.useMutation('post', '/api/v1/setup', { onSuccess: useSignedIn('/') })
}

