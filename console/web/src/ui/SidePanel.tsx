// A list with the details of one of its rows beside it; over it where there is no room.

import { useMediaQuery } from '@mantine/hooks'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { LazyDrawer } from './LazyDrawer'
import styles from './SidePanel.module.css'

interface SplitViewProps {
  label: string
  opened: boolean
  onClose: () => void
  side: ReactNode
  children: ReactNode
}

export function SplitView({ label, opened, onClose, side, children }: SplitViewProps) {
  const { t } = useTranslation()
  const narrow = useMediaQuery('(max-width: 1000px)', false, { getInitialValueInEffect: false })
  return (
    <div className={styles.split}>
      <div className={styles.main}>{children}</div>
      {opened && !narrow && (
        <section className={styles.side} aria-label={label}>
          {side}
        </section>
      )}
      <LazyDrawer
        opened={opened && narrow}
        onClose={onClose}
        position="right"
        size="min(100vw, 640px)"
        withCloseButton={false}
        padding={0}
        aria-label={label}
        closeButtonProps={{ 'aria-label': t('common.close') }}
        classNames={{ body: styles.drawer ?? '' }}
      >
        {side}
      </LazyDrawer>
    </div>
  )
}
