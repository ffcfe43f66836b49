import type {
  DeliveriesState,
  DeliveryFact,
  ExtensionCause,
  LeasedFact,
  UnackedEntry,
} from '../../model/delivery/facts.ts'
import type { DeliveryCause } from '../../model/ports.ts'
import { LeaseTable } from './lease-table.ts'

/** Lease states. A removed slot is 0, so that a fresh array is empty. */
export const leaseState = {
  removed: 0,
  available: 1,
  leased: 2,
  /** Chosen to be dead-lettered: neither available nor leased. */
  deadLettering: 3,
  /** Its dead letter is admitted: acknowledged as soon as that is synced. */
  deadLettered: 4,
} as const

export const causeCodes = [
  'first',
  'deadline',
  'negativeAck',
  'sessionLost',
  'crashRecovery',
  'repeatedAttempt',
] as const satisfies readonly DeliveryCause[]

const causeOf = { deadline: 1, negativeAck: 2, sessionLost: 3 } as const

const ATTEMPT_IDS_MAX = 64

export interface FoldContext {
  /** Add to a wall deadline to get a monotonic one. */
  readonly skewMs: number
  /** The session number that holds a new lease; 0 for none, as after a restart. */
  readonly session: number
}

/**
 * The deliveries of one group on one queue, as folding their facts gives them.
 *
 * Everything below `next` is acknowledged, except what stands in the table: so the floor, the
 * acknowledged ranges above it and the leases are one sorted table of the exceptions, and a
 * message in a long back-off costs one slot however much is acknowledged above it.
 * Deadlines are monotonic while in memory and wall clock in facts.
 */
export class Deliveries {
  readonly table = new LeaseTable()
  /** First offset that was never looked at for this group. */
  next: number
  /** No lease ends before this; may be earlier than the true minimum, never later. */
  deadlineMin = Number.POSITIVE_INFINITY
  /** Slots that can be delivered now. */
  available = 0
  readonly #attemptIds = new Map<string, readonly number[]>()

  constructor(start = 0) {
    this.next = start
  }

  /** Everything below is acknowledged. */
  get floor(): number {
    return this.table.count === 0 ? this.next : this.table.firstOffset
  }

  get unacked(): number {
    return this.table.count
  }

  get inFlight(): number {
    return this.table.count - this.available
  }

  /** Offsets of the batch that was leased under this attempt id, if it is remembered. */
  offsetsOfAttempt(attemptId: string): readonly number[] | undefined {
    return this.#attemptIds.get(attemptId)
  }

  /** Folding never refuses: what does not apply any more changes nothing. */
  fold(fact: DeliveryFact, context: FoldContext): void {
    switch (fact.type) {
      case 'leased':
        this.#foldLeased(fact, context)
        return
      case 'extended':
        this.#foldExtended(fact.queueOffset, fact.generation, fact.cause, {
          deadline: fact.invisibleUntilMs + context.skewMs,
          attempt: fact.attempt,
        })
        return
      case 'acked':
        for (let index = 0; index < fact.runs.length; index += 2)
          this.#foldAcked(fact.runs[index] as number, fact.runs[index + 1] as number)
        return
      case 'carried':
        this.restore(fact, context.skewMs)
        return
    }
  }

  /** Turns leases that ended by `nowMs` into available slots. `renew` may keep one, by a new deadline. */
  expire(nowMs: number, renew: (slot: number) => number | undefined): void {
    if (nowMs < this.deadlineMin) return
    const { table } = this
    let deadlineMin = Number.POSITIVE_INFINITY
    for (let slot = table.head; slot < table.tail; slot++) {
      if (table.state[slot] !== leaseState.leased) continue
      if ((table.deadline[slot] as number) <= nowMs) {
        const renewed = renew(slot)
        if (renewed === undefined) {
          this.#makeAvailable(slot)
          continue
        }
        table.deadline[slot] = renewed
      }
      deadlineMin = Math.min(deadlineMin, table.deadline[slot] as number)
    }
    this.deadlineMin = deadlineMin
  }

  /** Retention removed everything below `offsetMin`. Returns how many were not yet acknowledged. */
  raiseFloor(offsetMin: number): number {
    const { table } = this
    let lost = Math.max(0, offsetMin - this.next)
    for (let slot = table.head; slot < table.tail; slot++) {
      if ((table.offset[slot] as number) >= offsetMin) break
      if (table.state[slot] === leaseState.removed) continue
      lost++
      this.#remove(slot)
    }
    this.next = Math.max(this.next, offsetMin)
    table.tidy()
    return lost
  }

  /** A dead letter is on its way to disk: the message is neither available nor leased. */
  holdForDeadLetter(slot: number): void {
    if (this.table.state[slot] === leaseState.available) this.available--
    this.table.state[slot] = leaseState.deadLettering
  }

  /** True while a dead letter of this message is being made. */
  isHeld(offset: number): boolean {
    const slot = this.table.find(offset)
    return slot >= 0 && this.table.state[slot] === leaseState.deadLettering
  }

  /** The dead letter is admitted: a state written from now on has the message acknowledged. */
  admitDeadLetter(offset: number): void {
    const slot = this.table.find(offset)
    if (slot >= 0) this.table.state[slot] = leaseState.deadLettered
  }

  /** The dead letter did not happen: leased as before, or deliverable, so it is tried again. */
  releaseDeadLetter(offset: number, nowMs: number): void {
    const slot = this.table.find(offset)
    const state = slot < 0 ? leaseState.removed : this.table.state[slot]
    if (state !== leaseState.deadLettering && state !== leaseState.deadLettered) return
    const deadline = this.table.deadline[slot] as number
    if (deadline > nowMs) this.#lease(slot, deadline)
    else this.#makeAvailable(slot)
  }

  /** Leases of a lost session end at `deadline`, if they did not earlier. Calls back per lease. */
  loseSession(session: number, deadline: number, lost: (slot: number) => void): void {
    const { table } = this
    for (let slot = table.head; slot < table.tail; slot++) {
      if (table.state[slot] !== leaseState.leased || table.session[slot] !== session) continue
      if ((table.deadline[slot] as number) > deadline || table.autoRenew[slot] === 1) lost(slot)
    }
  }

  state(skewMs: number): DeliveriesState {
    const { table } = this
    const unacked: UnackedEntry[] = []
    for (let slot = table.head; slot < table.tail; slot++) {
      const state = table.state[slot]
      if (state === leaseState.removed || state === leaseState.deadLettered) continue
      const leased = state === leaseState.leased
      unacked.push({
        queueOffset: table.offset[slot] as number,
        attempt: table.attempt[slot] as number,
        generation: table.generation[slot] as number,
        invisibleUntilMs: leased ? Math.ceil((table.deadline[slot] as number) - skewMs) : 0,
        autoRenew: table.autoRenew[slot] === 1,
      })
    }
    return { next: this.next, unacked }
  }

  restore(state: DeliveriesState, skewMs: number): void {
    this.table.clear()
    this.available = 0
    this.deadlineMin = Number.POSITIVE_INFINITY
    this.next = state.next
    for (const entry of state.unacked) {
      const slot = this.table.push(entry.queueOffset)
      this.table.attempt[slot] = entry.attempt
      this.table.generation[slot] = entry.generation
      this.table.autoRenew[slot] = entry.autoRenew ? 1 : 0
      this.table.cause[slot] = entry.attempt === 0 ? 0 : causeOf.deadline
      if (entry.invisibleUntilMs === 0) {
        this.table.state[slot] = leaseState.available
        this.available++
      } else this.#lease(slot, entry.invisibleUntilMs + skewMs)
    }
  }

  #foldLeased(fact: LeasedFact, { skewMs, session }: FoldContext): void {
    const { table } = this
    const deadline = fact.invisibleUntilMs + skewMs
    const offsets: number[] = []
    for (let index = 0; index < fact.runs.length; index += 3) {
      const start = fact.runs[index] as number
      const end = start + (fact.runs[index + 1] as number)
      for (let offset = start; offset < end; offset++) {
        const slot = this.#slotFor(offset)
        if (slot < 0) continue
        if (table.state[slot] === leaseState.available) this.available--
        table.attempt[slot] = fact.runs[index + 2] as number
        table.generation[slot] = 0
        table.autoRenew[slot] = fact.autoRenew ? 1 : 0
        table.session[slot] = session
        table.cause[slot] = causeOf.deadline
        this.#lease(slot, deadline)
        offsets.push(offset)
      }
    }
    if (fact.attemptId !== '') this.#rememberAttempt(fact.attemptId, offsets)
  }

  #foldExtended(
    offset: number,
    generation: number,
    cause: ExtensionCause,
    { deadline, attempt }: { deadline: number; attempt: number },
  ): void {
    // Ahead when a crash lost the lease that is extended.
    const slot = this.#slotFor(offset)
    if (slot < 0) return
    if (this.table.state[slot] === leaseState.available) this.available--
    this.table.attempt[slot] = attempt
    this.table.generation[slot] = generation
    if (cause === 'negativeAck') this.table.cause[slot] = causeOf.negativeAck
    if (cause === 'sessionLost') this.table.cause[slot] = causeOf.sessionLost
    // Whoever asks for a deadline of its own gets it: the session does not renew it any more.
    if (cause !== 'renewed') this.table.autoRenew[slot] = 0
    this.#lease(slot, deadline)
  }

  #foldAcked(start: number, count: number): void {
    const end = start + count
    for (let offset = this.next; offset < start; offset++) this.#slotFor(offset)
    for (let slot = this.table.lowerBound(start); slot < this.table.tail; slot++) {
      if ((this.table.offset[slot] as number) >= end) break
      if (this.table.state[slot] !== leaseState.removed) this.#remove(slot)
    }
    if (end > this.next) this.next = end
    this.table.tidy()
  }

  /** The slot of an unacknowledged offset, made when it lies ahead; -1 when it is acknowledged. */
  #slotFor(offset: number): number {
    while (this.next <= offset) {
      const slot = this.table.push(this.next++)
      this.table.state[slot] = leaseState.available
      this.available++
    }
    return this.table.find(offset)
  }

  #lease(slot: number, deadline: number): void {
    this.table.state[slot] = leaseState.leased
    this.table.deadline[slot] = deadline
    if (deadline < this.deadlineMin) this.deadlineMin = deadline
  }

  #makeAvailable(slot: number): void {
    this.table.state[slot] = leaseState.available
    this.available++
  }

  #remove(slot: number): void {
    if (this.table.state[slot] === leaseState.available) this.available--
    this.table.remove(slot)
    if (this.table.count === 0) this.deadlineMin = Number.POSITIVE_INFINITY
  }

  #rememberAttempt(attemptId: string, offsets: readonly number[]): void {
    this.#attemptIds.delete(attemptId)
    this.#attemptIds.set(attemptId, offsets)
    if (this.#attemptIds.size <= ATTEMPT_IDS_MAX) return
    const [oldest] = this.#attemptIds.keys()
    if (oldest !== undefined) this.#attemptIds.delete(oldest)
  }
}
