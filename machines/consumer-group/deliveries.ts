import { type DeliveryCause, deliveryCauses } from '../../model/delivery/causes.ts'
import type {
  AttemptEntry,
  DeliveriesState,
  DeliveryFact,
  ExtendedFact,
  LeasedFact,
  UnackedEntry,
} from '../../model/delivery/facts.ts'
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

const codeOf = (cause: DeliveryCause): number => deliveryCauses.indexOf(cause)

const ATTEMPT_IDS_MAX = 256
/** Above so many, clients without leases are forgotten. */
const CLIENTS_KEPT = 64

export interface FoldContext {
  /** Add to a wall deadline to get a monotonic one. */
  readonly skewMs: number
  /** The number of the session that renews a client's leases; 0 for none. */
  readonly sessionOf?: (clientId: string) => number
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
  /** How often the offsets were reset. */
  resets = 0
  /** What is below and not delivered since the last reset comes because of it. */
  resetEnd = 0
  /** `[offset, attempt]` pairs, flat, by attempt id. */
  readonly #attempts = new Map<string, readonly number[]>()
  /** Whose sessions the table's numbers are. */
  readonly #clients = new Map<number, string>()

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

  /** How many leases ended by `nowMs` and were not yet looked at since, without those renewed. */
  endedBy(nowMs: number, isRenewed: (slot: number) => boolean): number {
    if (nowMs < this.deadlineMin) return 0
    const { table } = this
    let count = 0
    for (let slot = table.head; slot < table.tail; slot++) {
      if (table.state[slot] !== leaseState.leased) continue
      if ((table.deadline[slot] as number) <= nowMs && !isRenewed(slot)) count++
    }
    return count
  }

  /** The first message that is available, or whose lease ended; undefined when there is none. */
  firstReady(nowMs: number, isRenewed: (slot: number) => boolean): number | undefined {
    const { table } = this
    for (let slot = table.head; slot < table.tail; slot++) {
      const state = table.state[slot]
      const hasEnded = state === leaseState.leased && (table.deadline[slot] as number) <= nowMs
      if (state === leaseState.available || (hasEnded && !isRenewed(slot)))
        return table.offset[slot]
    }
    return undefined
  }

  /** What is still leased of the batch that this attempt id was given. */
  offsetsOfAttempt(attemptId: string): number[] {
    return this.#leasedOf(this.#attempts.get(attemptId) ?? []).filter((_, at) => at % 2 === 0)
  }

  /** Why the message is delivered when it is delivered now. */
  causeOf(offset: number): DeliveryCause {
    const slot = this.table.find(offset)
    const cause = slot < 0 ? 'first' : (deliveryCauses[this.table.cause[slot] as number] ?? 'first')
    return cause === 'first' && offset < this.resetEnd ? 'reset' : cause
  }

  /** Folding never refuses: what does not apply any more changes nothing. */
  fold(fact: DeliveryFact, context: FoldContext): void {
    switch (fact.type) {
      case 'leased':
        this.#foldLeased(fact, context)
        return
      case 'extended':
        this.#foldExtended(fact, fact.invisibleUntilMs + context.skewMs)
        return
      case 'acked':
        for (let index = 0; index < fact.runs.length; index += 2)
          this.#foldAcked(fact.runs[index] as number, fact.runs[index + 1] as number)
        return
      case 'carried':
        this.restore(fact, context)
        return
      case 'reset':
        this.#foldReset(fact.next)
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
      if (this.#expireSlot(slot, nowMs, renew)) continue
      deadlineMin = Math.min(deadlineMin, table.deadline[slot] as number)
    }
    this.deadlineMin = deadlineMin
  }

  /** As `expire`, of one message: an acknowledgement must not cost a look at all of them. */
  expireAt(offset: number, nowMs: number, renew: (slot: number) => number | undefined): void {
    const slot = this.table.find(offset)
    if (slot >= 0 && this.table.state[slot] === leaseState.leased)
      this.#expireSlot(slot, nowMs, renew)
  }

  /** True when the lease ended. */
  #expireSlot(slot: number, nowMs: number, renew: (slot: number) => number | undefined): boolean {
    if ((this.table.deadline[slot] as number) > nowMs) return false
    const renewed = renew(slot)
    if (renewed === undefined) this.#makeAvailable(slot)
    else this.table.deadline[slot] = renewed
    return renewed === undefined
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

  /** True while a lease here is renewed by this session. */
  isHeldBy(session: number): boolean {
    const { table } = this
    for (let slot = table.head; slot < table.tail; slot++)
      if (table.state[slot] === leaseState.leased && table.session[slot] === session)
        if (table.autoRenew[slot] === 1) return true
    return false
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
    const attempts: AttemptEntry[] = []
    this.#forgetAttempts()
    for (const [attemptId, leases] of this.#attempts) attempts.push({ attemptId, leases })
    for (let slot = table.head; slot < table.tail; slot++) {
      const state = table.state[slot]
      if (state === leaseState.removed || state === leaseState.deadLettered) continue
      const leased = state === leaseState.leased
      const renews = leased && table.autoRenew[slot] === 1
      unacked.push({
        queueOffset: table.offset[slot] as number,
        attempt: table.attempt[slot] as number,
        generation: table.generation[slot] as number,
        invisibleUntilMs: leased ? Math.ceil((table.deadline[slot] as number) - skewMs) : 0,
        autoRenew: table.autoRenew[slot] === 1,
        cause: deliveryCauses[table.cause[slot] as number] ?? 'first',
        epoch: table.epoch[slot] as number,
        clientId: (renews && this.#clients.get(table.session[slot] as number)) || '',
        renewals: table.renewals[slot] as number,
      })
    }
    const { next, resets } = this
    const resetEnd = this.resetEnd > this.floor ? this.resetEnd : 0
    return { next, resets, resetEnd, attempts, unacked }
  }

  restore(state: DeliveriesState, { skewMs, sessionOf }: FoldContext): void {
    this.#forget()
    this.next = state.next
    this.resets = state.resets
    this.resetEnd = state.resetEnd
    for (const { attemptId, leases } of state.attempts) this.#attempts.set(attemptId, leases)
    for (const entry of state.unacked) {
      const slot = this.table.push(entry.queueOffset)
      this.table.attempt[slot] = entry.attempt
      this.table.generation[slot] = entry.generation
      this.table.autoRenew[slot] = entry.autoRenew ? 1 : 0
      this.table.cause[slot] = codeOf(entry.cause)
      this.table.epoch[slot] = entry.epoch
      this.table.renewals[slot] = entry.renewals
      this.table.session[slot] = this.#sessionOf(entry.clientId, sessionOf)
      if (entry.invisibleUntilMs === 0) {
        this.table.state[slot] = leaseState.available
        this.available++
      } else this.#lease(slot, entry.invisibleUntilMs + skewMs)
    }
  }

  #foldLeased(fact: LeasedFact, { skewMs, sessionOf }: FoldContext): void {
    const { table } = this
    const deadline = fact.invisibleUntilMs + skewMs
    const session = this.#sessionOf(fact.clientId, sessionOf)
    const leases: number[] = []
    for (let index = 0; index < fact.runs.length; index += 3) {
      const start = fact.runs[index] as number
      const end = start + (fact.runs[index + 1] as number)
      for (let offset = start; offset < end; offset++) {
        const slot = this.#slotFor(offset)
        if (slot < 0) continue
        if (table.state[slot] === leaseState.available) this.available--
        const attempt = fact.runs[index + 2] as number
        table.attempt[slot] = attempt
        table.generation[slot] = 0
        table.autoRenew[slot] = fact.autoRenew ? 1 : 0
        table.renewals[slot] = 0
        table.session[slot] = session
        table.epoch[slot] = fact.epoch
        table.cause[slot] = codeOf('deadline')
        this.#lease(slot, deadline)
        leases.push(offset, attempt)
      }
    }
    if (fact.attemptId !== '') this.#rememberAttempt(fact.attemptId, leases)
  }

  #foldExtended(fact: ExtendedFact, deadline: number): void {
    const { table } = this
    const { cause, attempt } = fact
    // Ahead when a crash lost the lease that is extended.
    const ahead = this.next
    const slot = this.#slotFor(fact.queueOffset)
    if (slot < 0) return
    if (table.state[slot] === leaseState.available) this.available--
    table.attempt[slot] = attempt
    table.generation[slot] = fact.generation
    if (fact.epoch > 0) table.epoch[slot] = fact.epoch
    if (cause === 'negativeAck' || cause === 'sessionLost') table.cause[slot] = codeOf(cause)
    // Given back before anybody saw it: no delivery at all.
    if (cause === 'extended' && attempt === 0) table.cause[slot] = codeOf('first')
    if (cause === 'recovered') this.#foldRecovered(ahead, slot)
    if (cause === 'renewed') table.renewals[slot] = (table.renewals[slot] as number) + 1
    // Whoever asks for a deadline of its own gets it: the session does not renew it any more.
    else table.autoRenew[slot] = 0
    this.#lease(slot, deadline)
  }

  /** Queues are read in order: what stands before a lost lease was most likely lost with it. */
  #foldRecovered(ahead: number, recovered: number): void {
    const { table } = this
    table.cause[recovered] = codeOf('deadline')
    for (let slot = table.lowerBound(ahead); slot < recovered; slot++)
      if (table.state[slot] === leaseState.available) table.cause[slot] = codeOf('crashRecovery')
  }

  #foldReset(next: number): void {
    const resetEnd = Math.max(this.resetEnd, this.next)
    this.#forget()
    this.next = next
    this.resetEnd = resetEnd
    this.resets++
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

  #rememberAttempt(attemptId: string, leases: readonly number[]): void {
    this.#attempts.delete(attemptId)
    this.#attempts.set(attemptId, leases)
    if (this.#attempts.size <= ATTEMPT_IDS_MAX) return
    this.#forgetAttempts()
    const [oldest] = this.#attempts.keys()
    if (this.#attempts.size > ATTEMPT_IDS_MAX && oldest !== undefined) this.#attempts.delete(oldest)
  }

  /** An attempt of which nothing is leased any more gets a new batch when it is repeated. */
  #forgetAttempts(): void {
    for (const [attemptId, leases] of this.#attempts) {
      const left = this.#leasedOf(leases)
      if (left.length === 0) this.#attempts.delete(attemptId)
      else this.#attempts.set(attemptId, left)
    }
  }

  #leasedOf(leases: readonly number[]): number[] {
    const left: number[] = []
    for (let index = 0; index < leases.length; index += 2) {
      const slot = this.table.find(leases[index] as number)
      const attempt = leases[index + 1] as number
      if (slot < 0 || this.table.state[slot] !== leaseState.leased) continue
      if (this.table.attempt[slot] === attempt)
        left.push(this.table.offset[slot] as number, attempt)
    }
    return left
  }

  #sessionOf(clientId: string, sessionOf: FoldContext['sessionOf']): number {
    const session = clientId === '' ? 0 : (sessionOf?.(clientId) ?? 0)
    if (session === 0 || this.#clients.has(session)) return session
    if (this.#clients.size >= CLIENTS_KEPT) this.#forgetClients()
    this.#clients.set(session, clientId)
    return session
  }

  #forgetClients(): void {
    const { table } = this
    const held = new Set<number>(table.session.subarray(table.head, table.tail))
    for (const session of this.#clients.keys())
      if (!held.has(session)) this.#clients.delete(session)
  }

  #forget(): void {
    this.table.clear()
    this.available = 0
    this.deadlineMin = Number.POSITIVE_INFINITY
    this.#attempts.clear()
    this.#clients.clear()
  }
}
