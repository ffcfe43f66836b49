import { BrokerError } from '../../model/errors.ts'
import type { Clock } from '../../model/ports.ts'
import { type Span, spanMs } from '../../model/timer/span.ts'

interface Timer {
  readonly dueMs: number
  readonly task: () => void
}

export interface ManualClockParts {
  /** The wall clock at the beginning, in ms. */
  readonly wallMs: number
  /** Runs a task after the current turn and the input that has arrived, in real time. */
  readonly setSoon: (task: () => void) => void
}

/**
 * A clock that stands still until it is told to go on: for tests of programs that schedule.
 *
 * Work still happens in real time, so sends are synced and answered while time stands still.
 * What waits for time, such as scheduled messages, leases and long polls, waits for `advance`.
 */
export class ManualClock implements Clock {
  readonly #wallStartMs: number
  readonly #setSoon: (task: () => void) => void
  /** Sorted by due time; of equals the first set comes first. */
  readonly #timers: Timer[] = []
  #nowMs = 0
  #tasksSoon = 0
  #advancing: Promise<void> = Promise.resolve()

  constructor({ wallMs, setSoon }: ManualClockParts) {
    this.#wallStartMs = wallMs
    this.#setSoon = setSoon
  }

  wallMs(): number {
    return this.#wallStartMs + this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  soon(task: () => void): void {
    this.#tasksSoon++
    this.#setSoon(() => {
      this.#tasksSoon--
      task()
    })
  }

  after(ms: number, task: () => void): () => void {
    if (ms <= 0) return this.#afterNothing(task)
    const timer = { dueMs: this.#nowMs + ms, task }
    this.#timers.splice(this.#indexAfter(timer.dueMs), 0, timer)
    return () => {
      const index = this.#timers.indexOf(timer)
      if (index >= 0) this.#timers.splice(index, 1)
    }
  }

  /**
   * Lets a span of time pass, such as `'3 days'`, `'1h 30m'` or a number of milliseconds. What
   * falls due on the way happens in order, each at its own time. Resolves when all of it has
   * happened: fired, synced, seen by whoever waited in this process, and what they did with the
   * broker in return. Waits of theirs for anything else, such as files, are not waited for.
   */
  async advance(span: Span): Promise<void> {
    const ms = spanMs(span)
    await this.#inTurn(() => this.#nowMs + ms)
  }

  /** As `advance`, to a moment of the wall clock. Throws `DURATION_ILLEGAL` for one that is past. */
  async advanceTo(moment: Date | number | string): Promise<void> {
    const endMs = momentMs(moment) - this.#wallStartMs
    await this.#inTurn(() => {
      if (endMs < this.#nowMs) throw new BrokerError('DURATION_ILLEGAL', { text: String(moment) })
      return endMs
    })
  }

  /** One advance after the other; one that fails holds up none. */
  #inTurn(endMs: () => number): Promise<void> {
    const advanced = this.#advancing.then(() => this.#advanceTo(endMs()))
    this.#advancing = advanced.catch(() => {})
    return advanced
  }

  async #advanceTo(endMs: number): Promise<void> {
    await this.#rest()
    for (let next = this.#timers[0]; next && next.dueMs <= endMs; next = this.#timers[0]) {
      this.#nowMs = Math.max(this.#nowMs, next.dueMs)
      this.#runDue()
      await this.#rest()
    }
    this.#nowMs = Math.max(this.#nowMs, endMs)
  }

  /** One moment is one turn, as it is when a busy process finds several timers due. */
  #runDue(): void {
    for (let next = this.#timers[0]; next && next.dueMs <= this.#nowMs; next = this.#timers[0]) {
      this.#timers.shift()
      next.task()
    }
  }

  /** Everything that can go on without time passing has done so. */
  async #rest(): Promise<void> {
    do await new Promise<void>((resolve) => this.#setSoon(resolve))
    while (this.#tasksSoon > 0)
  }

  #afterNothing(task: () => void): () => void {
    let isCancelled = false
    this.soon(() => {
      if (!isCancelled) task()
    })
    return () => {
      isCancelled = true
    }
  }

  #indexAfter(dueMs: number): number {
    let from = 0
    let to = this.#timers.length
    while (from < to) {
      const middle = (from + to) >>> 1
      if ((this.#timers[middle] as Timer).dueMs <= dueMs) from = middle + 1
      else to = middle
    }
    return from
  }
}

/** Milliseconds of a moment: a date, a number of ms, or a text that `Date` reads. */
export const momentMs = (moment: Date | number | string): number => {
  const ms = new Date(moment).getTime()
  if (!Number.isFinite(ms)) throw new BrokerError('DURATION_ILLEGAL', { text: String(moment) })
  return ms
}
