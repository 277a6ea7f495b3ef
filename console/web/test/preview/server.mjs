// Serves the built page with the policy that the real server sets, and made-up answers. For looking at pages only:
// `node test/preview/server.mjs [port]`, after `npm run build`.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

import { agents, alertDetail, alerts, event, fields, histogram, now, rules, top } from './data.mjs'

const dist = fileURLToPath(new URL('../../dist/', import.meta.url))
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2' }
const CSP = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

let state = 'signed_in'
let preferences = { language: 'vi', theme: 'dark', time_zone: 'Asia/Ho_Chi_Minh' }
const session = () => ({ version: '0.1.0', state, ...(state === 'signed_in' ? { user: { name: 'quantri', role: 'admin' }, preferences } : {}) })

function refusal(status, code, message, details) {
  return { status, body: { code, message, request_id: '0193f2c4a1', ...(details ? { details } : {}) } }
}

function events(params) {
  const q = params.get('q') ?? ''
  if (q.includes('((')) return refusal(400, 'query_invalid', 'không đọc được truy vấn tại cột 9: this `(` is not closed', { column: q.indexOf('((') + 1, length: 1, suggestion: 'add a `)`' })
  const offset = Number(params.get('before') ?? 0)
  const all = q.includes('nothing') ? [] : Array.from({ length: 200 }, (_, n) => event(offset + n))
  return { body: { items: all, ...(all.length && offset < 600 ? { next: String(offset + 200) } : {}), from: params.get('from'), to: params.get('to'), took_ms: 23, hints: q.includes('user.nam:') ? [{ field: 'user.nam', suggestion: 'user.name' }] : [], outcome: { kind: 'complete' } } }
}

function answer(method, path, params, body) {
  const q = params.get('q') ?? ''
  switch (path) {
    case 'session':
      return { body: session() }
    case 'preview/state':
      state = params.get('state') ?? state
      return { body: {} }
    case 'login':
      if (body.password !== 'right') return refusal(401, 'login_failed', 'tên đăng nhập hoặc mật khẩu không đúng')
      state = 'signed_in'
      return { body: session() }
    case 'setup':
      return refusal(403, 'setup_token_wrong', 'mã thiết lập không đúng; máy chủ in mã đúng khi khởi động')
    case 'logout':
      state = 'signed_out'
      return { status: 204 }
    case 'preferences':
      if (method === 'PUT') preferences = body
      return { body: preferences }
    case 'overview':
      return {
        body: {
          events: histogram(params.get('from'), params.get('to'), 59),
          events_per_second: 7.4,
          alerts: { open: 29, acknowledged: 8, open_by_level: [['critical', 9], ['high', 8], ['medium', 7], ['low', 5], ['informational', 0]].map(([level, count]) => ({ level, count })) },
          agents: { total: 11, silent: 1 },
          dropped: [{ stage: 'collector.syslog_udp', reason: 'queue_full', count: 1204 }, { stage: 'agent.spool', reason: 'disk_full', count: 3 }, { stage: 'x', reason: 'y', count: 0 }],
          store: { events: 12_345_678, bytes: 2_345_678_901, damaged: 0, oldest: new Date(now - 9e8).toISOString(), newest: new Date(now).toISOString() },
        },
      }
    case 'alerts': {
      const items = alerts.filter((a) => (!params.get('status') || a.status === params.get('status')) && (!params.get('level') || a.level === params.get('level')) && JSON.stringify(a).toLowerCase().includes(q.toLowerCase()))
      return { body: { items: items.slice(0, Number(params.get('limit') ?? 100)), total: items.length } }
    }
    case 'agents':
      return { body: agents }
    case 'rules':
      return { body: rules }
    case 'fields':
      return { body: { items: fields.slice(0, 13).map((name) => ({ name, kind: 'keyword', about: name })) } }
    case 'events':
      return events(params)
    case 'events/histogram':
      return { body: histogram(params.get('from'), params.get('to'), 90, q.includes('nothing')) }
    case 'events/fields':
      return { body: { sampled: 10_000, items: q.includes('nothing') ? [] : fields.map((name, n) => ({ name, count: 10_000 - n * 520 })) } }
    case 'events/top':
      return { body: top(params.get('field')) }
  }
  const [, id, rest] = /^alerts\/(\d+)\/?(\w*)$/.exec(path) ?? []
  const alert = alerts.find((a) => String(a.id) === id)
  if (alert && rest === 'status') return { body: Object.assign(alert, { reason: undefined }, body) }
  if (alert && rest === 'events') return { body: { items: [event(0), event(7), event(4)], missing: ['0'.repeat(32)] } }
  if (alert) return { body: alertDetail(alert) }
  if (id) return refusal(404, 'alert_not_found', `không có cảnh báo ${id}`)
  if (path.startsWith('events/')) {
    const found = Array.from({ length: 800 }, (_, n) => event(n)).find((e) => path.endsWith(e.id))
    return found ? { body: found } : refusal(404, 'event_not_found', 'không có sự kiện trong kho')
  }
  return refusal(404, 'not_found', 'không có gì ở địa chỉ này')
}

function tail(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  let n = 0
  const timer = setInterval(() => {
    n += 1
    response.write(`event: event\ndata: ${JSON.stringify({ ...event(n), time: new Date().toISOString() })}\n\n`)
    if (n === 5) response.write('event: dropped\ndata: {"count":12,"total":12}\n\n')
  }, 120)
  response.on('close', () => clearInterval(timer))
}

createServer(async (request, response) => {
  const url = new URL(request.url, 'http://x')
  response.setHeader('content-security-policy', CSP)
  if (url.pathname === '/api/v1/events/tail') return tail(response)
  if (url.pathname.startsWith('/api/v1/')) {
    let text = ''
    for await (const chunk of request) text += chunk
    const { status = 200, body } = answer(request.method, url.pathname.slice(8), url.searchParams, text ? JSON.parse(text) : {})
    response.writeHead(status, { 'content-type': 'application/json' })
    return response.end(body === undefined ? undefined : JSON.stringify(body))
  }
  const file = extname(url.pathname) ? normalize(url.pathname) : '/index.html'
  try {
    const bytes = await readFile(join(dist, file))
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' })
    response.end(bytes)
  } catch {
    response.writeHead(404).end()
  }
}).listen(Number(process.argv[2] ?? 8687), '127.0.0.1')
