import {
  type LeaseRuns,
  type OffsetRuns,
  pushLease,
  pushOffset,
} from '../../model/delivery/facts.ts'
import { type Deliveries, leaseState } from './deliveries.ts'

/**
 * What a look at one message says: deliver, filtered out, or its bytes must be loaded first. `leave`
 * is said only of one that came back: it cannot be read now, and waits.
 */
export type Look = 'take' | 'skip' | 'load' | 'leave'

export interface QueueView {
  /** One past the last visible offset. */
  readonly offsetMax: number
  /** True when messages of this queue may have message groups, whose order must be kept. */
  readonly isOrdered: boolean
  readonly look: (offset: number) => Look
  /** 0 for none; undefined while the unit is not loaded. Asked only of ordered queues. */
  readonly groupHash: (offset: number) => number | undefined
}

export interface ReceiveLimits {
  readonly batchMax: number
  readonly unackedMax: number
  readonly attemptsMax: number
  /** New messages looked at in one plan, so that a selective filter cannot hold the loop. */
  readonly scanMax: number
}

export interface ReceivePlan {
  /** Ascending. */
  readonly offsets: readonly number[]
  readonly leases: LeaseRuns
  /** Filtered out: to be acknowledged at once, so that the floor moves. */
  readonly skipped: OffsetRuns
  /** Attempts used up: to be dead-lettered. */
  readonly exhausted: readonly number[]
  /** Something must be loaded and the plan made again. */
  readonly isIncomplete: boolean
  /** The scan ended at its limit with more messages ahead. */
  readonly hasMore: boolean
}

/**
 * Chooses what a group's next receive on a queue gets: what came back first, then what is
 * new, in offset order. Changes nothing; folding the facts made from the plan does.
 *
 * A message of a message group is taken only when every earlier unacknowledged one of its
 * group is taken with it: a later one is never leased while an earlier one is out. Blocked
 * messages are passed over, so a blocked group does not block its queue.
 */
export const planReceive = (
  deliveries: Deliveries,
  queue: QueueView,
  limits: ReceiveLimits,
): ReceivePlan => {
  const planner = new Planner(deliveries, queue, limits)
  if (queue.isOrdered || deliveries.available > 0) planner.planKnown()
  planner.planNew()
  return planner
}

class Planner implements ReceivePlan {
  readonly offsets: number[] = []
  readonly leases: number[] = []
  readonly skipped: number[] = []
  readonly exhausted: number[] = []
  isIncomplete = false
  hasMore = false
  readonly #deliveries: Deliveries
  readonly #queue: QueueView
  readonly #limits: ReceiveLimits
  readonly #blocked = new Set<number>()
  #wanted = 0

  constructor(deliveries: Deliveries, queue: QueueView, limits: ReceiveLimits) {
    this.#deliveries = deliveries
    this.#queue = queue
    this.#limits = limits
  }

  planKnown(): void {
    const { table } = this.#deliveries
    const { isOrdered } = this.#queue
    let left = this.#deliveries.available
    for (let slot = table.head; slot < table.tail; slot++) {
      if (this.#isFull || (left === 0 && !isOrdered)) return
      const state = table.state[slot]
      if (state === leaseState.removed) continue
      const offset = table.offset[slot] as number
      const hash = isOrdered ? this.#hashOf(offset, slot) : 0
      if (state !== leaseState.available) {
        if (hash !== 0) this.#blocked.add(hash)
        continue
      }
      left--
      if (hash !== 0 && this.#blocked.has(hash)) continue
      const attempt = table.attempt[slot] as number
      if (attempt >= this.#limits.attemptsMax) {
        this.exhausted.push(offset)
        if (hash !== 0) this.#blocked.add(hash)
        continue
      }
      if (this.#consider(offset, attempt + 1) === 'leave' && hash !== 0) this.#blocked.add(hash)
    }
  }

  /** What a message group holds back costs no look: only room for one passed over. */
  planNew(): void {
    const { next, unacked } = this.#deliveries
    const { offsetMax, isOrdered } = this.#queue
    let room = this.#limits.unackedMax - unacked
    let looks = this.#limits.scanMax
    for (let offset = next; offset < offsetMax; offset++) {
      if (this.#isFull || room <= 0) return
      if (looks === 0) {
        this.hasMore = true
        return
      }
      const hash = isOrdered ? this.#hashOf(offset, -1) : 0
      const isBlocked = hash !== 0 && this.#blocked.has(hash)
      if (!isBlocked) looks--
      if (isBlocked || this.#consider(offset, 1) !== 'skip') room--
    }
  }

  get #isFull(): boolean {
    return this.#wanted >= this.#limits.batchMax
  }

  #consider(offset: number, attempt: number): Look {
    const look = this.#queue.look(offset)
    switch (look) {
      case 'skip':
        pushOffset(this.skipped, offset)
        break
      case 'load':
        this.isIncomplete = true
        this.#wanted++
        break
      case 'take':
        this.offsets.push(offset)
        pushLease(this.leases, offset, attempt)
        this.#wanted++
        break
      case 'leave':
        break
    }
    return look
  }

  /** While the unit is not loaded nothing may be decided behind it: the plan is made again. */
  #hashOf(offset: number, slot: number): number {
    const { table } = this.#deliveries
    const known = slot < 0 ? 0 : (table.groupHash[slot] as number)
    if (known > 0) return known - 1
    const hash = this.#queue.groupHash(offset)
    if (hash === undefined) {
      this.isIncomplete = true
      return 0
    }
    if (slot >= 0) table.groupHash[slot] = hash + 1
    return hash
  }
}
