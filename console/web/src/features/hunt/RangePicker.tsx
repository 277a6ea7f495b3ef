import { Button, Popover, TextInput, UnstyledButton } from '@mantine/core'
import { IconChevronDown, IconClock } from '@tabler/icons-react'
import { type FormEvent, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { useReader } from '~/ui/reader'
import { parseTyped } from '~/ui/time'
import { absolute, type Bounds, QUICK_RANGES, type Range } from '~/url/range'
import styles from './query.module.css'

interface RangePickerProps {
  search: Range
  range: Bounds
  disabled: boolean
  onChange: (range: Range) => void
}

export function RangePicker({ search, range, disabled, onChange }: RangePickerProps) {
  const { t } = useTranslation()
  const reader = useReader()
  const [opened, setOpened] = useState(false)
  const quick = QUICK_RANGES.find(([, from]) => from === search.from && search.to === 'now')
  const relative = /^now-(.+)$/.exec(search.from)?.[1]
  const label =
    (quick && t(`hunt.last.${quick[0]}`)) ??
    (relative && search.to === 'now'
      ? t('hunt.rangeCustom', { amount: relative })
      : `${reader.dateTime(range.fromMs)} – ${reader.dateTime(range.toMs)}`)
  const choose = (next: Range) => {
    setOpened(false)
    onChange(next)
  }
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" width={440} trapFocus returnFocus>
      <Popover.Target>
        <Button
          h={34}
          variant="default"
          disabled={disabled}
          aria-label={`${t('hunt.range')}: ${label}`}
          aria-expanded={opened}
          leftSection={<IconClock size={15} aria-hidden />}
          rightSection={<IconChevronDown size={14} aria-hidden />}
          className="canh-num"
          onClick={() => setOpened(!opened)}
        >
          {label}
        </Button>
      </Popover.Target>
      <Popover.Dropdown p={0}>
        <div className={styles.range}>
          <div role="group" aria-label={t('hunt.rangeQuick')} className={styles.quick}>
            {QUICK_RANGES.map(([name, from]) => (
              <UnstyledButton
                key={name}
                className={styles.quickItem}
                aria-pressed={quick?.[0] === name}
                onClick={() => choose({ from, to: 'now' })}
              >
                {t(`hunt.last.${name}`)}
              </UnstyledButton>
            ))}
          </div>
          <AbsoluteForm range={range} onApply={choose} />
        </div>
      </Popover.Dropdown>
    </Popover>
  )
}

function AbsoluteForm({ range, onApply }: { range: Bounds; onApply: (range: Range) => void }) {
  const { t } = useTranslation()
  const reader = useReader()
  const [from, setFrom] = useState(reader.dateTime(range.fromMs))
  const [to, setTo] = useState(reader.dateTime(range.toMs))
  const [asked, setAsked] = useState(false)
  const fromMs = parseTyped(from, reader.zone)
  const toMs = parseTyped(to, reader.zone)
  const backwards = fromMs !== null && toMs !== null && fromMs >= toMs
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setAsked(true)
    if (fromMs !== null && toMs !== null && !backwards) onApply(absolute(fromMs, toMs))
  }
  const zone = `${reader.zone} (${reader.zoneLabel(range.toMs)})`
  return (
    <form onSubmit={submit} className={styles.absolute} noValidate aria-label={t('hunt.rangeAbsolute')}>
      <TextInput
        label={t('hunt.from')}
        value={from}
        onChange={(event) => setFrom(event.currentTarget.value)}
        error={asked && fromMs === null ? t('hunt.dateInvalid') : undefined}
        classNames={{ input: 'canh-num' }}
      />
      <TextInput
        label={t('hunt.to')}
        value={to}
        onChange={(event) => setTo(event.currentTarget.value)}
        error={
          (asked && toMs === null && t('hunt.dateInvalid')) || (asked && backwards && t('hunt.rangeBackwards')) || undefined
        }
        classNames={{ input: 'canh-num' }}
      />
      <p className={styles.zone}>{t('hunt.dateHint', { zone })}</p>
      <div className={styles.absoluteActions}>
        <Button variant="default" onClick={() => onApply(absolute(range.fromMs, range.toMs))} title={t('hunt.freezeAbout')}>
          {t('hunt.freeze')}
        </Button>
        <Button type="submit">{t('common.apply')}</Button>
      </div>
    </form>
  )
}
