// The whole application at an address, as a browser would show it.

import { createMemoryHistory } from '@tanstack/react-router'
import { render } from '@testing-library/react'
import userEvent from '@testing-library/user-event'

import { App } from '~/app/App'
import { createQueryClient } from '~/app/queryClient'
import { createAppRouter } from '~/app/router'

export function renderApp(address: string) {
  const queryClient = createQueryClient()
  const defaults = queryClient.getDefaultOptions()
  queryClient.setDefaultOptions({ ...defaults, queries: { ...defaults.queries, retry: false } })
  const history = createMemoryHistory({ initialEntries: [address] })
  const router = createAppRouter(queryClient, history)
  render(<App queryClient={queryClient} router={router} />)
  return { user: userEvent.setup(), router, address: () => router.state.location.href }
}
