import { screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, test } from 'vitest'

import type { Schemas } from '~/api/client'
import { MockApi } from '~test/mockApi'
import { renderApp } from '~test/renderApp'

const LINE: Schemas['LedgerLineView'] = {
  source: 'syslog_udp:192.0.2.1',
  hour: '2026-01-31T01:00:00Z',
  clock_behind_ms: 185_000,
  clock_off: true,
  state: 'complete',
  received: 1_234,
  journaled: 1_234,
  detected: 1_234,
  stored: 1_234,
  duplicates: 0,
  missed: 0,
  dropped: [],
  batches: 12,
  bytes: 4_096,
}

const AGENT: Schemas['LedgerLineView'] = {
  ...LINE,
  source: 'a1',
  host: 'ESB-Svr',
  clock_behind_ms: 400,
  clock_off: false,
  state: 'gap',
  read: 60,
  sent: 50,
  stored: 40,
  dropped: [{ reason: 'journal_full', records: 7 }],
}

const GAP: Schemas['LedgerGapView'] = {
  source: 'a1',
  host: 'ESB-Svr',
  kind: 'batches',
  spool: '00ff',
  first: '3',
  last: '5',
  missing: 3,
  noticed: '2026-01-31T01:10:00Z',
}

const PAGE = { from: '2026-01-30T01:00:00Z', to: '2026-01-31T02:00:00Z', gaps_left: 0, position: 9 }

test('a clock that is off is said in words', async () => {
  new MockApi().on('GET /ledger', { ...PAGE, lines: [AGENT, LINE], gaps: [] })
  renderApp('/deliveries')

  expect(await screen.findByText('clock 3 min behind')).toBeVisible()
  expect(screen.queryByText(/clock .* ahead/)).toBeNull()
})

test('every sender shows what came and what is held, and what is missing stands above', async () => {
  new MockApi().on('GET /ledger', { ...PAGE, lines: [AGENT, LINE], gaps: [GAP] })
  renderApp('/deliveries')
  const row = await screen.findByRole('row', { name: 'ESB-Svr' })
  for (const text of ['Missing', '60', '50', '1,234', '40', '7 journal_full']) expect(row).toHaveTextContent(text)
  const quiet = screen.getByRole('row', { name: 'syslog_udp:192.0.2.1' })
  expect(quiet).toHaveTextContent('Complete')
  const gaps = screen.getByRole('list', { name: 'Missing' })
  expect(gaps).toHaveTextContent('3 batches never came')
  expect(gaps).toHaveTextContent('3 – 5')
})

test('a sender opens hour by hour', async () => {
  const api = new MockApi().on('GET /ledger', { ...PAGE, lines: [LINE], gaps: [] })
  renderApp('/deliveries')
  await userEvent.click(await screen.findByRole('row', { name: 'syslog_udp:192.0.2.1' }))
  const details = await screen.findByRole('region', { name: 'Details' })
  expect(await within(details).findByText('31/01/2026 08:00:00')).toBeVisible()
  expect(within(details).getByRole('link', { name: 'See its events' })).toHaveAttribute(
    'href',
    expect.stringContaining('canh.source')
  )
  expect(api).toBeDefined()
})

test('nothing yet says what to do', async () => {
  new MockApi().on('GET /ledger', { ...PAGE, lines: [], gaps: [] })
  renderApp('/deliveries')
  expect(await screen.findByText('Nothing was delivered in this time')).toBeVisible()
})
