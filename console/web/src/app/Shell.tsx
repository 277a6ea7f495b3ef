// The frame around every page of somebody who is signed in.

import { ActionIcon, UnstyledButton } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconKeyboard, IconMenu2 } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { Link, Outlet, useNavigate, useRouter } from '@tanstack/react-router'
import { lazy, Suspense, useEffect } from 'react'
import { useTranslation } from 'react-i18next'

import { sessionQuery } from '~/api/session'
import { useOpenedOnce } from '~/ui/lazy'
import { LazyDrawer } from '~/ui/LazyDrawer'
import { Logo } from '~/ui/Logo'
import { useShortcuts } from '~/ui/shortcuts'
import { NAVIGATION } from './navigation'
import { LanguageSwitch, ThemeSwitch } from './preferences'
import styles from './Shell.module.css'
import { UserMenu } from './UserMenu'

const ShortcutHelp = lazy(() => import('./ShortcutHelp').then((file) => ({ default: file.ShortcutHelp })))

export function Shell() {
  const { t } = useTranslation()
  const navigate = useNavigate()
  const router = useRouter()
  const session = useQuery(sessionQuery())
  const [help, { open: openHelp, close: closeHelp }] = useDisclosure(false)
  const helpWanted = useOpenedOnce(help)
  const [menu, { open: openMenu, close: closeMenu }] = useDisclosure(false)

  useShortcuts({
    '?': openHelp,
    ...Object.fromEntries(NAVIGATION.map(({ key, to }) => [`g ${key}`, () => void navigate({ to })])),
  })

  // The routes decide where somebody without a session goes; here they are only asked again.
  const isOver = session.data?.state === 'signed_out'
  useEffect(() => {
    if (isOver) void router.invalidate()
  }, [isOver, router])
  if (isOver) return null

  const links = (
    <nav aria-label={t('nav.label')} className={styles.links}>
      {NAVIGATION.map(({ to, text, icon: Icon }) => (
        <Link
          key={to}
          to={to}
          activeOptions={{ exact: to === '/', includeSearch: false }}
          className={styles.link}
          activeProps={{ 'aria-current': 'page' }}
          onClick={closeMenu}
          title={t(text)}
        >
          <Icon size={17} stroke={1.7} aria-hidden />
          <span className={styles.linkText}>{t(text)}</span>
        </Link>
      ))}
    </nav>
  )
  const foot = (
    <div className={styles.foot}>
      <UnstyledButton className={styles.link} onClick={openHelp} title={t('nav.shortcuts')}>
        <IconKeyboard size={17} stroke={1.7} aria-hidden />
        <span className={styles.linkText}>{t('nav.shortcuts')}</span>
      </UnstyledButton>
      <div className={styles.switches}>
        <LanguageSwitch />
        <ThemeSwitch />
      </div>
      <UserMenu session={session.data} />
    </div>
  )

  return (
    <div className={styles.shell}>
      <a href="#content" className={styles.skip}>
        {t('nav.skip')}
      </a>
      <aside className={styles.side}>
        <Link to="/" className={styles.brand} aria-label={`${t('common.product')}: ${t('nav.overview')}`}>
          <Logo size={24} />
          <span className={styles.brandText}>{t('common.product')}</span>
        </Link>
        {links}
        {foot}
      </aside>
      <header className={styles.top}>
        <ActionIcon size="lg" onClick={openMenu} aria-label={t('nav.menu')}>
          <IconMenu2 size={20} aria-hidden />
        </ActionIcon>
        <Logo size={22} />
        <span className={styles.brandText}>{t('common.product')}</span>
      </header>
      <LazyDrawer
        opened={menu}
        onClose={closeMenu}
        size={250}
        title={t('common.product')}
        closeButtonProps={{ 'aria-label': t('common.close') }}
      >
        <div className={styles.drawer}>
          {links}
          {foot}
        </div>
      </LazyDrawer>
      <main id="content" className={styles.main} tabIndex={-1}>
        <Outlet />
      </main>
      {helpWanted && (
        <Suspense fallback={null}>
          <ShortcutHelp opened={help} onClose={closeHelp} />
        </Suspense>
      )}
    </div>
  )
}
