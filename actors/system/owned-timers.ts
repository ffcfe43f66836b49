import type { Clock } from '../../model/ports.ts'

export interface PendingTimer {
  /** Addresses, such as `group:4 topic:17`: all of them must live. */
  readonly owner: string
  readonly dueMs: number
}

/**
 * The broker's clock, which knows every timer that is set and whose it is. What is set without a
 * name is the broker's own.
 */
export class OwnedTimers implements Clock {
  readonly #clock: Clock
  readonly #pending = new Set<PendingTimer>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  wallMs(): number {
    return this.#clock.wallMs()
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  soon(task: () => void): void {
    this.#clock.soon(task)
  }

  after(ms: number, task: () => void): () => void {
    return this.afterFor('broker', ms, task)
  }

  /** As `after`, under the name of its owner. */
  afterFor(owner: string, ms: number, task: () => void): () => void {
    const timer = { owner, dueMs: this.#clock.monotonicMs() + ms }
    const cancel = this.#clock.after(ms, () => {
      this.#pending.delete(timer)
      task()
    })
    this.#pending.add(timer)
    return () => {
      this.#pending.delete(timer)
      cancel()
    }
  }

  pending(): Iterable<PendingTimer> {
    return this.#pending
  }
}
