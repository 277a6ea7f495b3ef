import { describe, expect, test } from 'vitest'

import { formatBytes } from './numbers'
import { tagText } from './Tags'
import { formatDateTime, formatDateTimeMs, parseTyped, zoneLabel } from './time'
import { clip, visible, visibleText } from './visible'

const HANOI = 'Asia/Ho_Chi_Minh'

describe('what cannot be seen is named', () => {
  test.each([
    ['plain Nguyễn 日本', 'plain Nguyễn 日本'],
    ['a\u001b[31mb', 'aESC[31mb'],
    ['\u0000\u0007\u007f', 'NULBELDEL'],
    ['a\tb\r\n', 'aTABbCRLF'],
    ['\u202egnp.exe', 'U+202Egnp.exe'],
    ['a\u200bb\ufeff', 'aU+200BbU+FEFF'],
    ['\u0085', 'U+0085'],
    ['\ud800', 'U+D800'],
    ['\u{e0041}', 'U+E0041'],
    ['😀', '😀'],
  ])('%j', (text, expected) => {
    expect(visibleText(text)).toBe(expected)
  })

  test('a line end is kept where lines are wanted', () => {
    expect(visible('a\nb', 'kept').map(({ text }) => text)).toEqual(['a', 'LF', '\nb'])
    expect(visible('a\nb', 'plain').map(({ text }) => text)).toEqual(['a\nb'])
  })

  test('clipping never halves a letter', () => {
    expect(clip('ab😀c', 3)).toBe('ab')
    expect(clip('abc', 3)).toBe('abc')
  })
})

describe('times', () => {
  test.each([
    ['2026-01-31T01:02:03.456Z', '31/01/2026 08:02:03'],
    ['2025-12-31T17:00:00Z', '01/01/2026 00:00:00'],
  ])('%s is written for the zone', (iso, expected) => {
    expect(formatDateTime(Date.parse(iso), HANOI)).toBe(expected)
  })

  test('with milliseconds', () => {
    expect(formatDateTimeMs(Date.parse('2026-01-31T01:02:03.056Z'), HANOI)).toBe('31/01/2026 08:02:03.056')
  })

  test.each([
    ['31/01/2026 08:02:03', '2026-01-31T01:02:03.000Z'],
    ['31/01/2026 08:02', '2026-01-31T01:02:00.000Z'],
    ['1/2/2026', '2026-01-31T17:00:00.000Z'],
    ['2026-01-31T08:02:03+07:00', '2026-01-31T01:02:03.000Z'],
    ['31/02/2026', null],
    ['31/01/2026 24:00', null],
    ['01-02-2026', null],
    ['', null],
  ])('%s is read in the zone', (text, expected) => {
    const ms = parseTyped(text, HANOI)
    expect(ms === null ? null : new Date(ms).toISOString()).toBe(expected)
  })

  test('a change of clocks is no trouble', () => {
    const ms = parseTyped('29/03/2026 12:00:00', 'Europe/Berlin')
    expect(ms && new Date(ms).toISOString()).toBe('2026-03-29T10:00:00.000Z')
  })

  test('the zone has a short name', () => {
    expect(zoneLabel(HANOI, 0)).toMatch(/^UTC\+[78]$/)
    expect(zoneLabel('Asia/Kolkata', Date.parse('2026-01-01'))).toBe('UTC+5:30')
  })
})

test.each([
  [0, '0 B'],
  [1023, '1,023 B'],
  [1536, '1.5 KiB'],
  [2_345_678_901, '2.2 GiB'],
])('%d bytes', (bytes, expected) => {
  expect(formatBytes(bytes, 'en')).toBe(expected)
})

test.each([
  ['attack.t1110.001', 'T1110.001'],
  ['attack.credential_access', 'credential access'],
  ['attack.stealth', 'stealth'],
  ['cve.2021-44228', 'cve.2021-44228'],
])('tag %s', (tag, expected) => {
  expect(tagText(tag)).toBe(expected)
})
