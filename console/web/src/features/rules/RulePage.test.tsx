import { screen, waitFor } from '@testing-library/react'
import { expect, test, vi } from 'vitest'

import type { Schemas } from '~/api/client'
import { MockApi } from '~test/mockApi'
import { renderApp } from '~test/renderApp'

const RULE: Schemas['RuleView'] = {
  id: 'r1', title: 'SSH brute force', level: 'high', tags: [], file: 'imported/ssh.yml', findings: 0, kind: 'event',
  quiet: false, samples: 2, suppressed: 0, state: 'needs_review',
}
const HASH = 'ab'.repeat(32)
const SAMPLES = [
  { about: 'a guess', fires: true, holds: true },
  { about: 'a login', fires: false, holds: true },
]

const RESULT: Schemas['BacktestResult'] = {
  from: '2026-01-24T00:00:00Z', to: '2026-01-31T00:00:00Z', oldest: '2026-01-24T00:00:01Z', events: 5_000, kept: 12,
  left_out: 0, findings: 9, alerts: 3, alerts_per_day: 0.43, hour_findings_max: 7, findings_per_hour: 5, hours: [],
  days: [{ from: '2026-01-30T00:00:00Z', findings: 9, alerts: 3 }],
  examples: [{ rule_id: 'r1', title: 'SSH brute force', level: 'high', time: '2026-01-30T01:00:00Z', host: 'web', event_ids: ['aa', 'bb'] }],
}

/** A server whose backtests give these messages. */
function serve(rule: Schemas['RuleView'], samples = SAMPLES, messages = `event: progress\ndata: {"done":0.5,"events":1,"kept":1}\n\nevent: result\ndata: ${JSON.stringify(RESULT)}\n\n`) {
  const api = new MockApi()
    .on('GET /rules/r1', { rule, hash: HASH, text: 'title: SSH brute force' })
    .on('GET /rules/r1/samples', { items: samples })
    .on('POST /rules/r1/review', { ...rule, state: 'enabled' })
  const plain = globalThis.fetch
  const asked: unknown[] = []
  vi.stubGlobal('fetch', async (request: Request) => {
    if (!request.url.endsWith('/rules/backtest')) return plain(request)
    asked.push(await request.json())
    // In two parts, as a network may give it.
    const bytes = new TextEncoder().encode(messages)
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start(out) {
        out.enqueue(bytes.slice(0, 61))
        out.enqueue(bytes.slice(61))
        out.close()
      },
    })
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  })
  return { api, asked }
}

test('a rule is enabled after its samples and a run over the past were shown', async () => {
  const { api, asked } = serve(RULE)
  const { user } = renderApp('/rules/r1')
  expect(await screen.findByText('needs review')).toBeVisible()
  expect(await screen.findByText('2 of 2 do what they should')).toBeVisible()
  expect(screen.queryByRole('button', { name: 'Enable this rule' })).not.toBeInTheDocument()
  await user.click(screen.getByText('30 days'))
  await user.click(screen.getByRole('button', { name: 'Run' }))
  expect(await screen.findByText('0.4 alerts a day')).toBeVisible()
  expect(asked).toEqual([expect.objectContaining({ text: 'title: SSH brute force' })])
  expect(screen.getByText(/Up to 7 findings in one hour; more than 5/)).toBeVisible()
  expect(screen.getByRole('link', { name: '2 events' }).getAttribute('href')).toContain('id%3A%28aa+OR+bb%29')
  await user.type(screen.getByRole('textbox', { name: /Note for the audit log/ }), 'agreed')
  await user.click(screen.getByRole('button', { name: 'Enable this rule' }))
  await waitFor(() => expect(api.of('POST /rules/r1/review')).toHaveLength(1))
  expect(api.of('POST /rules/r1/review')[0]?.body).toEqual({ decision: 'enabled', hash: HASH, note: 'agreed' })
})

test('a rule whose sample fails cannot be enabled', async () => {
  serve(RULE, [{ about: 'a guess', fires: true, holds: false }])
  const { user } = renderApp('/rules/r1')
  expect(await screen.findByText('not found, but should be')).toBeVisible()
  await user.click(screen.getByRole('button', { name: 'Run' }))
  expect(await screen.findByRole('button', { name: 'Enable this rule' })).toBeDisabled()
})

test('a run that fails says so', async () => {
  serve(RULE, SAMPLES, 'event: error\ndata: the store is closed\n\n')
  const { user } = renderApp('/rules/r1')
  await user.click(await screen.findByRole('button', { name: 'Run' }))
  expect(await screen.findByText('The store is closed')).toBeVisible()
})

test('disabling needs a reason; who decided is shown', async () => {
  const review: Schemas['RuleReviewView'] = {
    decision: 'enabled', who: 'an', at: '2026-01-31T00:00:00Z', changed: true, note: 'agreed',
    backtest: { from: RESULT.from, to: RESULT.to, alerts: 3, alerts_per_day: 0.43 },
  }
  const { api } = serve({ ...RULE, state: 'enabled', review })
  const { user } = renderApp('/rules/r1')
  expect(await screen.findByText(/by an,/)).toHaveTextContent('0.4 alerts a day')
  expect(screen.getByText('changed')).toBeVisible()
  await user.click(screen.getByRole('button', { name: 'Disable…' }))
  const disable = await screen.findByRole('button', { name: 'Disable' })
  expect(disable).toBeDisabled()
  await user.type(screen.getByRole('textbox', { name: /Why/ }), 'noise')
  await user.click(disable)
  await waitFor(() => expect(api.of('POST /rules/r1/review')).toHaveLength(1))
  expect(api.of('POST /rules/r1/review')[0]?.body).toEqual({ decision: 'disabled', hash: HASH, note: 'noise' })
})
