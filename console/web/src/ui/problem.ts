// What is shown when something went wrong. Whoever talks to the server throws an error of this form.

export interface Problem {
  /** HTTP status; 0 when there was no answer. */
  status: number
  /** In the reader's language. */
  message: string
  requestId?: string | undefined
}

export function readProblem(error: unknown): Problem {
  if (error instanceof Error) {
    const status = 'status' in error && typeof error.status === 'number' ? error.status : -1
    const requestId = 'requestId' in error && typeof error.requestId === 'string' ? error.requestId : undefined
    return { status, message: error.message, requestId }
  }
  return { status: -1, message: String(error) }
}

/** Messages begin with a small letter; at the beginning of a line they get a capital. */
export function sentence(text: string): string {
  return text.slice(0, 1).toLocaleUpperCase() + text.slice(1)
}
