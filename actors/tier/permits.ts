/** So many at a time; who comes later waits in turn. What was taken is returned by scope. */
export class Permits {
  readonly max: number
  #inUse = 0
  readonly #waiting: (() => void)[] = []

  constructor(max: number) {
    this.max = Math.max(1, max)
  }

  get inUse(): number {
    return this.#inUse
  }

  get waiters(): number {
    return this.#waiting.length
  }

  async use<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#inUse < this.max) this.#inUse++
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      // Handed on: it never becomes free for somebody who did not wait.
      if (next) next()
      else this.#inUse--
    }
  }
}
