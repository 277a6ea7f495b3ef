import { describe, expect, test } from 'vitest'

import { attrField, conditions, filterExists, filterIn, filterOut, term } from './terms'

describe('a condition is written so that the server reads back the same value', () => {
  test.each([
    ['user.name', 'root', 'user.name:root'],
    ['source.ip', '10.0.0.1', 'source.ip:10.0.0.1'],
    ['source.ip', '2001:db8::1', 'source.ip:"2001:db8::1"'],
    ['message', 'failed password', 'message:"failed password"'],
    ['url.path', '/a?b=*', 'url.path:"/a?b=*"'],
    ['process.executable', 'C:\\Windows\\cmd.exe', 'process.executable:"C:\\\\Windows\\\\cmd.exe"'],
    ['user.name', 'say "hi"', 'user.name:"say \\"hi\\""'],
    ['user.name', 'OR', 'user.name:"OR"'],
    ['user.name', 'not', 'user.name:"not"'],
    ['count', '-5', 'count:"-5"'],
    ['odd "name"', 'x', '"odd \\"name\\"":x'],
    ['my field', '', '"my field":""'],
    ['@timestamp', 'x', '@timestamp:x'],
    ['user.name', 'quản trị', 'user.name:"quản trị"'],
  ])('%s = %s', (field, value, expected) => {
    expect(term(field, value)).toBe(expected)
  })
})

describe('conditions', () => {
  test.each([
    ['', []],
    ['a b', ['a', 'b']],
    ['a AND b && c', ['a', 'b', 'c']],
    ['a NOT b:c', ['a', 'NOT b:c']],
    ['!b:c', ['NOT b:c']],
    ['a OR b', null],
    ['a || b', null],
    ['(a OR b) c', ['(a OR b)', 'c']],
    ['"a OR b" c', ['"a OR b"', 'c']],
    ['x:"say \\" OR" c', ['x:"say \\" OR"', 'c']],
    ['p:[20 TO 25] q', ['p:[20 TO 25]', 'q']],
    ['/a b/ c', ['/a b/', 'c']],
    ['url:/a b/ c', ['url:/a b/', 'c']],
    ['a/b c/d', ['a/b', 'c/d']],
    ['(a', null],
    ['a)', null],
    ['"a', null],
    ['NOT', null],
  ])('%s', (query, expected) => {
    expect(conditions(query)).toEqual(expected)
  })
})

describe('a click on a value', () => {
  test.each([
    ['', 'user.name:root'],
    ['failed', 'failed user.name:root'],
    ['user.name:root', 'user.name:root'],
    ['NOT user.name:root x', 'user.name:root x'],
    ['a OR b', '(a OR b) user.name:root'],
    ['(a OR b) c', '(a OR b) c user.name:root'],
  ])('filters in: %s', (query, expected) => {
    expect(filterIn(query, 'user.name', 'root')).toBe(expected)
  })

  test.each([
    ['', 'NOT user.name:root'],
    ['user.name:root failed', 'NOT user.name:root failed'],
    ['NOT user.name:root', 'NOT user.name:root'],
    ['a OR b', '(a OR b) NOT user.name:root'],
  ])('filters out: %s', (query, expected) => {
    expect(filterOut(query, 'user.name', 'root')).toBe(expected)
  })

  test('asks for the field', () => {
    expect(filterExists('a', 'user.name')).toBe('a user.name:*')
  })
})

test('an attribute that is called like a field of the catalogue is asked for by its prefix', () => {
  const catalogue = new Set(['host.name'])
  expect(attrField('host.name', catalogue)).toBe('attrs.host.name')
  expect(attrField('id', catalogue)).toBe('attrs.id')
  expect(attrField('pid', catalogue)).toBe('pid')
})
