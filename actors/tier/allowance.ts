interface Waiter {
  readonly weight: number
  readonly admit: () => void
}

/**
 * So much at a time, by scope: what `use` takes is back when its work has ended, however it ended.
 * First come, first served; who wants more than there is at all waits until nobody else has any.
 */
export class Allowance {
  readonly max: number
  /** Ascending by time of asking. */
  readonly #waiters = new Set<Waiter>()
  #inUse = 0
  #users = 0
  #highWater = 0

  constructor(max: number) {
    this.max = max
  }

  get inUse(): number {
    return this.#inUse
  }

  /** Scopes that are open. */
  get users(): number {
    return this.#users
  }

  /** The most that was ever in use. */
  get highWater(): number {
    return this.#highWater
  }

  get waiters(): number {
    return this.#waiters.size
  }

  /** `signal` ends waiting at once, with its reason; of work that has begun it is the work's own. */
  async use<Result>(
    weight: number,
    signal: AbortSignal,
    work: () => Promise<Result>,
  ): Promise<Result> {
    await this.#enter(weight, signal)
    try {
      signal.throwIfAborted()
      return await work()
    } finally {
      this.#inUse -= weight
      this.#users--
      this.#admitWaiters()
    }
  }

  #enter(weight: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        weight,
        admit: () => {
          signal.removeEventListener('abort', cancel)
          resolve()
        },
      }
      const cancel = (): void => {
        if (!this.#waiters.delete(waiter)) return
        reject(signal.reason as Error)
        this.#admitWaiters()
      }
      signal.addEventListener('abort', cancel, { once: true })
      this.#waiters.add(waiter)
      this.#admitWaiters()
    })
  }

  /** Nobody overtakes: what is large would wait for ever behind what is small. */
  #admitWaiters(): void {
    for (const waiter of this.#waiters) {
      if (this.#users > 0 && this.#inUse + waiter.weight > this.max) return
      this.#waiters.delete(waiter)
      this.#inUse += waiter.weight
      this.#users++
      this.#highWater = Math.max(this.#highWater, this.#inUse)
      waiter.admit()
    }
  }
}
