export interface Backoff {
  readonly msBase: number
  readonly msMax: number
}

/** What a loop that backs off keeps in its context: how often in a row it failed, and why. */
export interface Failures {
  readonly failures: number
  readonly lastError: unknown
}

export const noFailures: Failures = { failures: 0, lastError: null }

export const failedAgain = ({ failures }: Failures, lastError: unknown): Failures => ({
  failures: failures + 1,
  lastError,
})

/** The `params` of an action that is told what went wrong. */
export const errorOf = ({ event }: { event: { error: unknown } }): { error: unknown } => ({
  error: event.error,
})

/** Doubles per failure up to a cap. */
export const backoffMs = ({ msBase, msMax }: Backoff, failures: number): number =>
  Math.min(msMax, msBase * 2 ** Math.max(0, failures - 1))
