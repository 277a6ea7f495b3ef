// The whole path, as a new user sees it: set-up link, demo, alerts, the reason of each, a hunt, both languages.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { openPage, startBrowser, startServer, until } from './harness.mjs'

const PASSWORD = 'mot mat khau kha dai 2026'
let server
let browser
let demo
let page
let problems

before(async () => {
  server = await startServer()
  demo = server.demo()
  demo.catch(() => {}) // reported by the test that waits for it
  browser = await startBrowser()
  ;({ page, problems } = await openPage(browser))
})

after(async () => {
  await browser?.close()
  await server?.stop()
})

const truth = () => JSON.parse(readFileSync(join(server.data, 'demo/ground_truth.json'), 'utf8'))

test('the one-time link sets up the first user, once', async () => {
  const link = server.canh('setup-link').trim()
  assert.match(link, /\/setup#token=/)
  await page.goto(link)
  await page.getByLabel('User name').fill('quantri')
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByLabel('Password again').fill(PASSWORD)
  await page.getByRole('button', { name: 'Create the account' }).click()
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  assert.equal(server.canh('setup-link').trim(), '', 'the link works only once')
})

test('an alert is on screen within 60 s of the start of the server', async () => {
  await page.getByRole('link', { name: /^Alerts/ }).first().click()
  await page.getByRole('heading', { name: 'Alerts', level: 1 }).waitFor()
  await page.getByText('SSH Brute Force That Succeeded').first().waitFor({ timeout: 60_000 })
  const seconds = (Date.now() - server.started) / 1000
  console.log(`first alert on the screen ${seconds.toFixed(1)} s after the server was started`)
  assert.ok(seconds < 60, `${seconds} s`)
})

test('every step of the attack is found, and nothing ordinary is high', async () => {
  await demo
  const expected = new Set(truth().steps.flatMap((step) => step.rules))
  await page.reload()
  await page.getByRole('heading', { name: 'Alerts', level: 1 }).waitFor()
  const rules = await page.evaluate(async () => {
    const answer = await fetch('/api/v1/alerts?limit=500')
    return (await answer.json()).items.map(({ rule_id, level, title }) => ({ rule_id, level, title }))
  })
  const fired = new Set(rules.map((rule) => rule.rule_id))
  assert.deepEqual([...expected].filter((id) => !fired.has(id)), [], 'steps that were missed')
  const wrong = rules.filter((rule) => ['high', 'critical'].includes(rule.level) && !expected.has(rule.rule_id))
  assert.deepEqual(wrong, [], 'ordinary traffic that raised a serious alert')
  // And they are on the page, not only in the answer.
  for (const title of new Set(rules.filter((rule) => expected.has(rule.rule_id)).map((rule) => rule.title))) {
    await page.getByText(title, { exact: true }).first().waitFor()
  }
})

test('an alert says why, shows its events, and can be acknowledged and closed', async () => {
  await page.getByText('Memory of a Process Dumped with comsvcs.dll').first().click()
  await page.getByText('MiniDump').first().waitFor()
  await page.getByText('rundll32.exe', { exact: false }).first().waitFor()
  await page.getByRole('button', { name: 'Acknowledge' }).first().click()
  await until('the alert to be acknowledged', 10, () => page.getByText('Acknowledged').first().isVisible())
})

test('a hunt finds the guessed passwords, and its address gives the same page again', async () => {
  await page.getByRole('link', { name: 'Hunt' }).first().click()
  await page.getByRole('button', { name: /Last hour/ }).click()
  await page.getByText('Last 24 hours').click()
  const box = page.getByRole('textbox', { name: /query|search/i }).first()
  await box.fill('event.action:ssh_login event.outcome:failure source.ip:198.51.100.0/24')
  await box.press('Control+Enter')
  await page.getByText('Failed password', { exact: false }).first().waitFor({ timeout: 15_000 })
  const address = page.url()
  const { page: second } = await openPage(browser, { storageState: await page.context().storageState() })
  await second.goto(address)
  await second.getByText('Failed password', { exact: false }).first().waitFor({ timeout: 15_000 })
  await second.context().close()
})

test('dragging over the histogram narrows the time', async () => {
  const chart = page.getByRole('img', { name: /events|chart/i }).first()
  const box = await chart.boundingBox()
  await page.mouse.move(box.x + box.width * 0.7, box.y + box.height / 2)
  await page.mouse.down()
  await page.mouse.move(box.x + box.width * 0.95, box.y + box.height / 2, { steps: 8 })
  await page.mouse.up()
  await until('the address to hold absolute times', 10, () => /from=\d{4}-/.test(decodeURIComponent(page.url())))
})

test('the agents that delivered are listed', async () => {
  await page.getByRole('link', { name: 'Agents' }).first().click()
  for (const host of ['API-Svr', 'ESB-Svr', 'BAM-Svr']) await page.getByText(host).first().waitFor({ timeout: 15_000 })
})

test('the console speaks Vietnamese, and remembers it', async () => {
  await page.getByText('VI', { exact: true }).click()
  await page.getByRole('heading', { name: 'Tác tử' }).waitFor()
  await page.reload()
  await page.getByRole('heading', { name: 'Tác tử' }).waitFor()
  assert.equal(await page.getAttribute('html', 'lang'), 'vi')
})

test('nothing went wrong inside the page', () => {
  assert.deepEqual(problems, [])
})
