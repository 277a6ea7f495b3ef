// The pages of the navigation, in their order, with the key that follows `g`.

import { IconBell,
  IconLayoutDashboard,
  IconListSearch,
  IconPackageImport,
  IconServer2,
  IconShieldCheck,
} from '@tabler/icons-react'

export const NAVIGATION = [
  { to: '/', text: 'nav.overview', go: 'shortcuts.goOverview', key: 'o', icon: IconLayoutDashboard },
  { to: '/hunt', text: 'nav.hunt', go: 'shortcuts.goHunt', key: 'h', icon: IconListSearch },
  { to: '/alerts', text: 'nav.alerts', go: 'shortcuts.goAlerts', key: 'a', icon: IconBell },
  { to: '/agents', text: 'nav.agents', go: 'shortcuts.goAgents', key: 's', icon: IconServer2 },
  { to: '/deliveries', text: 'nav.deliveries', go: 'shortcuts.goDeliveries', key: 'd', icon: IconPackageImport },
  { to: '/rules', text: 'nav.rules', go: 'shortcuts.goRules', key: 'r', icon: IconShieldCheck },
] as const
