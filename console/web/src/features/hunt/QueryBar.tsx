import { Button, Textarea } from '@mantine/core'
import { IconBroadcast, IconPlayerPlay, IconPlayerStop } from '@tabler/icons-react'
import { type KeyboardEvent, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { useShortcuts } from '~/ui/shortcuts'
import type { Bounds, Range } from '~/url/range'
import type { HuntSearch } from './filter'
import styles from './query.module.css'
import { RangePicker } from './RangePicker'
import { SyntaxHelp } from './SyntaxHelp'

interface QueryBarProps {
  search: HuntSearch
  range: Bounds
  busy: boolean
  live: boolean
  onRun: (change: Partial<HuntSearch>) => void
  onStop: () => void
  onRange: (range: Range) => void
  onLive: () => void
}

export function QueryBar({ search, range, busy, live, onRun, onStop, onRange, onLive }: QueryBarProps) {
  const { t } = useTranslation()
  const input = useRef<HTMLTextAreaElement>(null)
  const [draft, setDraft] = useState(search.q)
  const [known, setKnown] = useState(search.q)
  // A click on a value and the browser's "back" change the query from outside.
  if (known !== search.q) {
    setKnown(search.q)
    setDraft(search.q)
  }
  useShortcuts({ '/': () => input.current?.focus() })

  const run = () => onRun({ q: draft.trim() })
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    // While an input method composes, Enter chooses a word.
    if (event.nativeEvent.isComposing || event.keyCode === 229) return
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault()
      run()
    }
    if (event.key === 'Escape') {
      event.preventDefault()
      if (busy) onStop()
      else event.currentTarget.blur()
    }
  }
  return (
    <search className={styles.bar}>
      <Textarea
        ref={input}
        className={styles.query}
        classNames={{ input: styles.queryInput ?? '' }}
        aria-label={t('hunt.queryLabel')}
        placeholder={t('hunt.queryPlaceholder')}
        autosize
        minRows={1}
        maxRows={8}
        maxLength={16_384}
        spellCheck={false}
        autoCapitalize="none"
        autoComplete="off"
        value={draft}
        onChange={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={onKeyDown}
        rightSection={<SyntaxHelp />}
        rightSectionProps={{ style: { alignItems: 'flex-start', paddingTop: 4 } }}
      />
      <div className={styles.barTools}>
        <RangePicker search={search} range={range} disabled={live} onChange={onRange} />
        {busy ? (
          <Button
            h={34}
            variant="default"
            leftSection={<IconPlayerStop size={15} aria-hidden />}
            onClick={onStop}
            title="Esc"
          >
            {t('hunt.stop')}
          </Button>
        ) : (
          <Button h={34} leftSection={<IconPlayerPlay size={15} aria-hidden />} onClick={run} title="Ctrl+Enter">
            {t('hunt.run')}
          </Button>
        )}
        <Button
          h={34}
          variant={live ? 'light' : 'default'}
          aria-pressed={live}
          aria-label={live ? t('hunt.liveStop') : t('hunt.liveStart')}
          title={live ? t('hunt.liveStop') : t('hunt.liveStart')}
          leftSection={<IconBroadcast size={15} aria-hidden />}
          onClick={onLive}
        >
          {t('hunt.live')}
        </Button>
      </div>
    </search>
  )
}
