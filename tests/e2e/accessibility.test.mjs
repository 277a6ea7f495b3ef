// No page, in either colour scheme, may break a rule of WCAG 2.2 AA that a program can check.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { openPage, root, startBrowser, startServer } from './harness.mjs'

const { source: AXE } = createRequire(join(root, 'console/web/package.json'))('axe-core')
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
const PASSWORD = 'mot mat khau kha dai 2026'
const DAY = 'from=now-24h'
/** Command in the Query of an Uploaded Page. */
const RULE = 'b3d6e8f4-71a2-4c0d-8e95-2f1a6c9d3e33'
const PHONE = { width: 360, height: 760 }

let server
let browser
let demo
/** Cookies of the first user. */
let signedIn
let alertId

before(async () => {
  server = await startServer()
  demo = server.demo().catch(() => {}) // whether it plays well is the first-light test's question
  browser = await startBrowser()
})

after(async () => {
  await browser?.close()
  await demo
  await server?.stop()
})

/** What axe finds serious on the page as it is, one line each. */
async function violations(page, name) {
  // The page's policy refuses scripts that are put into it, but not those of the browser's own tools.
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(AXE)
  const found = await page.evaluate(async (tags) => {
    const { violations: all } = await window.axe.run(document, { runOnly: tags, resultTypes: ['violations'] })
    return all
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => ({ id, nodes: nodes.slice(0, 4).map(({ html, any }) => `${html.slice(0, 160)} ${any[0]?.message ?? ''}`) }))
  }, TAGS)
  return found.map(({ id, nodes }) => `${name}: ${id}\n    ${nodes.join('\n    ')}`)
}

const row = (page) => page.locator('[role=row][data-index="0"]')

/** Every view: its address, and how to get it into the state that is checked. */
const VIEWS = [
  ['overview', '/', (page) => page.getByRole('img', { name: /^Chart/ }).waitFor()],
  ['keyboard shortcuts', null, (page) => page.keyboard.press('?').then(() => page.getByRole('dialog').waitFor())],
  ['hunt', `/hunt?${DAY}`, (page) => row(page).waitFor()],
  ['hunt, syntax', null, (page) => page.getByRole('button', { name: 'How to write a query' }).click()],
  ['hunt, range', `/hunt?${DAY}`, (page) => page.getByRole('button', { name: /Last 24 hours/ }).click()],
  ['hunt, top values', `/hunt?${DAY}`, (page) => page.locator('[aria-label="Fields"] button').first().click()],
  ['hunt, event', `/hunt?${DAY}`, (page) => row(page).click().then(() => page.getByRole('tab', { name: 'Raw' }).waitFor())],
  ['hunt, raw', null, (page) => page.getByRole('tab', { name: 'Raw' }).click()],
  ['hunt, wrong query', `/hunt?${DAY}&q=source.ip:(`, (page) => page.getByText('The query cannot be run').first().waitFor()],
  ['alerts', '/alerts?status=all', (page) => row(page).waitFor()],
  ['alerts, details', null, (page) => row(page).click().then(() => page.getByText('Why this alert').waitFor())],
  ['alerts, close', null, (page) => page.getByRole('button', { name: 'Close…' }).click().then(() => page.getByRole('dialog').waitFor())],
  ['alert', () => `/alerts/${alertId}`, (page) => page.getByText('Why this alert').waitFor()],
  ['agents', '/agents', (page) => row(page).waitFor()],
  ['rules', '/rules', (page) => row(page).waitFor()],
  ['rule, samples', () => `/rules/${RULE}`, (page) => page.getByText(/of \d+ do what they should/).waitFor()],
  ['rule, run over the past', null, (page) => page.getByRole('button', { name: 'Run', exact: true }).click().then(() => page.getByText('Newest findings').waitFor())],
  ['rule, disable', null, (page) => page.getByRole('button', { name: 'Disable…' }).click().then(() => page.getByRole('dialog').waitFor())],
  ['account', '/rules', (page) => page.getByRole('button', { name: /^Account of/ }).click()],
  ['no such page', '/nowhere', (page) => page.getByText('There is no such page').waitFor()],
]
const PHONE_VIEWS = VIEWS.filter(([name]) => ['overview', 'hunt', 'alerts', 'alert', 'agents', 'rules', 'rule, samples', 'rule, run over the past'].includes(name))

/** A page in a colour scheme, without movement that axe would catch in the middle. */
async function open(scheme, options = {}) {
  const opened = await openPage(browser, { reducedMotion: 'reduce', colorScheme: scheme, ...options })
  await opened.context.addInitScript((name) => localStorage.setItem('canh.theme', name), scheme)
  return opened
}

async function check(page, views) {
  const found = []
  for (const [name, address, reach] of views) {
    if (address !== null) await page.goto(server.url + (typeof address === 'function' ? address() : address))
    await reach(page)
    // What a click opens is drawn within two frames.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))
    found.push(...(await violations(page, name)))
  }
  return found
}

test('setting up', async () => {
  const link = server.canh('setup-link').trim()
  for (const scheme of ['dark', 'light']) {
    const { page, context } = await open(scheme)
    await page.goto(link)
    await page.getByLabel('User name').waitFor()
    assert.deepEqual(await violations(page, `setup, ${scheme}`), [])
    if (scheme === 'light') {
      await page.getByLabel('User name').fill('quantri')
      await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
      await page.getByLabel('Password again').fill(PASSWORD)
      await page.getByRole('button', { name: 'Create the account' }).click()
      await page.getByRole('heading', { name: 'Overview' }).waitFor()
      await page.goto(`${server.url}/alerts?status=all`)
      await row(page).waitFor({ timeout: 60_000 })
      alertId = await page.evaluate(async () => (await (await fetch('/api/v1/alerts?limit=1')).json()).items[0].id)
      signedIn = await context.storageState()
    }
    await context.close()
  }
})

for (const scheme of ['dark', 'light']) {
  test(`signing in, ${scheme}`, async () => {
    const { page, context } = await open(scheme)
    assert.deepEqual(await check(page, [['sign in', '/login', () => page.getByLabel('User name').waitFor()]]), [])
    await context.close()
  })

  test(`every page, ${scheme}`, async () => {
    const { page, context, problems } = await open(scheme, { storageState: signedIn })
    assert.deepEqual(await check(page, VIEWS), [])
    // The wrong query is refused with 400, which the browser writes down.
    assert.deepEqual(problems.filter((each) => !/status of 400/.test(each)), [])
    await context.close()
  })
}

test('every page on a phone', async () => {
  const { page, context } = await open('dark', { storageState: signedIn, viewport: PHONE })
  assert.deepEqual(await check(page, PHONE_VIEWS), [])
  await page.getByRole('button', { name: 'Open the menu' }).click()
  await page.getByRole('dialog').waitFor()
  assert.deepEqual(await violations(page, 'menu'), [])
  await context.close()
})
