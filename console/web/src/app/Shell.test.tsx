import { screen, waitFor } from '@testing-library/react'
import { expect, test } from 'vitest'

import { MockApi } from '~test/mockApi'
import { renderApp } from '~test/renderApp'
import { sampleOverview } from '~test/samples'

function start() {
  const api = new MockApi()
    .on('GET /overview', sampleOverview())
    .on('GET /alerts', { items: [], total: 0 })
    .on('GET /agents', { items: [], silent_after_s: 90 })
    .on('PUT /preferences', ({ body }: { body: unknown }) => body)
    .on('POST /logout', null)
  return { api, ...renderApp('/') }
}

test('two keys lead to a page, and a question mark shows them all', async () => {
  const { user, address } = start()
  await screen.findByRole('heading', { name: 'Overview' })
  await user.keyboard('gs')
  await screen.findByRole('heading', { name: 'Agents' })
  expect(address()).toBe('/agents')
  await user.keyboard('?')
  expect(await screen.findByRole('dialog', { name: 'Keyboard shortcuts' })).toBeVisible()
})

test('keys write while somebody types', async () => {
  const { user, address } = start()
  await screen.findByRole('heading', { name: 'Overview' })
  await user.keyboard('gs')
  await user.type(await screen.findByRole('textbox', { name: 'Find an agent' }), 'gh')
  await waitFor(() => expect(address()).toBe('/agents?q=gh'))
})

test('the language changes at once and is kept with the account', async () => {
  const { user, api } = start()
  await user.click(await screen.findByRole('button', { name: /Tiếng Việt/ }))
  expect(await screen.findByRole('heading', { name: 'Tổng quan' })).toBeVisible()
  expect(document.documentElement.lang).toBe('vi')
  await waitFor(() => expect(api.of('PUT /preferences')[0]?.body).toMatchObject({ language: 'vi' }))
})

test('signing out ends on the sign-in page', async () => {
  const { user, api } = start()
  await user.click(await screen.findByRole('button', { name: 'Account of an' }))
  await user.click(await screen.findByRole('button', { name: 'Sign out' }))
  expect(await screen.findByRole('heading', { name: 'Sign in' })).toBeVisible()
  expect(api.of('POST /logout')).toHaveLength(1)
})

test('an address that is no page says so', async () => {
  const api = new MockApi()
  renderApp('/nowhere')
  expect(await screen.findByText('There is no such page')).toBeVisible()
  expect(api.asked).toEqual([])
})
