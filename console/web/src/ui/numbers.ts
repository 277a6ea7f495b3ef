// Numbers as the reader's language writes them.

const formats = new Map<string, Intl.NumberFormat>()

function format(language: string, options: Intl.NumberFormatOptions, key: string): Intl.NumberFormat {
  const id = `${language}/${key}`
  const known = formats.get(id)
  if (known) return known
  const made = new Intl.NumberFormat(language, options)
  formats.set(id, made)
  return made
}

/** `12.345` in Vietnamese, `12,345` in English. */
export function formatCount(value: number, language: string): string {
  return format(language, { maximumFractionDigits: 0 }, 'count').format(value)
}

/** With one digit after the point where it says something: `0.3`, `12`. */
export function formatDecimal(value: number, language: string): string {
  const digits = Math.abs(value) < 10 ? 1 : 0
  return format(language, { maximumFractionDigits: digits }, `decimal${digits}`).format(value)
}

/** `12.3K`; for axes and badges. */
export function formatShort(value: number, language: string): string {
  if (Math.abs(value) < 10_000) return format(language, { maximumFractionDigits: 1 }, 'small').format(value)
  return format('en', { notation: 'compact', maximumFractionDigits: 1 }, 'short').format(value)
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** `1.5 GiB`. */
export function formatBytes(value: number, language: string): string {
  let unit = 0
  let rest = value
  while (rest >= 1024 && unit < UNITS.length - 1) {
    rest /= 1024
    unit += 1
  }
  const digits = unit === 0 || rest >= 100 ? 0 : 1
  return `${format(language, { maximumFractionDigits: digits }, `bytes${digits}`).format(rest)} ${UNITS[unit]}`
}

/** `12.3 %` of a share between 0 and 1. */
export function formatShare(value: number, language: string): string {
  const digits = value > 0 && value < 0.1 ? 1 : 0
  return format(language, { style: 'percent', maximumFractionDigits: digits }, `share${digits}`).format(value)
}
