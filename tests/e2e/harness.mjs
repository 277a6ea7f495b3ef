// Starts a real server on a directory of its own, plays the demo into it, and opens Chromium on its page.

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
const { chromium } = createRequire(join(root, 'console/web/package.json'))('playwright-core')

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path))

function program(name) {
  const dir = process.env.CANH_BIN_DIR ?? join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'debug')
  const path = join(dir, name)
  if (!existsSync(path)) throw new Error(`\`${path}\` is not built; run \`cargo build --workspace --bins\` first`)
  return path
}

/** A port below the range from which the kernel takes ports for clients, so that no connection takes it meanwhile. */
async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000)
    const server = createServer()
    const free = await new Promise((done) => server.once('error', () => done(false)).listen(port, '127.0.0.1', () => done(true)))
    if (!free) continue
    await new Promise((done) => server.close(done))
    return port
  }
}

/** Asks until the answer is truthy, and gives it. */
export async function until(what, seconds, ask) {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (Date.now() > end) throw new Error(`waited ${seconds} s in vain for ${what}`)
    await new Promise((done) => setTimeout(done, 50))
  }
}

/** A running server. `started` is when its process began. `imported` are rules of others, by file name. */
export async function startServer({ imported = {} } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'canh-e2e-'))
  const ports = { console: await freePort(), grpc: await freePort(), http: await freePort(), tcp: await freePort(), udp: await freePort() }
  const rules = [join(root, 'rules')]
  if (Object.keys(imported).length > 0) {
    const from = join(dir, 'imported')
    mkdirSync(from)
    writeFileSync(join(from, '.needs-review'), '')
    for (const [name, text] of Object.entries(imported)) writeFileSync(join(from, name), text)
    rules.push(from)
  }
  const config = join(dir, 'canh.toml')
  writeFileSync(
    config,
    `data = ${JSON.stringify(join(dir, 'data'))}
[console]
listen = "127.0.0.1:${ports.console}"
[detection]
rules = ${JSON.stringify(rules)}
[collector.otlp_grpc]
listen = "127.0.0.1:${ports.grpc}"
[collector.http]
listen = "127.0.0.1:${ports.http}"
[collector.syslog_tcp]
listen = "127.0.0.1:${ports.tcp}"
[collector.syslog_udp]
listen = "127.0.0.1:${ports.udp}"
[collector.flow]
listen = "127.0.0.1:0"
`
  )
  const log = openSync(join(dir, 'server.log'), 'w')
  const started = Date.now()
  const child = spawn(program('canh'), ['serve', '--config', config], { stdio: ['ignore', log, log] })
  const url = `http://127.0.0.1:${ports.console}`
  const output = () => readFileSync(join(dir, 'server.log'), 'utf8')
  await until('the server to be ready', 60, async () => {
    if (child.exitCode !== null) throw new Error(`the server ended:\n${output()}`)
    return fetch(`${url}/readyz`).then((answer) => answer.ok, () => false)
  })
  return {
    dir,
    data: join(dir, 'data'),
    ports,
    url,
    started,
    output,
    canh: (...args) => {
      const result = spawnSync(program('canh'), args, { encoding: 'utf8', env: { ...process.env, CANH_DATA: join(dir, 'data') } })
      if (result.status !== 0) throw new Error(`canh ${args.join(' ')} ended with ${result.status}:\n${result.stdout}${result.stderr}`)
      return result.stdout
    },
    /** Starts the demo without waiting for its end. */
    demo: () => {
      const demo = spawn(program('canh'), ['demo', '--agent', program('canh-agent')], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, CANH_DATA: join(dir, 'data') },
      })
      let text = ''
      demo.stdout.on('data', (part) => (text += part))
      demo.stderr.on('data', (part) => (text += part))
      return new Promise((done, fail) => {
        demo.on('exit', (code) => (code === 0 ? done(text) : fail(new Error(`the demo ended with ${code}:\n${text}`))))
      })
    },
    stop: async () => {
      child.kill('SIGTERM')
      await new Promise((done) => (child.exitCode !== null ? done() : child.on('exit', done)))
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

export async function startBrowser() {
  if (!CHROMIUM) throw new Error('Chromium is missing; install it: apt-get install chromium')
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  })
}

/** A page that collects what must not happen: errors of scripts and violations of the content security policy. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1440, height: 900 }, ...options })
  const page = await context.newPage()
  const problems = []
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error' && !/401|404/.test(message.text())) problems.push(message.text())
  })
  return { context, page, problems }
}
