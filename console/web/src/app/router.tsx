// Addresses. A page joins the product with one line here and one in the list of the navigation.

import type { QueryClient } from '@tanstack/react-query'
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
  type RouterHistory,
} from '@tanstack/react-router'

import { sessionQuery } from '~/api/session'
import { readAlertSearch, shortAlertSearch, type AlertSearch, type AlertSearchInput } from '~/features/alerts/filter'
import { type DeliverySearch, type DeliverySearchInput, readDeliverySearch, shortDeliverySearch } from '~/features/deliveries/filter'
import { readHuntSearch, shortHuntSearch, type HuntSearch, type HuntSearchInput } from '~/features/hunt/filter'
import { readRuleSearch, type RuleSearch, type RuleSearchInput } from '~/features/rules/filter'
import { type NameSearch, type NameSearchInput, readNameSearch } from '~/url/name'
import { textOf } from '~/url/text'
import { Crashed, NotFound, Starting } from './fallbacks'
import { parseSearch, stringifySearch } from './search'
import { Shell } from './Shell'

interface Context {
  queryClient: QueryClient
}

const root = createRootRouteWithContext<Context>()({
  component: Outlet,
  errorComponent: Crashed,
  notFoundComponent: NotFound,
  pendingComponent: Starting,
})

/** A place inside the console that somebody wanted before they had to sign in; never another site. */
function localPath(value: unknown): string {
  const text = textOf(value, 4_096)
  return /^\/(?![/\\])/.test(text) ? text : '/'
}

const login = createRoute({
  getParentRoute: () => root,
  path: '/login',
  validateSearch: (search: Record<string, unknown>) => ({ next: localPath(search['next']) }),
  beforeLoad: async ({ context, search }) => {
    const session = await context.queryClient.ensureQueryData(sessionQuery())
    if (session.state === 'setup_required') throw redirect({ to: '/setup' })
    if (session.state === 'signed_in') throw redirect({ href: search.next })
  },
  component: lazyRouteComponent(() => import('~/features/account/LoginPage'), 'LoginPage'),
})

const setup = createRoute({
  getParentRoute: () => root,
  path: '/setup',
  beforeLoad: async ({ context }) => {
    const session = await context.queryClient.ensureQueryData(sessionQuery())
    if (session.state === 'signed_in') throw redirect({ to: '/' })
  },
  component: lazyRouteComponent(() => import('~/features/account/SetupPage'), 'SetupPage'),
})

/** Everything that needs somebody signed in. */
const app = createRoute({
  getParentRoute: () => root,
  id: 'app',
  beforeLoad: async ({ context, location }) => {
    const session = await context.queryClient.ensureQueryData(sessionQuery())
    if (session.state === 'setup_required') throw redirect({ to: '/setup' })
    if (session.state === 'signed_out') throw redirect({ to: '/login', search: { next: location.href } })
  },
  component: Shell,
})

const overview = createRoute({
  getParentRoute: () => app,
  path: '/',
  component: lazyRouteComponent(() => import('~/features/overview/OverviewPage'), 'OverviewPage'),
})

const hunt = createRoute({
  getParentRoute: () => app,
  path: '/hunt',
  validateSearch: (search: HuntSearchInput): HuntSearch => readHuntSearch({ ...search }),
  search: { middlewares: [({ search, next }) => shortHuntSearch(readHuntSearch({ ...next(search) })) as HuntSearch] },
  component: lazyRouteComponent(() => import('~/features/hunt/HuntPage'), 'HuntPage'),
})

const alerts = createRoute({
  getParentRoute: () => app,
  path: '/alerts',
  validateSearch: (search: AlertSearchInput): AlertSearch => readAlertSearch({ ...search }),
  search: { middlewares: [({ search, next }) => shortAlertSearch(readAlertSearch({ ...next(search) })) as AlertSearch] },
  component: lazyRouteComponent(() => import('~/features/alerts/AlertsPage'), 'AlertsPage'),
})

const alert = createRoute({
  getParentRoute: () => app,
  path: '/alerts/$id',
  component: lazyRouteComponent(() => import('~/features/alerts/AlertPage'), 'AlertPage'),
})

const agents = createRoute({
  getParentRoute: () => app,
  path: '/agents',
  validateSearch: (search: NameSearchInput): NameSearch => readNameSearch({ ...search }),
  component: lazyRouteComponent(() => import('~/features/agents/AgentsPage'), 'AgentsPage'),
})

const deliveries = createRoute({
  getParentRoute: () => app,
  path: '/deliveries',
  validateSearch: (search: DeliverySearchInput): DeliverySearch => readDeliverySearch({ ...search }),
  search: {
    middlewares: [({ search, next }) => shortDeliverySearch(readDeliverySearch({ ...next(search) })) as DeliverySearch],
  },
  component: lazyRouteComponent(() => import('~/features/deliveries/DeliveriesPage'), 'DeliveriesPage'),
})

const rules = createRoute({
  getParentRoute: () => app,
  path: '/rules',
  validateSearch: (search: RuleSearchInput): RuleSearch => readRuleSearch({ ...search }),
  component: lazyRouteComponent(() => import('~/features/rules/RulesPage'), 'RulesPage'),
})

const rule = createRoute({
  getParentRoute: () => app,
  path: '/rules/$id',
  component: lazyRouteComponent(() => import('~/features/rules/RulePage'), 'RulePage'),
})

const routeTree = root.addChildren([
  login,
  setup,
  app.addChildren([overview, hunt, alerts, alert, agents, deliveries, rules, rule]),
])

export function createAppRouter(queryClient: QueryClient, history?: RouterHistory) {
  return createRouter({
    routeTree,
    context: { queryClient },
    ...(history ? { history } : {}),
    parseSearch,
    stringifySearch,
    defaultPreload: 'intent',
    defaultPreloadStaleTime: 0,
    defaultErrorComponent: Crashed,
    defaultNotFoundComponent: NotFound,
    scrollRestoration: false,
  })
}

export type AppRouter = ReturnType<typeof createAppRouter>

declare module '@tanstack/react-router' {
  interface Register {
    router: AppRouter
  }
}
