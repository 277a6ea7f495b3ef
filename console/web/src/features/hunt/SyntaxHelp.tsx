import { ActionIcon, Popover } from '@mantine/core'
import { IconHelpCircle } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import styles from './query.module.css'

const EXAMPLES = [
  ['failed', 'hunt.helpWord'],
  ['"failed password"', 'hunt.helpPhrase'],
  ['fail*', 'hunt.helpWildcard'],
  ['/fail(ed|ure)/', 'hunt.helpRegexp'],
  ['user.name:root', 'hunt.helpField'],
  ['process.name:"my tool"', 'hunt.helpQuoted'],
  ['source.ip:10.0.0.0/8', 'hunt.helpNetwork'],
  ['destination.port:>=1024', 'hunt.helpMore'],
  ['destination.port:[20 TO 25]', 'hunt.helpRange'],
  ['user.name:*', 'hunt.helpExists'],
  ['user.name:(root OR admin)', 'hunt.helpOneOf'],
  ['a b   a AND b', 'hunt.helpAnd'],
  ['a OR b', 'hunt.helpOr'],
  ['NOT a', 'hunt.helpNot'],
  ['(a OR b) c', 'hunt.helpGroup'],
] as const

export function SyntaxHelp() {
  const { t } = useTranslation()
  return (
    <Popover position="bottom-end" width={430} withinPortal trapFocus>
      <Popover.Target>
        <ActionIcon size="sm" aria-label={t('hunt.help')}>
          <IconHelpCircle size={17} aria-hidden />
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown>
        <h2 className={styles.helpTitle}>{t('hunt.help')}</h2>
        <p className={styles.helpIntro}>{t('hunt.helpIntro')}</p>
        <dl className={styles.help}>
          {EXAMPLES.map(([example, about]) => (
            <div key={example}>
              <dt>{example}</dt>
              <dd>{t(about)}</dd>
            </div>
          ))}
        </dl>
      </Popover.Dropdown>
    </Popover>
  )
}
