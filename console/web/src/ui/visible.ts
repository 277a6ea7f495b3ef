// Makes hostile text harmless to read. Log content may hold control characters that move a cursor, bidirectional marks
// that swap what is seen, and letters that cannot be seen at all; each is named instead of obeyed.

export interface Segment {
  text: string
  /** A segment that stands for a character that must not be shown as itself. */
  named: boolean
}

/** Names of the characters 0 to 31. Source: ECMA-48, section 8.3. */
const CONTROLS =
  'NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US'.split(
    ' '
  )

/** What is shown in place of a character, or `null` when the character may be shown. */
function nameOf(code: number): string | null {
  if (code === 0x7f) return 'DEL'
  if (code < 0x20) return CONTROLS[code] ?? hex(code)
  if (code >= 0x80 && code <= 0x9f) return hex(code)
  const hidden =
    code === 0xad || // soft hyphen
    code === 0x61c || // Arabic letter mark
    code === 0x180e || // Mongolian vowel separator
    (code >= 0x200b && code <= 0x200f) || // zero width, left-to-right and right-to-left marks
    (code >= 0x2028 && code <= 0x202e) || // line separators, bidirectional embeddings and overrides
    (code >= 0x2060 && code <= 0x206f) || // word joiner, isolates, invisible operators
    code === 0xfeff || // byte order mark
    (code >= 0xfff9 && code <= 0xfffb) || // interlinear marks
    (code >= 0xd800 && code <= 0xdfff) || // half a surrogate pair
    (code >= 0xe0000 && code <= 0xe0fff) // tags and variation selectors beyond the first plane
  return hidden ? hex(code) : null
}

function hex(code: number): string {
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
}

/** What becomes of line ends: only a name, a name and a new line, or a new line alone in text that we wrote ourselves. */
export type LineEnds = 'named' | 'kept' | 'plain'

/** Splits a text into what may be shown and what is named. */
export function visible(text: string, lineEnds: LineEnds = 'named'): Segment[] {
  const segments: Segment[] = []
  let plain = ''
  const flush = () => {
    if (plain) segments.push({ text: plain, named: false })
    plain = ''
  }
  for (const letter of text) {
    const code = letter.codePointAt(0) ?? 0
    const name = code === 0x0a && lineEnds === 'plain' ? null : nameOf(code)
    if (name === null) {
      plain += letter
      continue
    }
    flush()
    segments.push({ text: name, named: true })
    if (lineEnds === 'kept' && code === 0x0a) plain = '\n'
  }
  flush()
  return segments
}

/** The same as one text, for titles and labels. */
export function visibleText(text: string): string {
  return visible(text)
    .map((segment) => segment.text)
    .join('')
}

/** The first `max` UTF-16 units, never half of a pair. */
export function clip(text: string, max: number): string {
  if (text.length <= max) return text
  const code = text.charCodeAt(max - 1)
  return text.slice(0, code >= 0xd800 && code <= 0xdbff ? max - 1 : max)
}
