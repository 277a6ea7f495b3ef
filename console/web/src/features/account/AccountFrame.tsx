// The frame of the pages before anybody is signed in.

import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { Logo } from '~/ui/Logo'
import styles from './account.module.css'

interface AccountFrameProps {
  title: string
  intro: string
  /** Language and colours, which somebody may need before they can read the form. */
  switches: ReactNode
  children: ReactNode
}

export function AccountFrame({ title, intro, switches, children }: AccountFrameProps) {
  const { t } = useTranslation()
  return (
    <main className={styles.frame}>
      <title>{`${title} · Canh`}</title>
      <div className={styles.box}>
        <div className={styles.brand}>
          <Logo size={36} />
          <div>
            <div className={styles.name}>{t('common.product')}</div>
            <div className={styles.tagline}>{t('common.tagline')}</div>
          </div>
        </div>
        <div className={styles.card}>
          <h1 className={styles.title}>{title}</h1>
          <p className={styles.intro}>{intro}</p>
          {children}
        </div>
        <div className={styles.switches}>{switches}</div>
      </div>
    </main>
  )
}
