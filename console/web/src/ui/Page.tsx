// The frame of a page and of the panels on it.

import type { ReactNode } from 'react'

import styles from './Page.module.css'

interface PageProps {
  title: string
  /** Next to the title, small. */
  meta?: ReactNode
  actions?: ReactNode
  /** The page fills the window and its parts scroll, instead of the page itself. */
  fill?: boolean
  children: ReactNode
}

export function Page({ title, meta, actions, fill, children }: PageProps) {
  return (
    <div className={fill ? styles.pageFill : styles.page}>
      <title>{`${title} · Canh`}</title>
      <header className={styles.head}>
        <h1 className={styles.title}>{title}</h1>
        {meta && <div className={styles.meta}>{meta}</div>}
        {actions && <div className={styles.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  )
}

interface PanelProps {
  title?: ReactNode
  meta?: ReactNode
  actions?: ReactNode
  className?: string
  children: ReactNode
}

export function Panel({ title, meta, actions, className, children }: PanelProps) {
  return (
    <section className={[styles.panel, className].filter(Boolean).join(' ')}>
      {(title || actions) && (
        <header className={styles.panelHead}>
          {title && <h2 className={styles.panelTitle}>{title}</h2>}
          {meta && <div className={styles.meta}>{meta}</div>}
          {actions && <div className={styles.actions}>{actions}</div>}
        </header>
      )}
      {children}
    </section>
  )
}
