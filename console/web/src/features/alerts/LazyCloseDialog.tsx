// The dialog that closes an alert, read when somebody wants to close one.

import { lazy, Suspense } from 'react'

import { useOpenedOnce } from '~/ui/lazy'
import type { CloseDialogProps } from './CloseDialog'

const CloseDialog = lazy(() => import('./CloseDialog').then((file) => ({ default: file.CloseDialog })))

export function LazyCloseDialog(props: CloseDialogProps) {
  if (!useOpenedOnce(props.alert !== null)) return null
  return (
    <Suspense fallback={null}>
      <CloseDialog {...props} />
    </Suspense>
  )
}
