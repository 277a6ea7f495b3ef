// What the rule's author says about it.

import { IconExternalLink } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'

import { CopyAction } from '~/ui/CopyAction'
import { useReader } from '~/ui/reader'
import { visibleText } from '~/ui/visible'
import { AnchorLink } from '~/url/links'
import styles from './alerts.module.css'
import type { AlertDetail } from './queries'

/** Only addresses of web pages become links; a rule is a file that anybody may have written. */
function webAddress(text: string): string | null {
  if (!/^https?:\/\//i.test(text)) return null
  return URL.canParse(text) ? new URL(text).href : null
}

export function RuleText({ rule }: { rule: AlertDetail['rule'] }) {
  const { t } = useTranslation()
  const { language } = useReader()
  const guide = rule.guide[language] ?? rule.guide.en ?? Object.values(rule.guide)[0]
  return (
    <section className={styles.section} aria-labelledby="alert-rule">
      <h3 id="alert-rule" className={styles.sectionTitle}>
        {t('alerts.rule')}
      </h3>
      <p className={styles.description}>{rule.description ? visibleText(rule.description) : t('alerts.noDescription')}</p>
      {guide && (
        <>
          <h4 className={styles.subtitle}>{t('alerts.guide')}</h4>
          {/* Lines are broken where the rule's file is; only an empty line begins a paragraph. */}
          {guide.split(/\n\s*\n/).map((paragraph) => (
            <p key={paragraph} className={styles.guide}>
              {visibleText(paragraph.replace(/\s*\n\s*/g, ' '))}
            </p>
          ))}
        </>
      )}
      <h4 className={styles.subtitle}>{t('alerts.falsePositives')}</h4>
      {rule.false_positives.length === 0 ? (
        <p className={styles.quiet}>{t('alerts.noFalsePositives')}</p>
      ) : (
        <ul className={styles.list}>
          {rule.false_positives.map((text) => (
            <li key={text}>{visibleText(text)}</li>
          ))}
        </ul>
      )}
      {rule.references.length > 0 && (
        <>
          <h4 className={styles.subtitle}>{t('alerts.references')}</h4>
          <ul className={styles.list}>
            {rule.references.map((text) => (
              <li key={text}>
                <Reference text={text} />
              </li>
            ))}
          </ul>
        </>
      )}
      <p className={styles.ruleId}>
        <AnchorLink to="/rules/$id" params={{ id: rule.id }} className="canh-mono">
          {visibleText(rule.id)}
        </AnchorLink>
        <CopyAction value={rule.id} label={t('rules.copyId')} />
      </p>
    </section>
  )
}

function Reference({ text }: { text: string }) {
  const { t } = useTranslation()
  const address = webAddress(text)
  if (address === null) return <>{visibleText(text)}</>
  return (
    <a href={address} target="_blank" rel="noopener noreferrer" title={t('alerts.referenceNote')}>
      {visibleText(text)} <IconExternalLink size={12} aria-hidden />
    </a>
  )
}
