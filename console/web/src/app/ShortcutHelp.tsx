// All shortcuts, in one list.

import { Kbd, Modal } from '@mantine/core'
import { useTranslation } from 'react-i18next'

import { NAVIGATION } from './navigation'
import styles from './ShortcutHelp.module.css'

export function ShortcutHelp({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const { t } = useTranslation()
  const groups = [
    {
      title: t('shortcuts.everywhere'),
      rows: [
        { keys: ['?'], text: t('shortcuts.help') },
        { keys: ['/'], text: t('shortcuts.focusSearch') },
        ...NAVIGATION.map(({ key, go }) => ({ keys: ['g', key], text: t(go) })),
        { keys: ['j'], text: t('shortcuts.nextRow') },
        { keys: ['k'], text: t('shortcuts.previousRow') },
        { keys: ['Enter'], text: t('shortcuts.openRow') },
      ],
    },
    {
      title: t('shortcuts.hunt'),
      rows: [
        { keys: ['Ctrl+Enter'], text: t('shortcuts.run') },
        { keys: ['Esc'], text: t('shortcuts.cancel') },
      ],
    },
    {
      title: t('shortcuts.alerts'),
      rows: [
        { keys: ['a'], text: t('shortcuts.acknowledge') },
        { keys: ['c'], text: t('shortcuts.closeAlert') },
        { keys: ['e'], text: t('shortcuts.reopen') },
      ],
    },
  ]
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={t('shortcuts.title')}
      closeButtonProps={{ 'aria-label': t('common.close') }}
    >
      {groups.map(({ title, rows }) => (
        <section key={title} className={styles.group}>
          <h3 className={styles.title}>{title}</h3>
          <dl className={styles.rows}>
            {rows.map(({ keys, text }) => (
              <div key={text} className={styles.row}>
                <dt>{text}</dt>
                <dd>
                  {keys.map((key, n) => (
                    <span key={key}>
                      {n > 0 && <span className={styles.then}>{t('shortcuts.thenKey')}</span>}
                      <Kbd size="xs">{key}</Kbd>
                    </span>
                  ))}
                </dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </Modal>
  )
}
