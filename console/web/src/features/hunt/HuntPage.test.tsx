import { act, screen, waitFor, within } from '@testing-library/react'
import { describe, expect, test } from 'vitest'

import { FakeEventSource } from '~test/eventSource'
import { MockApi, Refusal } from '~test/mockApi'
import { renderApp } from '~test/renderApp'
import { EVENT_ID, sampleEvent, sampleHistogram, samplePage } from '~test/samples'
import { marked } from './QueryError'

function start(address: string, events: unknown = samplePage([sampleEvent()])) {
  const api = new MockApi()
    .on('GET /events', events)
    .on('GET /events/histogram', sampleHistogram([1, 0, 2]))
    .on('GET /events/fields', { items: [{ name: 'user.name', kind: 'keyword', count: 1 }], sampled: 1 })
    .on('GET /events/top', {
      field: 'user.name',
      items: [{ value: 'quản "trị"', count: 3 }],
      with_field: 3,
      total: 3,
      outcome: { kind: 'complete' },
    })
    .on('GET /fields', { items: [{ name: 'host.name', kind: 'keyword', about: '' }] })
    .on(`GET /events/${EVENT_ID}`, sampleEvent({ attrs: { 'host.name': 'native' } }))
  return { api, ...renderApp(address) }
}

test('an address shows its query, its range and its columns, and asks for them', async () => {
  const range = 'from=2026-01-31T00%3A00%3A00Z&to=2026-01-31T02%3A00%3A00Z'
  const { api } = start(`/hunt?q=failed&${range}&columns=user.name`)
  expect(await screen.findByRole('row', { name: 'Event of 31/01/2026 08:00:00' })).toHaveTextContent('root')
  expect(screen.getByRole('textbox', { name: 'Query' })).toHaveValue('failed')
  const asked = api.of('GET /events')[0]?.params
  expect(asked?.get('q')).toBe('failed')
  expect(asked?.get('from')).toBe('2026-01-31T00:00:00.000Z')
  expect(screen.getByRole('button', { name: /31\/01\/2026 07:00:00 – 31\/01\/2026 09:00:00/ })).toBeVisible()
})

test('Enter runs the query and puts it into the address; Shift+Enter does not', async () => {
  const { user, address } = start('/hunt')
  const box = await screen.findByRole('textbox', { name: 'Query' })
  await user.type(box, 'user.name:root{Shift>}{Enter}{/Shift}')
  expect(address()).toBe('/hunt')
  await user.type(box, '{Control>}{Enter}{/Control}')
  await waitFor(() => expect(address()).toBe('/hunt?q=user.name%3Aroot'))
})

test('one click on a value narrows the query, another leaves it out', async () => {
  const { user, address } = start('/hunt?q=a+OR+b')
  await user.click(await screen.findByRole('button', { name: 'Only host.name = API-Svr', hidden: true }))
  const search = () => new URL(address(), 'http://x').searchParams.get('q')
  await waitFor(() => expect(search()).toBe('(a OR b) host.name:API-Svr'))
  await user.click(await screen.findByRole('button', { name: 'Without host.name = API-Svr', hidden: true }))
  await waitFor(() => expect(search()).toBe('(a OR b) NOT host.name:API-Svr'))
})

test('a field shows its top values, and a click on one becomes a quoted condition', async () => {
  const { user, address } = start('/hunt')
  await user.click(await screen.findByRole('button', { name: /^user\.name/, expanded: false }))
  // Without layout the target of the popover counts as out of sight, and its content with it.
  const values = await screen.findByRole('list', { name: 'Top values of user.name', hidden: true })
  await user.click(within(values).getByRole('button', { name: /^Without user\.name/, hidden: true }))
  await waitFor(() => expect(new URL(address(), 'http://x').searchParams.get('q')).toBe('NOT user.name:"quản \\"trị\\""'))
})

test('more events are asked for after the last one', async () => {
  const second = sampleEvent({ id: '0'.repeat(31) + '2', message: 'second page' })
  const { api, user } = start('/hunt', ({ params }: { params: URLSearchParams }) =>
    params.has('before') ? samplePage([second]) : samplePage([sampleEvent()], 'key-1')
  )
  await user.click(await screen.findByRole('button', { name: 'Load more' }))
  expect(await screen.findByText('second page')).toBeVisible()
  expect(api.of('GET /events').at(-1)?.params.get('before')).toBe('key-1')
  expect(screen.getByText('These are all.')).toBeVisible()
})

describe('what goes wrong', () => {
  test('a query that cannot be read is shown with a mark below the place', async () => {
    const problem = new Refusal(400, 'the query cannot be read at column 8: this `(` is not closed', 'query_invalid', {
      column: 8,
      length: 1,
      suggestion: 'add a `)`',
    })
    start('/hunt?q=failed+(user.name:root', problem)
    const shown = await screen.findByRole('alert')
    expect(shown).toHaveTextContent('The query cannot be read at column 8: this ( is not closed')
    expect(shown).toHaveTextContent('Add a )')
    const place = within(shown).getByLabelText('The place in the query: column 8').textContent
    expect(place).toBe('failed (user.name:root\n       ^')
  })

  test.each([
    ['abc', 2, 1, 'abc', ' ^'],
    ['abc', 4, 0, 'abc', '   ^'],
    ['', 1, 1, '', '^'],
    ['a\u202eb', 3, 5, 'a·b', '  ^'],
    [`${'x'.repeat(100)}!`, 101, 1, `…${'x'.repeat(60)}!`, `${' '.repeat(61)}^`],
  ])('the mark of %j at %d', (query, column, length, line, mark) => {
    expect(marked(query, column, length)).toEqual({ line, mark })
  })

  test('nothing found says where nothing was, and a click looks further back', async () => {
    const { user, address } = start('/hunt?q=x', samplePage([]))
    expect(await screen.findByText('No event matches')).toBeVisible()
    await user.click(screen.getByRole('button', { name: 'Search the last 7 days' }))
    await waitFor(() => expect(address()).toBe('/hunt?q=x&from=now-7d&to=now'))
  })

  test('shows the server message and a retry button when events cannot be read', async () => {
    start('/hunt', new Refusal(504, 'no answer within 30 s', 'query_timeout'))
    expect(await screen.findByText('No answer within 30 s')).toBeVisible()
    expect(screen.getByRole('button', { name: 'Try again' })).toBeVisible()
  })
})

test('a name that no field has is pointed out', async () => {
  start('/hunt?q=user.nam:root', { ...samplePage([]), hints: [{ field: 'user.nam', suggestion: 'user.name' }] })
  expect(await screen.findByText('No event has a field user.nam. Did you mean user.name?')).toBeVisible()
})

test('hostile text stays text, and what cannot be seen is named', async () => {
  const message = '<img src=x onerror=alert(1)> \u202egnp.exe \u001b[31m'
  start('/hunt', samplePage([sampleEvent({ message })]))
  const row = await screen.findByRole('row', { name: /^Event of/ })
  expect(row).toHaveTextContent('<img src=x onerror=alert(1)> U+202Egnp.exe ESC[31m')
  expect(document.querySelector('img')).toBeNull()
})

test('the details of an event are in the address, and its attributes keep their own name', async () => {
  const { user, address } = start('/hunt')
  await user.click(await screen.findByText('Failed password for root'))
  await waitFor(() => expect(address()).toBe(`/hunt?event=${EVENT_ID}`))
  const details = await screen.findByRole('region', { name: 'Event' })
  await user.click(await within(details).findByRole('button', { name: 'Only attrs.host.name = native' }))
  await waitFor(() => expect(new URL(address(), 'http://x').searchParams.get('q')).toBe('attrs.host.name:native'))
})

describe('following live', () => {
  test('shows events as they arrive, counts what was left out, and pauses', async () => {
    const { user, address } = start('/hunt?q=failed')
    await user.click(await screen.findByRole('button', { name: 'Follow live' }))
    await waitFor(() => expect(address()).toBe('/hunt?q=failed&live=on'))
    await waitFor(() => expect(FakeEventSource.opened).toHaveLength(1))
    const [stream] = FakeEventSource.opened
    expect(stream?.url).toBe('/api/v1/events/tail?q=failed')
    act(() => {
      stream?.dispatchEvent(new Event('open'))
      stream?.send('event', sampleEvent({ message: 'just now' }))
      stream?.send('dropped', { count: 3, total: 3 })
    })
    expect(await screen.findByText('just now')).toBeVisible()
    expect(await screen.findByText('3 events left out because too many arrived')).toBeVisible()

    await user.click(screen.getByRole('button', { name: 'Pause' }))
    act(() => stream?.send('event', sampleEvent({ id: '0'.repeat(31) + '3', message: 'later' })))
    expect(await screen.findByText('Paused; 1 event is waiting')).toBeVisible()
    expect(screen.queryByText('later')).not.toBeInTheDocument()
    await user.click(screen.getByRole('button', { name: 'Resume' }))
    expect(await screen.findByText('later')).toBeVisible()

    await user.click(screen.getByRole('button', { name: 'Stop following' }))
    await waitFor(() => expect(stream?.closed).toBe(true))
  })
})
