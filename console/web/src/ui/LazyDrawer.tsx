// A drawer whose code is read when it is opened for the first time.

import type { DrawerProps } from '@mantine/core'
import { lazy, Suspense } from 'react'

import { useOpenedOnce } from './lazy'

const Drawer = lazy(() => import('./drawer'))

export function LazyDrawer(props: DrawerProps) {
  if (!useOpenedOnce(props.opened)) return null
  return (
    <Suspense fallback={null}>
      <Drawer {...props} />
    </Suspense>
  )
}
