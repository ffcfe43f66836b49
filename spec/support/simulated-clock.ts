import type { Clock } from '../../model/ports.ts'

/** More than any spec needs: something reschedules itself for ever. */
const TASKS_MAX = 1_000_000

interface Timer {
  readonly dueMs: number
  readonly task: () => void
}

/**
 * A clock that stands still until it is told to go on, so that a seed replays a whole broker.
 *
 * Nothing runs by itself: what was given to `soon` waits too, until `advance`, `settle` or
 * `until` is awaited. These run one task at a time and let every promise that can settle do so
 * (microtasks and ticks run dry) before the next:
 *
 * 1. what is `soon`, oldest first, until there is none;
 * 2. the timer that is due first, of equals the one set first; time jumps to its due time;
 * 3. from 1 again; when no timer is due any more, time moves on to the end.
 *
 * Promises that wait for the real world (sockets, files) are not waited for.
 */
export class SimulatedClock implements Clock {
  #nowMs = 0
  #wallOffsetMs: number
  readonly #soon: (() => void)[] = []
  /** Sorted by due time; of equals the first set comes first. */
  readonly #timers: Timer[] = []
  #isRunning = false

  constructor({ wallMs = Date.UTC(2026, 0, 1) }: { wallMs?: number } = {}) {
    this.#wallOffsetMs = wallMs
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(ms: number, task: () => void): () => void {
    const timer = { dueMs: this.#nowMs + Math.max(0, ms), task }
    const later = this.#timers.findLastIndex(({ dueMs }) => dueMs <= timer.dueMs) + 1
    this.#timers.splice(later, 0, timer)
    return () => {
      const index = this.#timers.indexOf(timer)
      if (index >= 0) this.#timers.splice(index, 1)
    }
  }

  soon(task: () => void): void {
    this.#soon.push(task)
  }

  /** Timers that are set. Zero when everything has come to rest. */
  get pending(): number {
    return this.#timers.length
  }

  /** Runs what falls due in the next `ms`, and stops there. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    await this.#run(() => (this.#timers[0]?.dueMs ?? Infinity) <= endMs)
    this.#nowMs = endMs
  }

  /** Runs what can run without time passing. */
  settle(): Promise<void> {
    return this.advance(0)
  }

  /** Lets time pass, timer by timer, until the work is done, and gives its result. */
  async until<T>(work: Promise<T>): Promise<T> {
    let isDone = false
    const done = () => {
      isDone = true
    }
    work.then(done, done)
    await this.#run(() => !isDone && this.#timers.length > 0)
    if (!isDone) throw new Error('the work waits for nothing that this clock knows')
    return work
  }

  /** Somebody sets the wall clock. Monotonic time and timers do not notice. */
  jumpWall(ms: number): void {
    this.#wallOffsetMs += ms
  }

  async #run(mayTimePass: () => boolean): Promise<void> {
    if (this.#isRunning) throw new Error('the clock is running already')
    this.#isRunning = true
    try {
      for (let count = 0; count < TASKS_MAX; count++) {
        await microtasks()
        const task = this.#soon.shift() ?? (mayTimePass() ? this.#expire() : undefined)
        if (task === undefined) return
        task()
      }
      throw new Error(`not at rest after ${TASKS_MAX} tasks`)
    } finally {
      this.#isRunning = false
    }
  }

  #expire(): (() => void) | undefined {
    const timer = this.#timers.shift()
    this.#nowMs = Math.max(this.#nowMs, timer?.dueMs ?? 0)
    return timer?.task
  }
}

/** An immediate runs after every microtask and tick, and those that they add. */
const microtasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
