// The proof: each condition that held, with the value that made it hold.

import { useTranslation } from 'react-i18next'

import type { Schemas } from '~/api/client'
import { LogBlock } from '~/ui/LogText'
import { visibleText } from '~/ui/visible'
import styles from './alerts.module.css'
import { Condition } from './Condition'

type Match = Schemas['FieldMatchView']

/** A value as people read it; a list as its members. */
function valueText(value: unknown): string {
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.map(valueText).join('\n')
  return value === null || value === undefined ? '∅' : JSON.stringify(value)
}

export function Why({ matches, condition }: { matches: Match[]; condition?: Schemas['ExplainedView'] | null | undefined }) {
  const { t } = useTranslation()
  return (
    <section className={styles.section} aria-labelledby="why">
      <h3 id="why" className={styles.sectionTitle}>
        {t('alerts.why')}
      </h3>
      {matches.length === 0 ? (
        <p className={styles.quiet}>{t('alerts.whyNone')}</p>
      ) : (
        <>
          <p className={styles.quiet}>{t('alerts.whyIntro')}</p>
          <div className={styles.tableBox}>
            <table className={styles.why}>
              <thead>
                <tr>
                  <th scope="col">{t('alerts.selection')}</th>
                  <th scope="col">{t('alerts.field')}</th>
                  <th scope="col">{t('alerts.pattern')}</th>
                  <th scope="col">{t('alerts.value')}</th>
                </tr>
              </thead>
              <tbody>
                {matches.map((match, n) => (
                  <Row key={n} match={match} />
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
      {condition && (
        <details className={styles.whole}>
          <summary>{t('alerts.condition.title')}</summary>
          <Condition condition={condition} />
        </details>
      )}
    </section>
  )
}

function Row({ match }: { match: Match }) {
  const { t } = useTranslation()
  return (
    <tr>
      <td data-label={t('alerts.selection')} className="canh-mono canh-dim">
        <span>{visibleText(match.selection)}</span>
      </td>
      <td data-label={t('alerts.field')}>
        <span>
          <span className={styles.field}>
            {/* What a correlation counts is no field of an event. */}
            {match.field ? visibleText(match.field) : match.selection !== 'correlation' && t('alerts.keyword')}
          </span>
          <span className={styles.modifiers}>{match.modifiers ? visibleText(match.modifiers) : t('alerts.equals')}</span>
        </span>
      </td>
      <td data-label={t('alerts.pattern')}>
        <LogBlock text={match.pattern} first={400} />
      </td>
      <td data-label={t('alerts.value')} className={styles.value}>
        <span>
          <LogBlock text={valueText(match.value)} first={400} />
          {match.cut && <span className={styles.quiet}> {t('alerts.valueCut')}</span>}
        </span>
      </td>
    </tr>
  )
}
