import { BrokerError } from '../../model/errors.ts'
import type { OwnedTimers } from '../system/owned-timers.ts'

export type Wake = 'woken' | 'timedOut' | 'aborted'

/** Shared by all subscriptions of a broker: how many receives may wait at all. */
export interface ParkingLimits {
  readonly perKeyMax: number
  readonly totalMax: number
}

export class ParkingLot {
  readonly limits: ParkingLimits
  readonly clock: OwnedTimers
  parked = 0

  constructor(limits: ParkingLimits, clock: OwnedTimers) {
    this.limits = limits
    this.clock = clock
  }
}

interface Waiter {
  /** The news that it looked at before it parked. */
  readonly seen: number
  readonly resume: (wake: Wake) => void
}

/**
 * Receives of one subscription that found nothing and wait.
 *
 * A wake resumes the one that waits longest; whoever has looked passes the wake on, so a
 * single message does not rouse everybody, and one that nobody wants is looked at by each once.
 * Looking for messages and parking happen in one turn, so nothing that arrives in between is
 * missed. Each is answered exactly once.
 */
export class ParkedReceives {
  readonly #lot: ParkingLot
  readonly #owner: string
  readonly #waiters = new Set<Waiter>()
  #cancelTimer: (() => void) | undefined
  #timerAtMs = Number.POSITIVE_INFINITY
  #news = 0
  /** Called when the first receive parks and when the last one leaves. */
  onBusy: ((isBusy: boolean) => void) | undefined

  /** `owner`: the addresses of group and topic, for the timers that are set here. */
  constructor(lot: ParkingLot, owner: string) {
    this.#lot = lot
    this.#owner = owner
  }

  get count(): number {
    return this.#waiters.size
  }

  /** Throws `THROTTLED` when too many wait. */
  park(waitMs: number, signal: AbortSignal | undefined): Promise<Wake> {
    const lot = this.#lot
    if (this.#waiters.size >= lot.limits.perKeyMax || lot.parked >= lot.limits.totalMax)
      throw new BrokerError('THROTTLED', { reason: 'polling full' })
    if (signal?.aborted) return Promise.resolve('aborted')
    return new Promise((resolve) => {
      const resume = (wake: Wake): void => {
        if (!this.#waiters.delete(waiter)) return
        lot.parked--
        cancelTimeout()
        signal?.removeEventListener('abort', abort)
        if (this.#waiters.size === 0) this.#fallIdle()
        resolve(wake)
      }
      const abort = (): void => resume('aborted')
      const waiter: Waiter = { seen: this.#news, resume }
      const cancelTimeout = lot.clock.afterFor(this.#owner, waitMs, () => resume('timedOut'))
      signal?.addEventListener('abort', abort)
      this.#waiters.add(waiter)
      lot.parked++
      if (this.#waiters.size === 1) this.onBusy?.(true)
    })
  }

  /** There is something new to look at: resumes the longest-waiting receive, if any. */
  wake(): void {
    this.#news++
    this.passOn()
  }

  /** Resumes the longest-waiting receive that has not looked at the newest news yet, if any. */
  passOn(): void {
    for (const waiter of this.#waiters) {
      // They stand in the order in which they parked, so those behind have seen it, too.
      if (waiter.seen < this.#news) waiter.resume('woken')
      return
    }
  }

  /** Resumes all: their gate closed, and each hears why on its next look. */
  wakeAll(): void {
    for (const waiter of this.#waiters) waiter.resume('woken')
  }

  /** Some lease ends at `atMs` (monotonic): whoever waits then is woken. */
  wakeAt(atMs: number): void {
    if (this.#waiters.size === 0 || atMs >= this.#timerAtMs) return
    this.#cancelTimer?.()
    this.#timerAtMs = atMs
    const { clock } = this.#lot
    const leftMs = Math.max(0, atMs - clock.monotonicMs())
    this.#cancelTimer = clock.afterFor(this.#owner, leftMs, () => {
      this.#cancelTimer = undefined
      this.#timerAtMs = Number.POSITIVE_INFINITY
      this.wake()
    })
  }

  #fallIdle(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#timerAtMs = Number.POSITIVE_INFINITY
    this.onBusy?.(false)
  }
}
