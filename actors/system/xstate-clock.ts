import type { Clock } from '../../model/ports.ts'

/** What XState schedules `after` transitions with. */
export interface XStateClock {
  setTimeout(task: (...args: unknown[]) => void, ms: number): unknown
  clearTimeout(handle: unknown): void
}

/** Our clock, in XState's clothes: charts run on the same monotonic time as everything else. */
export const xstateClock = (clock: Clock): XStateClock => ({
  setTimeout: (task, ms) => clock.after(ms, task),
  clearTimeout: (cancel) => (cancel as () => void)?.(),
})
