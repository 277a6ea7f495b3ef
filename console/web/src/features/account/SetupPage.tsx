import { Button, PasswordInput, TextInput } from '@mantine/core'
import { IconCircle, IconCircleCheck } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useLocation } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { sessionQuery } from '~/api/session'
import { LanguageSwitch, ThemeSwitch } from '~/app/preferences'
import { Message } from '~/ui/Message'
import { readProblem } from '~/ui/problem'
import { AnchorLink } from '~/url/links'
import styles from './account.module.css'
import { AccountFrame } from './AccountFrame'
import { useSetup } from './queries'
import { isName, PASSWORD_LEN_MAX, PASSWORD_LEN_MIN, passwordRules } from './rules'

/** The token stands behind `#`, which a browser sends to nobody. */
function tokenOf(hash: string): string {
  return new URLSearchParams(hash.replace(/^#/, '')).get('token')?.slice(0, 256) ?? ''
}

export function SetupPage() {
  const { t } = useTranslation()
  const session = useQuery(sessionQuery())
  const switches = (
    <>
      <LanguageSwitch />
      <ThemeSwitch />
    </>
  )
  if (session.data?.state === 'signed_out') {
    return (
      <AccountFrame title={t('account.setupTitle')} intro={t('account.setupDone')} switches={switches}>
        <AnchorLink to="/login" search={{ next: '/' }}>
          {t('account.goLogin')}
        </AnchorLink>
      </AccountFrame>
    )
  }
  return (
    <AccountFrame title={t('account.setupTitle')} intro={t('account.setupIntro')} switches={switches}>
      <SetupForm />
    </AccountFrame>
  )
}

function SetupForm() {
  const { t } = useTranslation()
  const setup = useSetup()
  const fromLink = tokenOf(useLocation().hash)
  const [token, setToken] = useState(fromLink)
  const [username, setUsername] = useState('')
  const [password, setPassword] = useState('')
  const [again, setAgain] = useState('')
  const [asked, setAsked] = useState(false)
  const met = passwordRules(username, password, again)
  const nameGood = isName(username.trim())
  const ready = token.trim() !== '' && nameGood && met.length && met.same && met.notName

  const submit = (event: FormEvent) => {
    event.preventDefault()
    setAsked(true)
    if (ready) setup.mutate({ body: { token: token.trim(), username: username.trim(), password } })
  }
  const lengths = { min: PASSWORD_LEN_MIN, max: PASSWORD_LEN_MAX }
  return (
    <form onSubmit={submit} className={styles.form} noValidate>
      <TextInput
        label={t('account.token')}
        description={fromLink && token === fromLink ? t('account.tokenFromLink') : t('account.tokenHint')}
        size="sm"
        classNames={{ input: 'canh-mono' }}
        autoComplete="off"
        spellCheck={false}
        value={token}
        onChange={(event) => setToken(event.currentTarget.value)}
        error={asked && !token.trim() ? t('account.required') : undefined}
      />
      <TextInput
        label={t('account.username')}
        description={t('account.nameRule')}
        size="sm"
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        value={username}
        onChange={(event) => setUsername(event.currentTarget.value)}
        error={asked && !nameGood ? t('account.nameRule') : undefined}
      />
      <PasswordInput
        label={t('account.password')}
        autoComplete="new-password"
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        visibilityToggleButtonProps={{ 'aria-label': t('account.showPassword') }}
        error={asked && !(met.length && met.notName)}
        aria-describedby="password-rules"
      />
      <PasswordInput
        label={t('account.passwordAgain')}
        autoComplete="new-password"
        value={again}
        onChange={(event) => setAgain(event.currentTarget.value)}
        visibilityToggleButtonProps={{ 'aria-label': t('account.showPassword') }}
        error={asked && !met.same}
        aria-describedby="password-rules"
      />
      <ul id="password-rules" aria-label={t('account.rulesTitle')} className={styles.rules}>
        <PasswordRule met={met.length} text={t('account.ruleLength', lengths)} />
        <PasswordRule met={met.same} text={t('account.ruleSame')} />
        <PasswordRule met={met.notName} text={t('account.ruleNotName')} />
      </ul>
      {setup.error && (
        <div role="alert" className={styles.error}>
          <Message text={readProblem(setup.error).message} />
        </div>
      )}
      <Button type="submit" size="sm" loading={setup.isPending}>
        {t('account.create')}
      </Button>
    </form>
  )
}

function PasswordRule({ met, text }: { met: boolean; text: string }) {
  const { t } = useTranslation()
  const Icon = met ? IconCircleCheck : IconCircle
  return (
    <li className={met ? styles.met : undefined}>
      <Icon size={14} role="img" aria-label={met ? t('account.ruleMet') : t('account.ruleNotMet')} />
      {t('account.rulesTitle')} {text}
    </li>
  )
}
