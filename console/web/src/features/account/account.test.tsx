import { screen, waitFor } from '@testing-library/react'
import { describe, expect, test } from 'vitest'

import { MockApi, Refusal } from '~test/mockApi'
import { renderApp } from '~test/renderApp'
import { sampleOverview } from '~test/samples'

const SIGNED_OUT = { state: 'signed_out', version: '0.1.0' }
const SETUP = { state: 'setup_required', version: '0.1.0' }
const SIGNED_IN = {
  state: 'signed_in',
  version: '0.1.0',
  user: { name: 'an', role: 'admin' },
  preferences: { language: 'en', theme: 'dark', time_zone: 'Asia/Ho_Chi_Minh' },
}

describe('signing in', () => {
  test('leads back to the page that was wanted, with its search', async () => {
    const api = new MockApi().on('GET /session', SIGNED_OUT).on('POST /login', SIGNED_IN)
    const { user, address } = renderApp('/rules?q=ssh')
    await user.type(await screen.findByLabelText('User name'), 'an')
    await user.type(screen.getByLabelText('Password'), 'a long sentence')
    await user.click(screen.getByRole('button', { name: 'Sign in' }))

    await screen.findByRole('heading', { name: 'Rules' })
    expect(address()).toBe('/rules?q=ssh')
    expect(api.of('POST /login')[0]?.body).toEqual({ username: 'an', password: 'a long sentence' })
  })

  test('shows what the server says, in the language of the page', async () => {
    const api = new MockApi()
      .on('GET /session', SIGNED_OUT)
      .on('POST /login', new Refusal(401, 'user name or password is wrong', 'login_failed'))
    const { user } = renderApp('/login')
    await user.type(await screen.findByLabelText('User name'), 'an')
    await user.type(screen.getByLabelText('Password'), 'wrong{Enter}')

    expect(await screen.findByRole('alert')).toHaveTextContent('User name or password is wrong')
    expect(api.of('POST /login')[0]?.language).toBe('en')
  })

  test('never leads to another site', async () => {
    new MockApi().on('GET /overview', sampleOverview())
    const { address } = renderApp('/login?next=//evil.example/')
    await screen.findByRole('heading', { name: 'Overview' })
    expect(address()).toBe('/')
  })
})

describe('setting up', () => {
  test('takes the token from the link and says which rules of the password are met', async () => {
    const api = new MockApi().on('GET /session', SETUP).on('POST /setup', SIGNED_IN).on('GET /overview', sampleOverview())
    const { user } = renderApp('/setup#token=4f9a-77c1')
    expect(await screen.findByLabelText('One-time set-up token')).toHaveValue('4f9a-77c1')
    await user.type(screen.getByLabelText('User name'), 'an')
    await user.type(screen.getByLabelText('Password'), 'too short')
    await user.click(screen.getByRole('button', { name: 'Create the account' }))
    expect(screen.getAllByRole('img', { name: 'not met yet' })).toHaveLength(2)
    expect(api.of('POST /setup')).toHaveLength(0)

    await user.type(screen.getByLabelText('Password'), ' no more')
    await user.type(screen.getByLabelText('Password again'), 'too short no more')
    expect(screen.getAllByRole('img', { name: 'met' })).toHaveLength(3)
    await user.click(screen.getByRole('button', { name: 'Create the account' }))
    await screen.findByRole('heading', { name: 'Overview' })
    expect(api.of('POST /setup')[0]?.body).toEqual({ token: '4f9a-77c1', username: 'an', password: 'too short no more' })
  })

  test('is where everything leads while there is no account', async () => {
    new MockApi().on('GET /session', SETUP)
    const { address } = renderApp('/hunt')
    await screen.findByRole('heading', { name: 'Set up Canh' })
    expect(address()).toBe('/setup')
  })

  test('is over once there is an account', async () => {
    new MockApi().on('GET /session', SIGNED_OUT)
    renderApp('/setup')
    expect(await screen.findByRole('link', { name: 'Go to sign-in' })).toBeVisible()
  })
})

test('a session that ends while a page is open leads to signing in and back', async () => {
  new MockApi().on('GET /rules', new Refusal(401, 'sign in first', 'not_signed_in'))
  const { address } = renderApp('/rules?q=ssh')
  await screen.findByRole('heading', { name: 'Sign in' })
  await waitFor(() => expect(address()).toBe('/login?next=%2Frules%3Fq%3Dssh'))
})

test('a server that cannot be reached is said so, with a button to try again', async () => {
  const api = new MockApi().on('GET /session', new TypeError('Failed to fetch')).on('GET /overview', sampleOverview())
  const { user } = renderApp('/')
  expect(await screen.findByRole('alert')).toHaveTextContent('The server cannot be reached')
  api.on('GET /session', SIGNED_IN)
  await user.click(screen.getByRole('button', { name: 'Try again' }))
  expect(await screen.findByRole('heading', { name: 'Overview' })).toBeVisible()
})
