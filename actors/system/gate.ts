import type { BrokerError } from '../../model/errors.ts'

type Refusal = () => BrokerError

/**
 * Between the two planes: requests pass it by a plain call, an owner's chart opens, throttles
 * and closes it on transitions. Work that waits inside is counted, so that ending an owner
 * waits for it.
 */
export class Gate {
  #closed: Refusal | undefined
  #throttled: Refusal | undefined
  #inside = 0
  #leaving: (() => void)[] = []

  constructor(closed?: Refusal) {
    this.#closed = closed
  }

  get isOpen(): boolean {
    return this.#closed === undefined
  }

  get inside(): number {
    return this.#inside
  }

  /** Throws while closed. */
  pass(): void {
    if (this.#closed) throw this.#closed()
  }

  /** Throws while closed or throttled: for what adds bytes. */
  passAdding(): void {
    if (this.#closed) throw this.#closed()
    if (this.#throttled) throw this.#throttled()
  }

  /** Passes, and counts as inside until `work` settles. */
  async hold<Result>(work: () => Promise<Result>): Promise<Result> {
    this.pass()
    this.#inside++
    try {
      return await work()
    } finally {
      this.#inside--
      if (this.#inside === 0) this.#allLeft()
    }
  }

  open(): void {
    this.#closed = undefined
    this.#throttled = undefined
  }

  throttle(refusal: Refusal): void {
    this.#throttled = refusal
  }

  close(refusal: Refusal): void {
    this.#closed = refusal
  }

  /** Resolves when nobody is inside. */
  whenEmpty(): Promise<void> {
    if (this.#inside === 0) return Promise.resolve()
    return new Promise((resolve) => this.#leaving.push(resolve))
  }

  #allLeft(): void {
    const leaving = this.#leaving
    this.#leaving = []
    for (const resolve of leaving) resolve()
  }
}
