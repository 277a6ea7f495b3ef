// What jsdom lacks: layout, media queries, server-sent events.

import '@testing-library/jest-dom/vitest'

import { notifications } from '@mantine/notifications'
import { cleanup, configure } from '@testing-library/react'
import { afterEach, beforeEach, vi } from 'vitest'

import { setLanguage, startI18n } from '~/i18n'
import { FakeEventSource } from './eventSource'

startI18n('en')

// A busy machine is slow, not wrong.
configure({ asyncUtilTimeout: 8_000 })

class NoResize implements ResizeObserver {
  observe() {}
  unobserve() {}
  disconnect() {}
}

vi.stubGlobal('ResizeObserver', NoResize)
vi.stubGlobal('EventSource', FakeEventSource)
vi.stubGlobal('matchMedia', (query: string) => ({
  matches: false,
  media: query,
  onchange: null,
  addEventListener: () => undefined,
  removeEventListener: () => undefined,
  addListener: () => undefined,
  removeListener: () => undefined,
  dispatchEvent: () => false,
}))
Object.defineProperties(HTMLElement.prototype, {
  offsetHeight: { configurable: true, get: () => 600 },
  offsetWidth: { configurable: true, get: () => 1_000 },
  clientHeight: { configurable: true, get: () => 600 },
  clientWidth: { configurable: true, get: () => 1_000 },
})
Object.defineProperty(document, 'fonts', { configurable: true, value: new EventTarget() })
Element.prototype.scrollIntoView = () => undefined
Element.prototype.scrollTo = () => undefined
window.scrollTo = () => undefined

beforeEach(() => {
  localStorage.clear()
  setLanguage('en')
})
afterEach(() => {
  cleanup()
  notifications.clean()
  FakeEventSource.opened.length = 0
})
