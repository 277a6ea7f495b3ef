// Everything that every page needs around it.

import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core'
import { Notifications } from '@mantine/notifications'
import { type QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { type ReactNode, useMemo } from 'react'
import { useTranslation } from 'react-i18next'

import { sessionQuery } from '~/api/session'
import { DEFAULT_ZONE, ReaderContext } from '~/ui/reader'
import { isZone } from '~/ui/time'
import type { AppRouter } from './router'
import { cssVariables, SCHEME_STORAGE_KEY, theme } from './theme'

const schemes = localStorageColorSchemeManager({ key: SCHEME_STORAGE_KEY })

/** The server puts the nonce of its style policy into the page; without one, nothing asks for it. */
const styleNonce = () => document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? ''

// What locks the scrolling behind a dialog (react-remove-scroll, inside Mantine) looks for the nonce under this name.
Object.assign(globalThis, { __webpack_nonce__: styleNonce() })

interface AppProps {
  queryClient: QueryClient
  router: AppRouter
}

export function App({ queryClient, router }: AppProps) {
  return (
    <QueryClientProvider client={queryClient}>
      <MantineProvider
        theme={theme}
        cssVariablesResolver={cssVariables}
        colorSchemeManager={schemes}
        defaultColorScheme="dark"
        getStyleNonce={styleNonce}
      >
        <ReaderProvider>
          <Notifications position="bottom-right" autoClose={4_000} limit={3} />
          <RouterProvider router={router} />
        </ReaderProvider>
      </MantineProvider>
    </QueryClientProvider>
  )
}

/** Times and numbers in the way of whoever is signed in. */
function ReaderProvider({ children }: { children: ReactNode }) {
  const { i18n } = useTranslation()
  const session = useQuery({ ...sessionQuery(), enabled: false })
  const wanted = session.data?.preferences?.time_zone
  const zone = wanted && isZone(wanted) ? wanted : DEFAULT_ZONE
  const reader = useMemo(() => ({ language: i18n.language, zone }), [i18n.language, zone])
  return <ReaderContext value={reader}>{children}</ReaderContext>
}
