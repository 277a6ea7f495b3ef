// Takes a picture of every page in both languages and both themes, and says what the browser complained about.
// `node test/preview/shots.mjs <folder> [base address]`, with `test/preview/server.mjs` running.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { chromium } from 'playwright-core'

const folder = process.argv[2] ?? 'shots'
const base = process.argv[3] ?? 'http://127.0.0.1:8687'
const only = process.argv[4]
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const eventId = [...Array(32)].map((_, i) => ((4 * 31 + i * 7 + 13 + ((4 * i) % 11)) % 16).toString(16)).join('')

const PAGES = [
  ['overview', '/'],
  ['hunt', '/hunt'],
  ['hunt-event', `/hunt?q=${encodeURIComponent('failed password source.ip:203.0.113.0/24')}&event=${eventId}&columns=host.name&columns=user.name&columns=message`],
  ['hunt-error', `/hunt?q=${encodeURIComponent('failed ((user.name:root OR')}`],
  ['hunt-empty', '/hunt?q=nothing'],
  ['hunt-live', '/hunt?live=on'],
  ['alerts', '/alerts?status=all'],
  ['alert', '/alerts?alert=1000&view=open'],
  ['alert-page', '/alerts/993'],
  ['agents', '/agents'],
  ['rules', '/rules'],
  ['missing', '/nowhere'],
]
const ACCOUNT = [
  ['login', '/login', 'signed_out'],
  ['setup', '/setup#token=4f9a-77c1-0b2e', 'setup_required'],
]
const VIEWS = [
  { language: 'vi', theme: 'dark', width: 1440, height: 900 },
  { language: 'en', theme: 'light', width: 1440, height: 900 },
  { language: 'en', theme: 'dark', width: 1440, height: 900 },
  { language: 'vi', theme: 'light', width: 1440, height: 900 },
  { language: 'vi', theme: 'dark', width: 360, height: 740 },
  { language: 'en', theme: 'light', width: 900, height: 1000 },
]

await mkdir(folder, { recursive: true })
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS })
const complaints = []
for (const view of VIEWS) {
  const name = `${view.language}-${view.theme}-${view.width}`
  const context = await browser.newContext({ viewport: { width: view.width, height: view.height }, reducedMotion: 'reduce' })
  await context.addInitScript(({ language, theme }) => {
    localStorage.setItem('canh.language', language)
    localStorage.setItem('canh.theme', theme)
  }, view)
  const page = await context.newPage()
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(`${name} ${page.url()} ${message.text()}`))
  page.on('pageerror', (error) => complaints.push(`${name} ${page.url()} ${error}`))
  page.on('dialog', (dialog) => complaints.push(`${name} a dialog: ${dialog.message()}`))
  const shoot = async (title, path) => {
    if (only && !title.startsWith(only)) return
    await page.goto(base + path)
    await page.waitForTimeout(title === 'hunt-live' ? 1_600 : 700)
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
    if (wide > 0) complaints.push(`${name} ${title}: ${wide} px wider than the window`)
    await page.screenshot({ path: join(folder, `${title}-${name}.png`) })
  }
  for (const [title, path] of PAGES) await shoot(title, path)
  for (const [title, path, state] of ACCOUNT) {
    await page.request.get(`${base}/api/v1/preview/state?state=${state}`)
    await shoot(title, path)
  }
  await page.request.get(`${base}/api/v1/preview/state?state=signed_in`)
  await context.close()
}
await browser.close()
process.stdout.write(complaints.length > 0 ? `${complaints.join('\n')}\n` : 'no complaints\n')
process.exitCode = complaints.length > 0 ? 1 : 0
