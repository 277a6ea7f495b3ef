import { screen, waitFor, within } from '@testing-library/react'
import { expect, test } from 'vitest'

import { type Asked, MockApi, Refusal } from '~test/mockApi'
import { renderApp } from '~test/renderApp'
import { sampleAlert, sampleDetail, sampleEvent } from '~test/samples'

const FIRST = sampleAlert()
const SECOND = sampleAlert({ id: 6, title: 'Web shell', level: 'critical' })

function start(address: string, list: unknown = { items: [FIRST, SECOND], total: 2 }) {
  const api = new MockApi().on('GET /alerts', list)
  for (const alert of [FIRST, SECOND]) {
    api
      .on(`GET /alerts/${alert.id}`, sampleDetail(alert))
      .on(`GET /alerts/${alert.id}/events`, { items: [sampleEvent()], missing: ['x'] })
      .on(`POST /alerts/${alert.id}/status`, ({ body }: Asked) => ({ ...alert, ...(body as object) }))
  }
  return { api, ...renderApp(address) }
}

test('the address is the filter that is asked for', async () => {
  const { api } = start('/alerts?status=closed&level=high&q=ssh')
  await screen.findByRole('row', { name: 'High, SSH brute force, Open' })
  const asked = api.of('GET /alerts')[0]?.params
  expect(Object.fromEntries(asked ?? [])).toEqual({ status: 'closed', level: 'high', q: 'ssh', limit: '200' })
})

test('details show why: condition, pattern and value, the events, and what is known to be harmless', async () => {
  const { user, address } = start('/alerts')
  await user.click(await screen.findByText('SSH brute force'))
  const details = await screen.findByRole('region', { name: 'Details' })
  const why = within(await within(details).findByRole('region', { name: 'Why this alert' }))
  expect(why.getByRole('row', { name: /failed message\s*contains Failed Failed password/ })).toBeVisible()
  expect(await within(details).findByText('<38>Failed password for root')).toBeVisible()
  expect(within(details).getByText('1 event is no longer in the store.')).toBeVisible()
  expect(within(details).getByText('A forgotten password')).toBeVisible()
  expect(within(details).getByText('Look at the host first.')).toBeVisible()
  await user.click(why.getByText('The whole condition'))
  expect(why.getByText('2 more parts, which decide nothing here')).toBeVisible()
  expect(address()).toBe('/alerts?alert=7&view=open')
})

test('a reference becomes a link only if it is the address of a web page', async () => {
  start('/alerts/7')
  const link = await screen.findByRole('link', { name: /example\.org/ })
  expect(link).toHaveAttribute('rel', 'noopener noreferrer')
  expect(screen.getByText('javascript:alert(1)').closest('a')).toBeNull()
})

test('the keyboard goes through the queue, opens, acknowledges and closes with a reason', async () => {
  const { api, user, address } = start('/alerts?status=all')
  await screen.findByRole('row', { name: 'High, SSH brute force, Open' })
  await user.keyboard('j')
  await waitFor(() => expect(address()).toBe('/alerts?status=all&alert=7'))
  await user.keyboard('j')
  await waitFor(() => expect(address()).toBe('/alerts?status=all&alert=6'))
  await user.keyboard('{Enter}')
  await waitFor(() => expect(address()).toBe('/alerts?status=all&alert=6&view=open'))
  await user.keyboard('k')
  await waitFor(() => expect(address()).toBe('/alerts?status=all&alert=7&view=open'))
  await user.keyboard('a')
  await waitFor(() => expect(api.of('POST /alerts/7/status')[0]?.body).toEqual({ status: 'acknowledged' }))

  await user.keyboard('c')
  const dialog = await screen.findByRole('dialog', { name: 'Close the alert' })
  await user.click(within(dialog).getByRole('radio', { name: 'False positive' }))
  await user.type(within(dialog).getByLabelText('Note'), 'known scanner')
  await user.click(within(dialog).getByRole('button', { name: 'Close the alert' }))
  await waitFor(() =>
    expect(api.of('POST /alerts/7/status')[1]?.body).toEqual({
      status: 'closed',
      reason: 'false_positive',
      note: 'known scanner',
    })
  )
})

test('a decision that takes the alert out of the list hands over to the next one', async () => {
  const { user, address } = start('/alerts?alert=7')
  await screen.findByRole('row', { name: 'High, SSH brute force, Open' })
  await user.keyboard('a')
  await waitFor(() => expect(address()).toBe('/alerts?alert=6'))
})

test('a decision that is refused says why', async () => {
  const { api, user } = start('/alerts/7')
  api.on('POST /alerts/7/status', new Refusal(403, 'your role may not do this', 'not_allowed'))
  await user.click(await screen.findByRole('button', { name: 'Acknowledge' }))
  expect(await screen.findByText('Your role may not do this')).toBeVisible()
})

test('an empty queue says that nothing is open', async () => {
  start('/alerts', { items: [], total: 0 })
  expect(await screen.findByText('No alert is open')).toBeVisible()
})

test('shows the server message and a retry button when the list cannot be read', async () => {
  start('/alerts', new Refusal(503, 'the state database does not answer', 'state_unavailable'))
  expect(await screen.findByRole('alert')).toHaveTextContent('The state database does not answer')
  expect(screen.getByRole('button', { name: 'Try again' })).toBeVisible()
})
