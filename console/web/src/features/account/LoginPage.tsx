import { Button, PasswordInput, TextInput } from '@mantine/core'
import { getRouteApi } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { LanguageSwitch, ThemeSwitch } from '~/app/preferences'
import { Message } from '~/ui/Message'
import { readProblem } from '~/ui/problem'
import styles from './account.module.css'
import { AccountFrame } from './AccountFrame'
import { useLogin } from './queries'

const route = getRouteApi('/login')

export function LoginPage() {
  const { t } = useTranslation()
  const { next } = route.useSearch()
  const login = useLogin(next)
  const [username, setUsername] = useState('')
  const [password, setPassword] = useState('')
  const [asked, setAsked] = useState(false)

  const submit = (event: FormEvent) => {
    event.preventDefault()
    setAsked(true)
    if (username.trim() && password) login.mutate({ body: { username: username.trim(), password } })
  }
  return (
    <AccountFrame
      title={t('account.loginTitle')}
      intro={t('account.loginIntro')}
      switches={
        <>
          <LanguageSwitch />
          <ThemeSwitch />
        </>
      }
    >
      <form onSubmit={submit} className={styles.form} noValidate>
        <TextInput
          label={t('account.username')}
          size="sm"
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          // The page has one purpose, and this is its first box.
          // oxlint-disable-next-line jsx-a11y/no-autofocus
          autoFocus
          value={username}
          onChange={(event) => setUsername(event.currentTarget.value)}
          error={asked && !username.trim() ? t('account.required') : undefined}
        />
        <PasswordInput
          label={t('account.password')}
          autoComplete="current-password"
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          visibilityToggleButtonProps={{ 'aria-label': t('account.showPassword') }}
          error={asked && !password ? t('account.required') : undefined}
        />
        {login.error && (
          <div role="alert" className={styles.error}>
            <Message text={readProblem(login.error).message} />
          </div>
        )}
        <Button type="submit" size="sm" loading={login.isPending}>
          {t('account.login')}
        </Button>
      </form>
    </AccountFrame>
  )
}
