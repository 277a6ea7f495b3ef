// One rule: what it is, whether it is enabled and by whom, what its samples and the past say of it.

import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { IconArrowLeft } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { CopyAction } from '~/ui/CopyAction'
import { LogBlock } from '~/ui/LogText'
import { Page, Panel } from '~/ui/Page'
import { useReader } from '~/ui/reader'
import { Severity } from '~/ui/Severity'
import { QueryState } from '~/ui/States'
import { Tags } from '~/ui/Tags'
import { AgoText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import { AnchorLink } from '~/url/links'
import { Decision } from './Decision'
import { type Rule, ruleDetail } from './queries'
import styles from './rule.module.css'
import { RuleProof } from './RuleProof'
import { Proving } from './Proving'

const route = getRouteApi('/app/rules/$id')

export function RulePage() {
  const { t } = useTranslation()
  const { id } = route.useParams()
  const query = useQuery(ruleDetail(id))
  return (
    <Page
      title={query.data ? visibleText(query.data.rule.title) : t('rules.one')}
      actions={
        <AnchorLink to="/rules" className={styles.back}>
          <IconArrowLeft size={14} aria-hidden /> {t('rules.back')}
        </AnchorLink>
      }
    >
      <QueryState query={query} skeletonRows={12}>
        {({ rule, text, hash }) => (
          <div className={styles.columns}>
            <div className={styles.column}>
              <Decision rule={rule} hash={hash} />
              {/* What was seen of another version says nothing about this one. */}
              <Proving key={hash} rule={rule} text={text} hash={hash} />
            </div>
            <div className={styles.column}>
              <About rule={rule} />
              <Panel
                title={t('rules.text')}
                actions={<CopyAction value={text} label={t('rules.copyText')} wide />}
              >
                <div className={styles.text}>
                  <LogBlock text={text} first={6_000} boxed lineEnds="plain" label={t('rules.text')} />
                </div>
              </Panel>
            </div>
          </div>
        )}
      </QueryState>
    </Page>
  )
}

function About({ rule }: { rule: Rule }) {
  const { t } = useTranslation()
  const reader = useReader()
  return (
    <Panel title={t('rules.about')}>
      <div className={styles.about}>
        <Tags tags={rule.tags} wrap />
        <dl className={styles.facts}>
          <Fact label={t('rules.level')}>
            <Severity level={rule.level} />
          </Fact>
          <Fact label={t('rules.findings')}>
            {rule.findings === 0 ? (
              <span className="canh-dim">{t('rules.findingsNone')}</span>
            ) : (
              <span className={styles.found}>
                <AnchorLink to="/alerts" search={{ status: 'all', q: rule.id }} fz={13} title={t('rules.alertsOf')}>
                  {reader.count(rule.findings)}
                </AnchorLink>
                {rule.last_found && (
                  <span className="canh-dim">
                    <AgoText iso={rule.last_found} />
                  </span>
                )}
              </span>
            )}
          </Fact>
          <Fact label={t('rules.proof')}>
            <RuleProof rule={rule} />
          </Fact>
          <Fact label={t('rules.kind')}>
            <span className="canh-mono">{rule.kind}</span>
          </Fact>
          <Fact label={t('rules.file')} wide>
            <span className="canh-mono">{visibleText(rule.file)}</span>
          </Fact>
          <Fact label={t('rules.id')} wide>
            <span className={styles.id}>
              <span className="canh-mono">{visibleText(rule.id)}</span>
              <CopyAction value={rule.id} label={t('rules.copyId')} />
            </span>
          </Fact>
        </dl>
      </div>
    </Panel>
  )
}

function Fact({ label, wide, children }: { label: string; wide?: boolean; children: ReactNode }) {
  return (
    <div className={wide ? styles.wide : undefined}>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  )
}
