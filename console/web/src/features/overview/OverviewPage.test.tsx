import { screen } from '@testing-library/react'
import { expect, test } from 'vitest'

import { MockApi, Refusal } from '~test/mockApi'
import { renderApp } from '~test/renderApp'
import { sampleAlert, sampleOverview } from '~test/samples'

function start(overview: unknown) {
  const api = new MockApi()
    .on('GET /overview', overview)
    .on('GET /alerts', { items: [sampleAlert()], total: 1 })
    .on('GET /agents', { items: [], silent_after_s: 90 })
  return { api, ...renderApp('/') }
}

test('nothing dropped is said in words, and what is missing says what to do', async () => {
  start(sampleOverview())
  expect(await screen.findByText('Nothing has been dropped since the server started.')).toBeVisible()
  expect(await screen.findByText('No agent has reported yet')).toBeVisible()
})

test('what was dropped is listed with its reason', async () => {
  start(sampleOverview({ dropped: [{ stage: 'collector.syslog_udp', reason: 'queue_full', count: 1_204 }] }))
  expect(await screen.findByText('1,204 records have been dropped since the server started.')).toBeVisible()
  expect(screen.getByRole('row', { name: 'collector.syslog_udp queue_full 1,204' })).toBeVisible()
})

test('a severity leads to the queue of its open alerts', async () => {
  const { user, address } = start(sampleOverview())
  await user.click(await screen.findByRole('link', { name: 'Critical 4 open now' }))
  await screen.findByRole('heading', { name: 'Alerts' })
  expect(address()).toBe('/alerts?level=critical')
})

test('shows the server message and a retry button when the overview cannot be read', async () => {
  const { api, user } = start(new Refusal(503, 'the event store does not answer', 'store_unavailable'))
  const problems = await screen.findAllByRole('alert')
  expect(problems[0]).toHaveTextContent('The event store does not answer')
  expect(problems[0]).toHaveTextContent('Request r-1')
  api.on('GET /overview', sampleOverview())
  await user.click(screen.getAllByRole('button', { name: 'Try again' })[0] as HTMLElement)
  expect(await screen.findByRole('img', { name: /^Chart of events per minute/ })).toBeVisible()
})

test('says that the role may not see it', async () => {
  start(new Refusal(403, 'your role `viewer` may not do this', 'not_allowed'))
  expect((await screen.findAllByText('You may not see this'))[0]).toBeVisible()
  expect(screen.queryByRole('button', { name: 'Try again' })).not.toBeInTheDocument()
})
