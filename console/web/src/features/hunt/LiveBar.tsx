import { Button } from '@mantine/core'
import { IconPlayerPause, IconPlayerPlay } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import { useReader } from '~/ui/reader'
import styles from './hunt.module.css'
import { TAIL_MAX, type Tail } from './useTail'

interface LiveBarProps {
  tail: Tail
  paused: boolean
  onPause: () => void
}

export function LiveBar({ tail, paused, onPause }: LiveBarProps) {
  const { t } = useTranslation()
  const reader = useReader()
  let text = t('hunt.liveFollowing', { text: reader.count(TAIL_MAX) })
  if (tail.state === 'lost') text = t('hunt.liveLost')
  else if (paused) text = t('hunt.livePaused', { count: tail.waiting, text: reader.count(tail.waiting) })
  return (
    <div className={styles.live}>
      <span className={tail.state === 'open' && !paused ? styles.liveDot : styles.liveDotOff} aria-hidden />
      <span role="status">{text}</span>
      {tail.dropped > 0 && (
        <span className={styles.partial}>
          {t('hunt.liveDropped', { count: tail.dropped, text: reader.count(tail.dropped) })}
        </span>
      )}
      <Button
        size="compact-xs"
        variant="default"
        ml="auto"
        leftSection={paused ? <IconPlayerPlay size={13} aria-hidden /> : <IconPlayerPause size={13} aria-hidden />}
        onClick={onPause}
      >
        {paused ? t('hunt.liveResume') : t('hunt.livePause')}
      </Button>
    </div>
  )
}
