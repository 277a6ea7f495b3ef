// Small answers of the API, with what a test does not care about filled in.

import type { Schemas } from '~/api/client'

export const EVENT_ID = '00000000000000000000000000000001'

export function sampleEvent(change: Partial<Schemas['EventView']> = {}): Schemas['EventView'] {
  return {
    id: EVENT_ID,
    time: '2026-01-31T01:00:00.123Z',
    received: '2026-01-31T01:00:01Z',
    class: 'log',
    logsource: { categories: [], services: [] },
    message: 'Failed password for root',
    fields: { 'host.name': 'API-Svr', 'user.name': 'root' },
    attrs: {},
    raw: '<38>Failed password for root',
    raw_len: 28,
    issues: [],
    cut: false,
    ...change,
  }
}

export function samplePage(items: Schemas['EventView'][], next?: string): Schemas['EventPage'] {
  const range = { from: '2026-01-31T00:00:00Z', to: '2026-01-31T02:00:00Z' }
  return { items, hints: [], took_ms: 3, outcome: { kind: 'complete' }, ...range, ...(next ? { next } : {}) }
}

export function sampleHistogram(counts: number[]): Schemas['HistogramView'] {
  return {
    from: '2026-01-31T00:00:00Z',
    to: '2026-01-31T02:00:00Z',
    start: '2026-01-31T00:00:00Z',
    width_ms: 60_000,
    counts,
    total: counts.reduce((sum, count) => sum + count, 0),
    outcome: { kind: 'complete' },
  }
}

export function sampleAlert(change: Partial<Schemas['AlertView']> = {}): Schemas['AlertView'] {
  return {
    id: 7,
    rule_id: 'rule-1',
    title: 'SSH brute force',
    level: 'high',
    tags: ['attack.t1110.001'],
    status: 'open',
    entity: { kind: 'host', value: 'API-Svr' },
    host: 'API-Svr',
    count: 3,
    first_time: '2026-01-31T01:00:00Z',
    last_time: '2026-01-31T01:05:00Z',
    opened_at: '2026-01-31T01:00:00Z',
    updated_at: '2026-01-31T01:05:00Z',
    ...change,
  }
}

export function sampleDetail(alert: Schemas['AlertView']): Schemas['AlertDetail'] {
  return {
    alert,
    rule: {
      id: alert.rule_id,
      hash: '00',
      title: alert.title,
      description: 'Many failed passwords.',
      level: alert.level,
      tags: alert.tags,
      attack: [],
      false_positives: ['A forgotten password'],
      references: ['https://example.org/a', 'javascript:alert(1)'],
      guide: { en: 'Look at the host first.', vi: 'Xem máy chủ trước.' },
    },
    matches: [
      { selection: 'failed', field: 'message', modifiers: 'contains', pattern: 'Failed', value: 'Failed password', cut: false },
    ],
    condition: {
      holds: true,
      kind: 'all',
      parts: [
        {
          holds: true,
          kind: 'compared',
          compared: {
            selection: 'failed',
            field: 'message',
            modifiers: 'contains',
            patterns: ['Failed'],
            patterns_total: 1,
            present: true,
            value: 'Failed password',
            cut: false,
          },
        },
        { holds: false, kind: 'left_out', count: 2 },
      ],
    },
    findings: [],
    event_ids: [EVENT_ID],
    history: [],
  }
}

export function sampleOverview(change: Partial<Schemas['Overview']> = {}): Schemas['Overview'] {
  return {
    events: sampleHistogram([1, 2, 3]),
    events_per_second: 1.5,
    alerts: { open: 4, acknowledged: 1, open_by_level: [{ level: 'critical', count: 4 }] },
    agents: { total: 1, silent: 0 },
    dropped: [],
    store: { events: 6, bytes: 1_200, damaged: 0 },
    ...change,
  }
}
