import { describe, expect, test } from 'vitest'

import { parseSearch, stringifySearch } from '~/app/search'
import { readAlertSearch, shortAlertSearch } from '~/features/alerts/filter'
import { DEFAULT_COLUMNS, readHuntSearch, shortHuntSearch } from '~/features/hunt/filter'
import { bounds, resolve, zoomedOut } from './range'

const NOW = Date.parse('2026-01-31T01:00:00Z')

describe('the search part of an address', () => {
  test.each([
    ['?q=a%20b', { q: 'a b' }],
    ['?columns=a&columns=b', { columns: ['a', 'b'] }],
    ['?q=%3Cimg%3E%26', { q: '<img>&' }],
    ['', {}],
  ])('%s', (text, search) => {
    expect(parseSearch(text)).toEqual(search)
    expect(parseSearch(stringifySearch(search))).toEqual(search)
  })
})

describe('the hunt page', () => {
  test.each([
    [{}, {}],
    [{ q: 'a', from: 'now-24h', to: 'now' }, { q: 'a', from: 'now-24h', to: 'now' }],
    [{ from: 'never' }, {}],
    [{ from: '2026-01-31T01:00:00Z', to: '2026-01-30T01:00:00Z' }, {}],
    [{ columns: ['user.name', 'user.name', ''] }, { columns: ['user.name'] }],
    [{ columns: [...DEFAULT_COLUMNS] }, {}],
    [{ event: '../../x' }, {}],
    [{ event: '0'.repeat(32), live: 'on' }, { event: '0'.repeat(32), live: 'on' }],
  ])('reads %j', (input, short) => {
    expect(shortHuntSearch(readHuntSearch(input))).toEqual(short)
  })
})

describe('the alert queue', () => {
  test.each([
    [{}, {}],
    [{ status: 'closed', level: 'high', q: 'ssh' }, { status: 'closed', level: 'high', q: 'ssh' }],
    [{ status: 'bad', level: 'worse' }, {}],
    [{ alert: '7', view: 'open' }, { alert: '7', view: 'open' }],
    [{ alert: 'x', view: 'open' }, {}],
  ])('reads %j', (input, short) => {
    expect(shortAlertSearch(readAlertSearch(input))).toEqual(short)
  })
})

describe('ranges', () => {
  test.each([
    ['now', NOW],
    ['now-15m', NOW - 900_000],
    ['now-2d', NOW - 172_800_000],
    ['2026-01-31T01:00:00Z', NOW],
    ['now+1h', null],
    ['yesterday', null],
  ])('%s', (text, expected) => {
    expect(resolve(text, NOW)).toBe(expected)
  })

  test('an empty range is none', () => {
    expect(bounds({ from: 'now', to: 'now-1h' }, NOW)).toBeNull()
  })

  test('zooming out does not reach into the future', () => {
    const out = zoomedOut({ fromMs: NOW - 3_600_000, toMs: NOW }, NOW)
    expect(out).toEqual({ from: '2026-01-30T23:30:00.000Z', to: '2026-01-31T01:00:00.000Z' })
  })
})
