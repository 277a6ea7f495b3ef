// What most readers of a page never open is not loaded with it.

import { useState } from 'react'

/** Whether it is open or has been. From then on it stays mounted, so that it closes as smoothly as it opened. */
export function useOpenedOnce(opened: boolean): boolean {
  const [seen, setSeen] = useState(opened)
  if (opened && !seen) setSeen(true)
  return seen || opened
}
