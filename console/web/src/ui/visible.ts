// Makes hostile text harmless to read. Log content may hold control characters that move a cursor, bidirectional marks
// that swap what is seen, and letters that cannot be seen at all; each is named instead of obeyed.

export interface Segment {
  text: string
  /** A segment that stands for a character that must not be shown as itself. */
  named: boolean
}

const CONTROL_PICTURES = 0x2400

/** What is shown in place of a character, or `null` when the character may be shown. */
function nameOf(code: number): string | null {
  if (code === 0x7f) return '␡'
  if (code < 0x20) return String.fromCodePoint(CONTROL_PICTURES + code)
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

/** Splits a text into what may be shown and what is named. With `keepLines`, a line end is named and also kept. */
export function visible(text: string, keepLines = false): Segment[] {
  const segments: Segment[] = []
  let plain = ''
  const flush = () => {
    if (plain) segments.push({ text: plain, named: false })
    plain = ''
  }
  for (const letter of text) {
    const code = letter.codePointAt(0) ?? 0
    const name = nameOf(code)
    if (name === null) {
      plain += letter
      continue
    }
    flush()
    segments.push({ text: name, named: true })
    if (keepLines && code === 0x0a) plain = '\n'
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
