import { screen, waitFor } from '@testing-library/react'
import { expect, test } from 'vitest'

import type { Schemas } from '~/api/client'
import { MockApi, Refusal } from '~test/mockApi'
import { renderApp } from '~test/renderApp'

function rule(change: Partial<Schemas['RuleView']>): Schemas['RuleView'] {
  return { id: 'r1', title: 'SSH brute force', level: 'high', tags: [], file: 'ssh.yml', findings: 0, kind: 'event', quiet: false, samples: 3, suppressed: 0, state: 'enabled', ...change }
}

test('rules that do not load are shown with file, line and column', async () => {
  new MockApi().on('GET /rules', {
    items: [rule({})],
    errors: [{ file: 'dns.yml', line: 14, column: 9, message: 'unknown modifier `containss`' }],
  })
  renderApp('/rules')
  const problem = await screen.findByRole('alert')
  expect(problem).toHaveTextContent('1 rule does not load.')
  expect(problem).toHaveTextContent('dns.yml:14:9')
  expect(problem).toHaveTextContent('Unknown modifier containss')
})

test('the text in the box is in the address and narrows the list', async () => {
  const items = [rule({}), rule({ id: 'r2', title: 'Web shell', file: 'web.yml', findings: 3 })]
  new MockApi().on('GET /rules', { items, errors: [] })
  const { user, address } = renderApp('/rules')
  await user.type(await screen.findByRole('textbox', { name: 'Title, id, file or tag' }), 'web')
  await waitFor(() => expect(address()).toBe('/rules?q=web'))
  expect(await screen.findByText('1 of 2 rules', { exact: false })).toBeVisible()
  expect(screen.queryByText('SSH brute force')).not.toBeInTheDocument()
  expect(screen.getByRole('link', { name: '3' })).toHaveAttribute('href', '/alerts?status=all&q=r2')
})

test('no rules says where to put them', async () => {
  new MockApi().on('GET /rules', { items: [], errors: [] })
  renderApp('/rules')
  expect(await screen.findByText(/Put Sigma rules/)).toBeVisible()
})

test('says that the role may not see it', async () => {
  new MockApi().on('GET /rules', new Refusal(403, 'your role may not do this'))
  renderApp('/rules')
  expect(await screen.findByText('You may not see this')).toBeVisible()
})

test('a rule whose sample was lost on the way says so, and a noisy one how much was not kept', async () => {
  const at = '2026-01-31T01:00:00Z'
  const items = [
    rule({ canary: 'fired', canary_at: at }),
    rule({ id: 'r2', title: 'Web shell', canary: 'rule', canary_at: at, samples: 0, suppressed: 12 }),
  ]
  new MockApi().on('GET /rules', { items, errors: [] })
  renderApp('/rules')
  expect(await screen.findByText('fires')).toHaveAttribute('title', expect.stringContaining('the rule fired'))
  expect(screen.getByText('silent')).toHaveAttribute('title', expect.stringContaining('did not fire'))
  expect(screen.getByText('12 over budget')).toBeVisible()
  expect(screen.getByText('no samples')).toBeVisible()
})
