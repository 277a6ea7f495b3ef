// A point in time: written for the reader, with the exact ISO text on hover.

import { useReader, useNow } from './reader'
import { parseIso } from './time'

export function TimeText({ iso, millis }: { iso: string; millis?: boolean }) {
  const reader = useReader()
  const ms = parseIso(iso)
  if (ms === null) return <span>{iso}</span>
  return (
    <time dateTime={iso} title={iso} className="canh-num">
      {millis ? reader.dateTimeMs(ms) : reader.dateTime(ms)}
    </time>
  )
}

/** "5 minutes ago"; the hover has both the reader's and the ISO form. */
export function AgoText({ iso }: { iso: string }) {
  const reader = useReader()
  const now = useNow()
  const ms = parseIso(iso)
  if (ms === null) return <span>{iso}</span>
  return (
    <time dateTime={iso} title={`${reader.dateTime(ms)} (${iso})`} className="canh-num">
      {reader.ago(Math.min(ms, now), now)}
    </time>
  )
}
