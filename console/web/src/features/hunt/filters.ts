// What every value on the hunt page can do to the query and to the columns.

export interface Filters {
  onIn: (field: string, value: string) => void
  onOut: (field: string, value: string) => void
  onExists: (field: string) => void
  columns: string[]
  onColumns: (columns: string[]) => void
}

export function withColumn(columns: string[], field: string): string[] {
  return columns.includes(field) ? columns.filter((each) => each !== field) : [...columns, field]
}

/** The columns with one of them moved by one place. */
export function moved(columns: string[], field: string, by: -1 | 1): string[] {
  const from = columns.indexOf(field)
  const to = from + by
  if (from < 0 || to < 0 || to >= columns.length) return columns
  const rest = columns.filter((each) => each !== field)
  return rest.toSpliced(to, 0, field)
}
