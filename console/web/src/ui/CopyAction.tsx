// Copies a text and says that it has.

import { ActionIcon, Button, CopyButton, Tooltip } from '@mantine/core'
import { IconCheck, IconCopy } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

interface CopyActionProps {
  value: string
  label: string
  /** With its words instead of the icon alone. */
  wide?: boolean
}

export function CopyAction({ value, label, wide }: CopyActionProps) {
  const { t } = useTranslation()
  return (
    <CopyButton value={value} timeout={1_500}>
      {({ copied, copy }) => {
        const icon = copied ? <IconCheck size={14} aria-hidden /> : <IconCopy size={14} aria-hidden />
        return wide ? (
          <Button size="compact-xs" variant="default" leftSection={icon} onClick={copy}>
            {copied ? t('common.copied') : label}
          </Button>
        ) : (
          <Tooltip label={copied ? t('common.copied') : label} openDelay={400}>
            <ActionIcon size="sm" variant="subtle" color="gray" aria-label={label} onClick={copy}>
              {icon}
            </ActionIcon>
          </Tooltip>
        )
      }}
    </CopyButton>
  )
}
