// One event: all its fields, what the source sent, and what was odd about it.

import { ActionIcon, Tabs } from '@mantine/core'
import { IconChevronDown, IconChevronUp, IconX } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'

import { CopyAction } from '~/ui/CopyAction'
import { LogBlock } from '~/ui/LogText'
import { useReader } from '~/ui/reader'
import { QueryState } from '~/ui/States'
import { parseIso } from '~/ui/time'
import { TimeText } from '~/ui/TimeText'
import { visibleText } from '~/ui/visible'
import { term } from '~/query/terms'
import { AnchorLink } from '~/url/links'
import { absolute } from '~/url/range'
import type { Event } from './event'
import { EventFields } from './EventFields'
import type { Filters } from './filters'
import styles from './event.module.css'
import { eventById } from './queries'

const AROUND_MS = 5 * 60_000
/** Where an event came from, best first. */
const ORIGIN_FIELDS = ['canh.source', 'agent.id', 'host.name']

/** A hunt for what the same source sent around the event. */
function surroundings(event: Event) {
  const at = parseIso(event.time) ?? 0
  const field = ORIGIN_FIELDS.find((name) => typeof event.fields[name] === 'string')
  const q = field === undefined ? '' : term(field, String(event.fields[field]))
  return { q, ...absolute(at - AROUND_MS, at + AROUND_MS), event: event.id }
}

interface EventDetailsProps {
  id: string
  filters: Filters
  onPrevious: (() => void) | undefined
  onNext: (() => void) | undefined
  onDismiss: () => void
}

export function EventDetails({ id, filters, onPrevious, onNext, onDismiss }: EventDetailsProps) {
  const { t } = useTranslation()
  const query = useQuery(eventById(id))
  return (
    <article className={styles.event}>
      <header className={styles.eventHead}>
        <h2 className={styles.eventTitle}>{t('hunt.event')}</h2>
        <span className={styles.eventTools}>
          <ActionIcon disabled={!onPrevious} onClick={onPrevious} aria-label={t('hunt.previousEvent')} title="k">
            <IconChevronUp size={17} aria-hidden />
          </ActionIcon>
          <ActionIcon disabled={!onNext} onClick={onNext} aria-label={t('hunt.nextEvent')} title="j">
            <IconChevronDown size={17} aria-hidden />
          </ActionIcon>
          <ActionIcon onClick={onDismiss} aria-label={t('common.close')} title="Esc">
            <IconX size={16} aria-hidden />
          </ActionIcon>
        </span>
      </header>
      <QueryState query={query} skeletonRows={10}>
        {(event) => <Whole event={event} filters={filters} />}
      </QueryState>
    </article>
  )
}

function Whole({ event, filters }: { event: Event; filters: Filters }) {
  const { t } = useTranslation()
  const reader = useReader()
  const json = JSON.stringify(event, null, 2)
  return (
    <>
      <div className={styles.eventFacts}>
        <TimeText iso={event.time} millis />
        <span className="canh-dim">
          {t('hunt.received')} <TimeText iso={event.received} />
        </span>
        <span className={styles.eventClass}>{event.class}</span>
      </div>
      <div className={styles.eventMessage}>
        <LogBlock text={event.message} first={600} />
      </div>
      <div className={styles.eventLinks}>
        <AnchorLink to="/hunt" search={surroundings(event)} title={t('hunt.surroundingHint')} fz={12.5}>
          {t('hunt.surrounding')}
        </AnchorLink>
        <CopyAction value={event.raw} label={t('hunt.copyRaw')} wide />
        <CopyAction value={window.location.href} label={t('hunt.copyLink')} wide />
      </div>
      <Tabs defaultValue="fields" keepMounted={false}>
        <Tabs.List>
          <Tabs.Tab value="fields">{t('hunt.tabFields')}</Tabs.Tab>
          <Tabs.Tab value="raw">{t('hunt.tabRaw')}</Tabs.Tab>
          <Tabs.Tab value="json">{t('hunt.tabJson')}</Tabs.Tab>
          <Tabs.Tab value="issues">
            {t('hunt.tabIssues')}
            {event.issues.length > 0 && <span className={styles.badge}>{event.issues.length}</span>}
          </Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="fields">
          <EventFields event={event} filters={filters} />
        </Tabs.Panel>
        <Tabs.Panel value="raw" className={styles.tab}>
          <p className={styles.note}>
            {t('hunt.rawNote')} {reader.bytes(event.raw_len)}
          </p>
          <LogBlock boxed text={event.raw} first={8_000} label={t('hunt.tabRaw')} />
          {event.raw_base64 && (
            <>
              <p className={styles.note}>{t('hunt.rawBase64')}</p>
              <LogBlock boxed text={event.raw_base64} first={2_000} label={t('hunt.rawBase64')} />
            </>
          )}
        </Tabs.Panel>
        <Tabs.Panel value="json" className={styles.tab}>
          <p className={styles.note}>
            <CopyAction value={json} label={t('hunt.copyJson')} wide />
          </p>
          <LogBlock boxed text={json} lineEnds="plain" first={12_000} label={t('hunt.tabJson')} />
        </Tabs.Panel>
        <Tabs.Panel value="issues" className={styles.tab}>
          {event.issues.length === 0 ? (
            <p className={styles.note}>{t('hunt.noIssues')}</p>
          ) : (
            <ul className={styles.issues}>
              {event.issues.map(({ kind, detail }) => (
                <li key={`${kind}/${detail}`}>
                  <b>{t(`issue.${kind}` as 'issue.malformed', { defaultValue: visibleText(kind) })}</b>
                  {detail && <LogBlock text={detail} first={400} />}
                </li>
              ))}
            </ul>
          )}
        </Tabs.Panel>
      </Tabs>
    </>
  )
}
