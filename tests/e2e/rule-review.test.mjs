// A rule of others: it waits, its backtest is shown, somebody enables it, it finds something, somebody disables it.

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'

import { openPage, startBrowser, startServer, until } from './harness.mjs'

const PASSWORD = 'mot mat khau kha dai 2026'
const ID = '5f0d9a54-6f0c-4c54-8d0d-0c1c0c7c2a11'
const TITLE = 'A Name That Nobody Has'
const RULE = `title: ${TITLE}
id: ${ID}
logsource:
  product: linux
  service: sshd
detection:
  selection:
    message|contains: 'invalid user'
  condition: selection
level: high
`

let server
let browser
let page
let problems

/** A line of sshd, written now. */
function send(host) {
  const line = `<38>1 ${new Date().toISOString()} ${host} sshd 7 - - Failed password for invalid user zed from 203.0.113.9 port 4022 ssh2\n`
  return new Promise((done, fail) => {
    const socket = connect(server.ports.tcp, '127.0.0.1', () => socket.end(line))
    socket.on('error', fail).on('close', done)
  })
}

const ask = (path) => page.evaluate(async (address) => (await fetch(address)).json(), path)
const alerts = async () => (await ask('/api/v1/alerts?limit=100')).items.filter(({ rule_id: rule }) => rule === ID).length

before(async () => {
  server = await startServer({ imported: { 'name.yml': RULE } })
  browser = await startBrowser()
  ;({ page, problems } = await openPage(browser))
  await page.goto(server.canh('setup-link').trim())
  await page.getByLabel('User name').fill('quantri')
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByLabel('Password again').fill(PASSWORD)
  await page.getByRole('button', { name: 'Create the account' }).click()
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
})

after(async () => {
  await browser?.close()
  await server?.stop()
})

test('a rule of others waits for a review, and the list says so', async () => {
  for (let n = 0; n < 3; n += 1) await send('gate')
  await until('the events to be stored', 20, async () => (await ask('/api/v1/events?q=zed&limit=10')).items.length === 3)
  assert.equal(await alerts(), 0)
  await page.goto(`${server.url}/rules`)
  await page.getByText('1 rule waits for a review', { exact: false }).waitFor()
  await page.getByRole('button', { name: 'Show them' }).click()
  await until('the address to say what is shown', 10, () => page.url().includes('state=needs_review'))
  await page.getByRole('link', { name: TITLE }).click()
  await page.getByRole('heading', { name: TITLE }).waitFor()
  await page.getByText('This rule came without samples', { exact: false }).waitFor()
  assert.equal(await page.getByRole('button', { name: 'Enable this rule' }).count(), 0)
})

test('what it would have found is shown, with the events, and then it can be enabled', async () => {
  await page.getByText('1 day', { exact: true }).click()
  await page.getByRole('button', { name: 'Run', exact: true }).click()
  await page.getByText('1 alert a day').waitFor({ timeout: 20_000 })
  await page.getByRole('img', { name: /^Alerts by hour/ }).waitFor()
  await page.getByRole('link', { name: '1 event' }).first().click()
  await page.getByText('invalid user zed', { exact: false }).first().waitFor({ timeout: 15_000 })
  await page.goBack()
  await page.getByRole('button', { name: 'Run', exact: true }).click()
  await page.getByLabel('Note for the audit log (optional)').fill('agreed with the network team')
  await page.getByRole('button', { name: 'Enable this rule' }).click()
  await page.getByText('by quantri,', { exact: false }).waitFor()
  await page.getByText('agreed with the network team').waitFor()
  await until('the rule to find something', 20, async () => {
    await send('gate')
    return (await alerts()) === 1
  })
})

test('it is disabled with a reason, and stays so after a reload of the rules', async () => {
  await page.getByRole('button', { name: 'Disable…' }).click()
  await page.getByRole('textbox', { name: /Why/ }).fill('too noisy')
  await page.getByRole('button', { name: 'Disable', exact: true }).click()
  await page.locator('#content').getByText('too noisy').waitFor()
  const { rule } = await ask(`/api/v1/rules/${ID}`)
  assert.deepEqual([rule.state, rule.review.who, rule.review.note], ['disabled', 'quantri', 'too noisy'])
  const before = (await ask('/api/v1/rules')).loaded_at
  await until('the rules to be loaded again', 20, async () => (await ask('/api/v1/rules')).loaded_at >= before)
  await page.reload()
  await page.getByText('Disabled', { exact: false }).first().waitFor()
})

test('nothing went wrong inside the page', () => {
  assert.deepEqual(problems, [])
})
