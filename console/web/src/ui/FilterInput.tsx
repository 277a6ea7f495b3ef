// The search box of a list. `/` goes to it, Escape leaves it.

import { CloseButton, TextInput } from '@mantine/core'
import { IconSearch } from '@tabler/icons-react'
import { useRef } from 'react'
import { useTranslation } from 'react-i18next'

import { useShortcuts } from './shortcuts'

interface FilterInputProps {
  label: string
  value: string
  onChange: (value: string) => void
}

export function FilterInput({ label, value, onChange }: FilterInputProps) {
  const { t } = useTranslation()
  const input = useRef<HTMLInputElement>(null)
  useShortcuts({ '/': () => input.current?.focus() })
  return (
    <TextInput
      ref={input}
      aria-label={label}
      placeholder={label}
      value={value}
      w={{ base: '100%', xs: 260 }}
      spellCheck={false}
      leftSection={<IconSearch size={14} aria-hidden />}
      rightSection={value && <CloseButton aria-label={t('common.clear')} onClick={() => onChange('')} />}
      onChange={(event) => onChange(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.key === 'Escape') event.currentTarget.blur()
      }}
    />
  )
}
