// Who is signed in, their time zone, and the way out.

import { Button, Popover, TextInput, UnstyledButton } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { IconLogout, IconUserCircle } from '@tabler/icons-react'
import { useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { type Session, signOut } from '~/api/session'
import { readProblem, sentence } from '~/ui/problem'
import { useReader } from '~/ui/reader'
import { isZone } from '~/ui/time'
import { usePreferences } from './preferences'
import styles from './Shell.module.css'

function tell(error: unknown) {
  notifications.show({ color: 'red', message: sentence(readProblem(error).message) })
}

export function UserMenu({ session }: { session: Session | undefined }) {
  const { t } = useTranslation()
  const client = useQueryClient()
  const name = session?.user?.name ?? ''
  const [opened, setOpened] = useState(false)
  const leave = () => {
    setOpened(false)
    signOut(client).catch(tell)
  }
  return (
    <Popover opened={opened} onChange={setOpened} position="top-start" width={260} trapFocus returnFocus>
      <Popover.Target>
        <UnstyledButton
          className={styles.link}
          aria-label={t('nav.user', { name })}
          aria-expanded={opened}
          onClick={() => setOpened(!opened)}
        >
          <IconUserCircle size={17} stroke={1.7} aria-hidden />
          <span className={styles.linkText}>{name}</span>
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown p={6}>
        <p className={styles.account}>{t('nav.signedInAs', { name })}</p>
        <ZoneForm />
        <UnstyledButton className={styles.link} onClick={leave}>
          <IconLogout size={16} stroke={1.7} aria-hidden />
          {t('nav.logout')}
        </UnstyledButton>
        <p className={styles.account}>Canh {session?.version}</p>
      </Popover.Dropdown>
    </Popover>
  )
}

function ZoneForm() {
  const { t } = useTranslation()
  const reader = useReader()
  const keep = usePreferences()
  const [zone, setZone] = useState(reader.zone)
  const valid = isZone(zone.trim())
  const save = (event: FormEvent) => {
    event.preventDefault()
    if (valid) keep({ time_zone: zone.trim() }).catch(tell)
  }
  return (
    <form onSubmit={save} className={styles.zone}>
      <TextInput
        label={t('nav.zone')}
        value={zone}
        onChange={(event) => setZone(event.currentTarget.value)}
        error={valid ? undefined : t('nav.zoneInvalid')}
      />
      {zone.trim() !== reader.zone && (
        <Button type="submit" size="compact-xs" variant="light" disabled={!valid}>
          {t('nav.zoneSave')}
        </Button>
      )}
    </form>
  )
}
