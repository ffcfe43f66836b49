import type { Now } from '../../machines/consumer-group/deliveries.decider.ts'
import type { DeliveryFact, ExtendedFact } from '../../model/delivery/facts.ts'
import { deliveryLimits } from '../../model/delivery/limits.ts'
import { BrokerError } from '../../model/errors.ts'
import type { Clock, Delivery } from '../../model/ports.ts'
import { encodeDeliveryFact } from '../../storage/codec/delivery-fact.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { SessionBook } from '../session/session-book.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { DeliveriesCell } from './deliveries-cell.ts'
import type { Subscription } from './subscription.ts'

export interface LeasesDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly clock: Clock
  readonly sessions: SessionBook
  /** `sync`: leases and acknowledgements are answered when they are on disk. */
  readonly ackFlush: AckFlush
}

export type AckFlush = 'async' | 'sync'

/** Upper bound of what one acknowledgement takes in the log. */
const FACT_BYTES = 96
/** Upper bound of what one queue's facts of a receive take in the log. */
const RECEIVE_BYTES = 8 << 10
const RENEWALS_MAX = Math.floor(deliveryLimits.autoRenewMsMax / deliveryLimits.autoRenewInvisibleMs)
/** Who meets a reset of offsets waits so long for it to be synced. */
const RESET_WAIT_MS = 2_000

/** How delivery facts come about: decided by whoever calls, admitted and folded in one turn. */
export class Leases {
  readonly #deps: LeasesDeps

  constructor(deps: LeasesDeps) {
    this.#deps = deps
  }

  now(): Now {
    const { clock } = this.#deps
    return { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() }
  }

  /** Add to a wall deadline to get a monotonic one. */
  get skewMs(): number {
    const { clock } = this.#deps
    return clock.monotonicMs() - clock.wallMs()
  }

  get epoch(): number {
    return this.#deps.log.epoch
  }

  // ——— room

  get hasRoom(): boolean {
    return this.#deps.log.hasRoom(RECEIVE_BYTES)
  }

  /** Throws `THROTTLED` unless a receive may lease now. */
  checkRoom(): void {
    if (this.#deps.log.mode !== 'writing') throw throttled('the store is being reopened')
    if (!this.hasRoom) throw throttled('leases wait for the disk')
  }

  /** Resolves when an acknowledgement finds room, and its deliveries stand still. */
  async room(cell: DeliveriesCell): Promise<void> {
    const { log } = this.#deps
    if (cell.isResetting) await this.#resetSettled(cell)
    if (log.hasRoom(FACT_BYTES)) return
    await log.whenRoom()
    if (!log.hasRoom(FACT_BYTES)) throw throttled('acknowledgements wait for the disk')
  }

  /** With `ackFlush: sync`, resolves when everything admitted so far is on disk. */
  async flushed(): Promise<void> {
    if (this.#deps.ackFlush === 'sync') await this.#deps.log.flush()
  }

  // ——— facts

  admit(cell: DeliveriesCell, fact: DeliveryFact): void {
    const { log, state } = this.#deps
    const { chunk, at } = log.admitBuffered(encodeDeliveryFact(cell.address, fact))
    state.foldDelivery(cell, fact, { position: chunk.offset + at, skewMs: this.skewMs })
  }

  /**
   * As `admit`, but believed without a place in the log when there is none, or when a reset has
   * its place already: nobody asked for it.
   */
  note(cell: DeliveriesCell, fact: DeliveryFact): void {
    const { log } = this.#deps
    if (log.mode !== 'closed' && !cell.isResetting && log.hasRoom(FACT_BYTES))
      this.admit(cell, fact)
    else cell.deliveries.fold(fact, { skewMs: this.skewMs })
  }

  /** Leases that ended become available; those of a living session that renews are renewed. */
  expire(cell: DeliveriesCell, now: Now): void {
    const { deliveries } = cell
    this.#renewing(cell, now, (renew) => deliveries.expire(now.monotonicMs, renew))
  }

  /** As `expire`, of one message. */
  expireAt(cell: DeliveriesCell, offset: number, now: Now): void {
    const { deliveries } = cell
    this.#renewing(cell, now, (renew) => deliveries.expireAt(offset, now.monotonicMs, renew))
  }

  #renewing(
    cell: DeliveriesCell,
    now: Now,
    expire: (renew: (slot: number) => number | undefined) => void,
  ): void {
    const renewed: number[] = []
    expire((slot) => {
      if (!this.#isRenewed(cell, slot)) return undefined
      renewed.push(slot)
      return now.monotonicMs + deliveryLimits.autoRenewInvisibleMs
    })
    const untilMs = now.wallMs + deliveryLimits.autoRenewInvisibleMs
    for (const slot of renewed) this.note(cell, extendedFact(cell, slot, untilMs, 'renewed'))
  }

  /** Messages that somebody has now: what ended counts no more, though nobody looked since. */
  inFlight(cell: DeliveriesCell): number {
    const { deliveries } = cell
    const { monotonicMs } = this.now()
    return (
      deliveries.inFlight - deliveries.endedBy(monotonicMs, (slot) => this.#isRenewed(cell, slot))
    )
  }

  /** The first message that nobody has; undefined when there is none. */
  firstReady(cell: DeliveriesCell): number | undefined {
    const { monotonicMs } = this.now()
    return cell.deliveries.firstReady(monotonicMs, (slot) => this.#isRenewed(cell, slot))
  }

  #isRenewed({ deliveries: { table } }: DeliveriesCell, slot: number): boolean {
    return (
      table.autoRenew[slot] === 1 &&
      (table.renewals[slot] as number) < RENEWALS_MAX &&
      this.#deps.sessions.isAlive(table.session[slot] as number)
    )
  }

  /** Leases that the session renewed become visible within a second. */
  loseSession(session: number, subscriptions: Iterable<Subscription>): void {
    const now = this.now()
    const invisibleMs = deliveryLimits.sessionLostMs
    for (const subscription of subscriptions) {
      for (const cell of subscription.cells) {
        if (cell === undefined) continue
        const { table } = cell.deliveries
        const lost: number[] = []
        cell.deliveries.loseSession(session, now.monotonicMs + invisibleMs, (slot) => {
          if (table.autoRenew[slot] === 1) lost.push(slot)
        })
        for (const slot of lost)
          this.note(cell, extendedFact(cell, slot, now.wallMs + invisibleMs, 'sessionLost'))
        subscription.parked.wakeAt(cell.deliveries.deadlineMin)
      }
    }
  }

  /**
   * Messages that were leased for a call that is gone are visible at once, and as they were:
   * nobody has seen them, so it was no attempt.
   */
  giveBack(subscription: Subscription, deliveries: readonly Delivery[]): void {
    for (const { handle } of deliveries) {
      const cell = subscription.cell(handle.queueId)
      if (cell === undefined || handle.resets !== cell.deliveries.resets) continue
      this.note(cell, {
        type: 'extended',
        queueOffset: handle.queueOffset,
        attempt: handle.attempt - 1,
        generation: 0,
        invisibleUntilMs: Math.ceil(this.#deps.clock.wallMs()),
        cause: 'extended',
        epoch: handle.epoch,
      })
      subscription.parked.wakeAt(cell.deliveries.deadlineMin)
    }
  }

  // ——— where a group begins

  /**
   * A group that begins with the latest begins on all queues at once, at its first receive: a
   * fact says where, so that what is stored from then on is its own.
   */
  begin(subscription: Subscription): void {
    const { group, topic } = subscription
    if (group.settings.startFrom === 'earliest' || subscription.hasBegun) return
    this.checkRoom()
    for (const queue of topic.queues) {
      const runs = queue.offsetMax > 0 ? [0, queue.offsetMax] : []
      this.admit(subscription.ensureCell(queue.queueId), { type: 'acked', runs })
    }
  }

  /** A group begins at a queue's first message; where that is not 0, a fact says so. */
  cellFor(subscription: Subscription, queue: ConsumeQueue): DeliveriesCell {
    const known = subscription.cell(queue.queueId)
    if (known) return known
    const cell = subscription.ensureCell(queue.queueId)
    if (queue.offsetMin > 0) this.admit(cell, { type: 'acked', runs: [0, queue.offsetMin] })
    return cell
  }

  async #resetSettled(cell: DeliveriesCell): Promise<void> {
    const { clock, log } = this.#deps
    const untilMs = clock.monotonicMs() + RESET_WAIT_MS
    while (cell.isResetting) {
      if (clock.monotonicMs() >= untilMs) throw throttled('the offsets are being reset')
      await log.whenRoom()
    }
  }
}

const throttled = (reason: string) => new BrokerError('THROTTLED', { reason })

const extendedFact = (
  { deliveries: { table } }: DeliveriesCell,
  slot: number,
  untilMs: number,
  cause: 'renewed' | 'sessionLost',
): ExtendedFact => ({
  type: 'extended',
  queueOffset: table.offset[slot] as number,
  attempt: table.attempt[slot] as number,
  generation: table.generation[slot] as number,
  invisibleUntilMs: Math.ceil(untilMs),
  cause,
  epoch: table.epoch[slot] as number,
})
