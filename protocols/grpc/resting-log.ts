import type { Clock } from '../../model/ports.ts'

const REST_MS = 10_000

type Write = (fields: Readonly<Record<string, unknown>>, message: string) => void

/**
 * One line for many: after a line it rests, and the next one says how many were left out. Who
 * floods us must not flood the log.
 */
export const restingLog = (clock: Clock, write: Write): Write => {
  let restUntilMs = -Infinity
  let unsaid = 0
  return (fields, message) => {
    if (clock.monotonicMs() < restUntilMs) {
      unsaid++
      return
    }
    write(unsaid > 0 ? { ...fields, unsaid } : fields, message)
    unsaid = 0
    restUntilMs = clock.monotonicMs() + REST_MS
  }
}
