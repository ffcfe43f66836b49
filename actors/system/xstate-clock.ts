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

/** A chart's clock that can say when the chart acts next by itself: a back-off or a rest. */
export class LoopClock implements XStateClock {
  readonly #clock: Clock
  readonly #dueMs = new Map<() => void, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** From now; undefined while nothing is scheduled. */
  get nextTryInMs(): number | undefined {
    const dueMs = Math.min(...this.#dueMs.values())
    return Number.isFinite(dueMs) ? Math.max(0, dueMs - this.#clock.monotonicMs()) : undefined
  }

  setTimeout(task: () => void, ms: number): unknown {
    const cancel = this.#clock.after(ms, () => {
      this.#dueMs.delete(cancel)
      task()
    })
    this.#dueMs.set(cancel, this.#clock.monotonicMs() + ms)
    return cancel
  }

  clearTimeout(handle: unknown): void {
    const cancel = handle as (() => void) | undefined
    if (cancel === undefined) return
    this.#dueMs.delete(cancel)
    cancel()
  }
}
