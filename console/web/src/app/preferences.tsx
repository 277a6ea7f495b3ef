// Language, colours and time zone. Kept on this device, and with the account when somebody is signed in.

import { ActionIcon, Menu, type MantineColorScheme, Tooltip, useMantineColorScheme } from '@mantine/core'
import { IconCheck, IconDeviceDesktop, IconMoon, IconSun } from '@tabler/icons-react'
import { useQueryClient } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'

import { fetchClient } from '~/api/client'
import { keepSession, type Preferences, type Session, sessionQuery } from '~/api/session'
import { LANGUAGE_NAMES, LANGUAGES, setLanguage } from '~/i18n'
import styles from './preferences.module.css'

/** Keeps a change with the account. Not being signed in is no mistake: the device keeps it anyway. */
export function usePreferences() {
  const client = useQueryClient()
  return async (change: Partial<Preferences>): Promise<void> => {
    const session = client.getQueryData<Session>(sessionQuery().queryKey)
    if (!session?.preferences) return
    const preferences = { ...session.preferences, ...change }
    keepSession(client, { ...session, preferences })
    await fetchClient.PUT('/api/v1/preferences', { body: preferences })
  }
}

export function LanguageSwitch() {
  const { t, i18n } = useTranslation()
  const keep = usePreferences()
  return (
    <div role="group" aria-label={t('nav.language')} className={styles.languages}>
      {LANGUAGES.map((language) => (
        <button
          key={language}
          type="button"
          lang={language}
          title={LANGUAGE_NAMES[language]}
          aria-label={`${language.toUpperCase()} – ${LANGUAGE_NAMES[language]}`}
          aria-pressed={i18n.language === language}
          className={styles.language}
          onClick={() => {
            setLanguage(language)
            keep({ language }).catch(() => undefined)
          }}
        >
          {language.toUpperCase()}
        </button>
      ))}
    </div>
  )
}

const SCHEMES = [
  { scheme: 'light', text: 'nav.themeLight', icon: IconSun },
  { scheme: 'dark', text: 'nav.themeDark', icon: IconMoon },
  { scheme: 'auto', text: 'nav.themeAuto', icon: IconDeviceDesktop },
] as const satisfies { scheme: MantineColorScheme; text: string; icon: unknown }[]

export function ThemeSwitch() {
  const { t } = useTranslation()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const keep = usePreferences()
  const Current = SCHEMES.find(({ scheme }) => scheme === colorScheme)?.icon ?? IconMoon
  return (
    <Menu position="top-start">
      <Menu.Target>
        <Tooltip label={t('nav.theme')}>
          <ActionIcon size={28} aria-label={t('nav.theme')}>
            <Current size={16} aria-hidden />
          </ActionIcon>
        </Tooltip>
      </Menu.Target>
      <Menu.Dropdown>
        {SCHEMES.map(({ scheme, text, icon: Icon }) => (
          <Menu.Item
            key={scheme}
            role="menuitemradio"
            aria-checked={colorScheme === scheme}
            leftSection={<Icon size={15} aria-hidden />}
            rightSection={colorScheme === scheme && <IconCheck size={14} aria-hidden />}
            onClick={() => {
              setColorScheme(scheme)
              keep({ theme: scheme }).catch(() => undefined)
            }}
          >
            {t(text)}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
