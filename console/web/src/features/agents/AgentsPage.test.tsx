import { screen } from '@testing-library/react'
import { expect, test } from 'vitest'

import type { Schemas } from '~/api/client'
import { MockApi, Refusal } from '~test/mockApi'
import { renderApp } from '~test/renderApp'

const AGENT: Schemas['AgentView'] = {
  id: 'a1',
  kind: 'agent',
  host: 'API-Svr',
  version: '0.1.0',
  first_seen: '2026-01-30T01:00:00Z',
  last_seen: '2026-01-31T01:00:00Z',
  status: 'silent',
  events: 1_234,
  bytes: 2_048,
  dropped: [{ reason: 'spool_full', count: 12 }],
  spool_bytes: 0,
}

test('an agent shows whether it is heard of, since when, and what it lost', async () => {
  new MockApi().on('GET /agents', { items: [AGENT], silent_after_s: 90 })
  renderApp('/agents')
  const row = (await screen.findByRole('link', { name: 'API-Svr' })).closest('[role=row]')
  expect(row).toHaveTextContent('Silent')
  expect(row).toHaveTextContent('31/01/2026 08:00:00')
  expect(row).toHaveTextContent('12 spool_full')
  expect(screen.getByTitle('Events of API-Svr')).toHaveAttribute('href', '/hunt?q=agent.id%3Aa1')
})

test('no agent yet says what to do', async () => {
  new MockApi().on('GET /agents', { items: [], silent_after_s: 90 })
  renderApp('/agents')
  expect(await screen.findByText(/Install canh-agent/)).toBeVisible()
})

test('shows the server message and a retry button when the list cannot be read', async () => {
  new MockApi().on('GET /agents', new Refusal(503, 'the state database does not answer'))
  renderApp('/agents')
  expect(await screen.findByRole('alert')).toHaveTextContent('The state database does not answer')
  expect(screen.getByRole('button', { name: 'Try again' })).toBeVisible()
})
