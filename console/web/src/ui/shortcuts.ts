// Keyboard shortcuts: single keys and sequences such as `g h`. They are silent while somebody types, while an input
// method composes, and while a dialog holds the keyboard.

import { useEffect, useRef } from 'react'

/** Time within which the second key of a sequence must come. */
const SEQUENCE_MS = 1_200

export type Shortcuts = Record<string, () => void>

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false
  return target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName)
}

export function useShortcuts(shortcuts: Shortcuts): void {
  const latest = useRef(shortcuts)
  useEffect(() => {
    latest.current = shortcuts
  })
  useEffect(() => {
    let first = ''
    let firstAt = 0
    const onKey = (event: KeyboardEvent) => {
      const composing = event.isComposing || event.keyCode === 229
      if (composing || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
      if (event.key !== 'Escape' && isTyping(event.target)) return
      if (document.querySelector('[role="dialog"][aria-modal="true"]')) return
      const onControl = event.target instanceof HTMLElement && event.target.closest('button, a, [role="menu"]')
      if (event.key === 'Enter' && onControl) return
      const sequence = event.timeStamp - firstAt < SEQUENCE_MS ? `${first} ${event.key}` : ''
      const run = latest.current[sequence] ?? latest.current[event.key]
      first = event.key
      firstAt = event.timeStamp
      if (!run) return
      event.preventDefault()
      run()
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [])
}
