import {
  decideAck,
  decideExtend,
  decideRestore,
  type Extension,
  heldSlot,
  type Now,
} from '../../machines/consumer-group/deliveries.decider.ts'
import { causeCodes, leaseState } from '../../machines/consumer-group/deliveries.ts'
import {
  type Look,
  planReceive,
  type ReceivePlan,
} from '../../machines/consumer-group/receive.decider.ts'
import type { DeliveryFact } from '../../model/delivery/facts.ts'
import { deliveryLimits } from '../../model/delivery/limits.ts'
import type { ReceiptHandle } from '../../model/delivery/receipt-handle.ts'
import { BrokerError } from '../../model/errors.ts'
import type { StoredMessage } from '../../model/message/message.ts'
import type { Clock, Delivery, ReceiveRequest, ReceiveResult } from '../../model/ports.ts'
import { encodeDeliveryFact } from '../../storage/codec/delivery-fact.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { SessionBook } from '../session/session-book.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { DeliveriesCell } from './deliveries-cell.ts'
import { MessageReader } from './message-reader.ts'
import type { Subscription } from './subscription.ts'

export interface ReceiverLimits {
  /** Unacknowledged messages per group and queue; redeliveries go on beyond it. */
  readonly unackedMax: number
  /** New messages looked at per queue in one plan. */
  readonly scanMax: number
}

export interface ReceiverDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly clock: Clock
  readonly sessions: SessionBook
  readonly deadLetters: DeadLetters
  readonly limits: ReceiverLimits
}

/** Rounds of loading for one look before the caller is told to come again. */
const LOAD_ROUNDS_MAX = 16
/** Upper bound of what one acknowledgement takes in the log. */
const FACT_BYTES = 64
/** Upper bound of what one queue's facts of a receive take in the log. */
const RECEIVE_BYTES = 8 << 10

interface Found {
  readonly deliveries: Delivery[]
  readonly loads: Promise<unknown>[]
  filteredOut: boolean
  hasMore: boolean
}

interface LookInto {
  readonly reader: MessageReader
  readonly found: Found
  /** What was read and may be delivered, by offset. */
  readonly messages: Map<number, StoredMessage>
}

/** Receive, acknowledge and extend: decisions on deliveries, admitted as buffered facts. */
export class Receiver {
  readonly #deps: ReceiverDeps

  constructor(deps: ReceiverDeps) {
    this.#deps = deps
  }

  /** Takes what is there, or waits for it. Never answers early, and always in the end. */
  async receive(subscription: Subscription, request: ReceiveRequest): Promise<ReceiveResult> {
    try {
      return await this.#receive(subscription, request)
    } catch (error) {
      // It may have been woken for a message that is still there for somebody else.
      subscription.parked.passOn()
      throw error
    }
  }

  async ack(cell: DeliveriesCell, handle: ReceiptHandle): Promise<void> {
    await this.#room()
    const now = this.#now()
    this.#expire(cell, now)
    const fact = decideAck(cell.deliveries, handle, now)
    if (fact === undefined) return
    const wasFull = cell.deliveries.unacked >= this.#deps.limits.unackedMax
    this.#admit(cell, fact)
    this.#wakeFreed(cell, wasFull)
  }

  async extend(
    cell: DeliveriesCell,
    handle: ReceiptHandle,
    extension: Extension,
  ): Promise<ReceiptHandle> {
    await this.#room()
    const now = this.#now()
    this.#expire(cell, now)
    const fact = decideExtend(cell.deliveries, handle, extension, now)
    this.#admit(cell, fact)
    this.#subscriptionOf(cell)?.parked.wakeAt(cell.deliveries.deadlineMin)
    const { generation, invisibleUntilMs } = fact
    return { ...handle, generation, invisibleUntilMs }
  }

  /** The slot that a handle names; -1 when the message is acknowledged. Throws when it is late. */
  held(cell: DeliveriesCell, handle: ReceiptHandle): number {
    const now = this.#now()
    this.#expire(cell, now)
    const restored = decideRestore(cell.deliveries, handle, now)
    if (restored) this.#admit(cell, restored)
    return heldSlot(cell.deliveries, handle, now)
  }

  /** Leases that the session renewed become visible within a second. */
  loseSession(session: number, subscriptions: Iterable<Subscription>): void {
    const now = this.#now()
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
          this.#note(cell, this.#extendedFact(cell, slot, now.wallMs + invisibleMs, 'sessionLost'))
        subscription.parked.wakeAt(cell.deliveries.deadlineMin)
      }
    }
  }

  // ——— looking

  async #receive(subscription: Subscription, request: ReceiveRequest): Promise<ReceiveResult> {
    const { clock } = this.#deps
    const untilMs = clock.monotonicMs() + request.waitMs
    let reader = this.#reader(subscription)
    let first = subscription.turn++
    let rounds = 0
    let filteredOut = false
    for (;;) {
      // Looking and parking are one turn, so that nothing becomes visible in between.
      const found = this.#look(subscription, request, reader, first)
      filteredOut ||= found.filteredOut
      if (found.deliveries.length > 0) {
        // What was taken is delivered; loads of further queues only warm the cache.
        void Promise.allSettled(found.loads)
        subscription.parked.passOn()
        if (request.signal?.aborted) return this.#giveBack(subscription, found.deliveries)
        return { deliveries: found.deliveries, filteredOut: false }
      }
      if (found.loads.length > 0) {
        await Promise.all(found.loads)
        if (++rounds < LOAD_ROUNDS_MAX) continue
        throw new BrokerError('THROTTLED', { reason: 'messages are being loaded, come again' })
      }
      rounds = 0
      first = subscription.turn++
      reader = this.#reader(subscription)
      subscription.parked.passOn()
      const leftMs = untilMs - clock.monotonicMs()
      if (leftMs <= 0 || request.signal?.aborted) return { deliveries: [], filteredOut }
      if (found.hasMore) {
        // A selective filter goes on in later turns, so that it cannot hold up everybody else.
        await new Promise<void>((resolve) => clock.soon(resolve))
        continue
      }
      const parking = subscription.parked.park(leftMs, request.signal)
      subscription.parked.wakeAt(subscription.deadlineMin)
      if ((await parking) !== 'woken') return { deliveries: [], filteredOut }
    }
  }

  #reader({ topic }: Subscription): MessageReader {
    return new MessageReader(this.#deps.log, topic.name)
  }

  /** One turn: everything decided here is decided on one state. */
  #look(
    subscription: Subscription,
    request: ReceiveRequest,
    reader: MessageReader,
    first: number,
  ): Found {
    subscription.topic.gate.pass()
    subscription.group.gate.pass()
    const found: Found = { deliveries: [], loads: [], filteredOut: false, hasMore: false }
    if (request.attemptId !== undefined)
      this.#repeat(subscription, request.attemptId, reader, found)
    if (found.deliveries.length > 0 || found.loads.length > 0) return found
    const { queues } = subscription.topic
    for (let step = 0; step < queues.length; step++) {
      const queue = queues[(first + step) % queues.length] as ConsumeQueue
      if (!this.#mayHave(subscription, queue)) continue
      // Nothing may fail behind the first lease: its messages would be hidden, not delivered.
      if (found.deliveries.length > 0 && !this.#deps.log.hasRoom(RECEIVE_BYTES)) break
      this.#takeFrom(subscription, queue, request, reader, found)
      if (found.loads.length > 0 || found.deliveries.length >= request.batchMax) break
    }
    return found
  }

  #mayHave(subscription: Subscription, queue: ConsumeQueue): boolean {
    const cell = subscription.cell(queue.queueId)
    if (cell === undefined) return queue.offsetMax > queue.offsetMin
    return cell.deliveries.next < queue.offsetMax || cell.deliveries.unacked > 0
  }

  #takeFrom(
    subscription: Subscription,
    queue: ConsumeQueue,
    request: ReceiveRequest,
    reader: MessageReader,
    found: Found,
  ): void {
    this.#checkRoom()
    const cell = this.#cellFor(subscription, queue)
    this.#expire(cell, this.#now())
    const messages = new Map<number, StoredMessage>()
    const plan = planReceive(
      cell.deliveries,
      {
        offsetMax: queue.offsetMax,
        isOrdered: queue.isOrdered,
        look: (offset) => this.#lookAt(queue, offset, request, { reader, found, messages }),
        groupHash: (offset) => {
          const hash = queue.groupHash(offset)
          if (hash === undefined) reader.loadUnit(queue, offset, found.loads)
          return hash
        },
      },
      {
        batchMax: Math.min(request.batchMax, deliveryLimits.batchMax) - found.deliveries.length,
        unackedMax: this.#deps.limits.unackedMax,
        scanMax: this.#deps.limits.scanMax,
        attemptsMax: subscription.group.settings.attemptsMax,
      },
    )
    if (plan.isIncomplete) return
    if (plan.hasMore && plan.offsets.length === 0) found.hasMore = true
    for (const offset of plan.exhausted) this.#deadLetter(subscription, cell, offset)
    if (plan.skipped.length > 0) {
      found.filteredOut = true
      this.#admit(cell, { type: 'acked', runs: plan.skipped })
    }
    if (plan.offsets.length > 0) this.#lease(subscription, cell, request, plan, { found, messages })
  }

  #lookAt(
    queue: ConsumeQueue,
    offset: number,
    { filter }: ReceiveRequest,
    { reader, found, messages }: LookInto,
  ): Look {
    const unit = queue.unit(offset)
    if (unit === undefined) {
      reader.loadUnit(queue, offset, found.loads)
      return 'load'
    }
    if (!filter.mayMatch(unit.tagsCode)) return 'skip'
    const message = reader.read(unit, found.loads)
    if (message === undefined) return 'load'
    if (!filter.isAll && !filter.matches(message.system, message.properties)) return 'skip'
    messages.set(offset, message)
    return 'take'
  }

  #lease(
    subscription: Subscription,
    cell: DeliveriesCell,
    request: ReceiveRequest,
    plan: ReceivePlan,
    { found, messages }: Omit<LookInto, 'reader'>,
  ): void {
    const { deliveries } = cell
    const invisibleUntilMs = Math.ceil(this.#deps.clock.wallMs() + request.invisibleMs)
    const causes = plan.offsets.map((offset) => {
      const slot = deliveries.table.find(offset)
      return slot < 0 ? 0 : (deliveries.table.cause[slot] as number)
    })
    const session = request.autoRenew
      ? this.#deps.sessions.hold(request.clientId ?? '', subscription)
      : 0
    this.#admit(
      cell,
      {
        type: 'leased',
        runs: plan.leases,
        invisibleUntilMs,
        autoRenew: request.autoRenew ?? false,
        attemptId: request.attemptId ?? '',
      },
      session,
    )
    plan.offsets.forEach((offset, index) => {
      const slot = deliveries.table.find(offset)
      const attempt = deliveries.table.attempt[slot] as number
      const cause = attempt === 1 ? 'first' : (causeCodes[causes[index] as number] ?? 'deadline')
      found.deliveries.push(
        this.#delivery(subscription, cell, slot, messages.get(offset) as StoredMessage, cause),
      )
    })
  }

  /** The answer to this attempt was lost: the same batch again, under the same handles. */
  #repeat(
    subscription: Subscription,
    attemptId: string,
    reader: MessageReader,
    found: Found,
  ): void {
    for (const cell of subscription.cells) {
      const queue = cell && subscription.topic.queues[cell.address.queueId]
      if (cell === undefined || queue === undefined) continue
      for (const offset of cell.deliveries.offsetsOfAttempt(attemptId) ?? []) {
        const slot = cell.deliveries.table.find(offset)
        if (slot < 0 || cell.deliveries.table.state[slot] !== leaseState.leased) continue
        if ((cell.deliveries.table.deadline[slot] as number) <= this.#now().monotonicMs) continue
        const unit = queue.unit(offset)
        if (unit === undefined) reader.loadUnit(queue, offset, found.loads)
        const message = unit && reader.read(unit, found.loads)
        if (message === undefined) continue
        found.deliveries.push(this.#delivery(subscription, cell, slot, message, 'repeatedAttempt'))
      }
    }
    if (found.loads.length > 0) found.deliveries.length = 0
  }

  #delivery(
    subscription: Subscription,
    cell: DeliveriesCell,
    slot: number,
    message: StoredMessage,
    cause: Delivery['cause'],
  ): Delivery {
    const { table } = cell.deliveries
    const attempt = table.attempt[slot] as number
    const skewMs = this.#skewMs()
    subscription.messagesOut++
    subscription.bytesOut += message.body.length
    const { causes } = subscription.group
    if (cause !== 'first') causes.set(cause, (causes.get(cause) ?? 0) + 1)
    return {
      message,
      attempt,
      cause,
      handle: {
        topicId: cell.address.topicId,
        groupId: cell.address.groupId,
        queueId: cell.address.queueId,
        queueOffset: message.queueOffset,
        attempt,
        generation: table.generation[slot] as number,
        invisibleUntilMs: Math.ceil((table.deadline[slot] as number) - skewMs),
        epoch: this.#deps.log.epoch,
      },
    }
  }

  // ——— facts

  /** Leases that ended become available; those of a living session that renews are renewed. */
  #expire(cell: DeliveriesCell, now: Now): void {
    const { table } = cell.deliveries
    const renewed: number[] = []
    cell.deliveries.expire(now.monotonicMs, (slot) => {
      const isRenewed =
        table.autoRenew[slot] === 1 &&
        (table.renewals[slot] as number) < RENEWALS_MAX &&
        this.#deps.sessions.isAlive(table.session[slot] as number)
      if (!isRenewed) return undefined
      table.renewals[slot] = (table.renewals[slot] as number) + 1
      renewed.push(slot)
      return now.monotonicMs + deliveryLimits.autoRenewInvisibleMs
    })
    const untilMs = now.wallMs + deliveryLimits.autoRenewInvisibleMs
    for (const slot of renewed) this.#note(cell, this.#extendedFact(cell, slot, untilMs, 'renewed'))
  }

  #extendedFact(
    { deliveries: { table } }: DeliveriesCell,
    slot: number,
    untilMs: number,
    cause: 'renewed' | 'sessionLost',
  ): DeliveryFact {
    return {
      type: 'extended',
      queueOffset: table.offset[slot] as number,
      attempt: table.attempt[slot] as number,
      generation: table.generation[slot] as number,
      invisibleUntilMs: Math.ceil(untilMs),
      cause,
    }
  }

  /** A group begins at a queue's first message; where that is not 0, a fact says so. */
  #cellFor(subscription: Subscription, queue: ConsumeQueue): DeliveriesCell {
    const known = subscription.cell(queue.queueId)
    if (known) return known
    const cell = subscription.ensureCell(queue.queueId)
    if (queue.offsetMin > 0) this.#admit(cell, { type: 'acked', runs: [0, queue.offsetMin] })
    return cell
  }

  #deadLetter(subscription: Subscription, cell: DeliveriesCell, offset: number): void {
    const slot = cell.deliveries.table.find(offset)
    if (slot < 0) return
    cell.deliveries.holdForDeadLetter(slot)
    this.#deps.deadLetters.take(subscription, cell, offset, 'attempts used up')
  }

  #admit(cell: DeliveriesCell, fact: DeliveryFact, session = 0): void {
    const { log, state } = this.#deps
    const { chunk, at } = log.admitBuffered(encodeDeliveryFact(cell.address, fact))
    state.foldDelivery(cell, fact, {
      position: chunk.offset + at,
      skewMs: this.#skewMs(),
      session,
    })
  }

  /** As `admit`, but believed without a place in the log when there is none: nobody asked for it. */
  #note(cell: DeliveriesCell, fact: DeliveryFact): void {
    const { log } = this.#deps
    if (log.mode !== 'closed' && log.hasRoom(FACT_BYTES)) this.#admit(cell, fact)
    else cell.deliveries.fold(fact, { skewMs: this.#skewMs(), session: 0 })
  }

  /**
   * Messages that were leased for a call that is gone are visible at once, and as they were:
   * nobody has seen them, so it was no attempt.
   */
  #giveBack(subscription: Subscription, deliveries: readonly Delivery[]): ReceiveResult {
    for (const { handle } of deliveries) {
      const cell = subscription.cell(handle.queueId)
      if (cell === undefined) continue
      this.#note(cell, {
        type: 'extended',
        queueOffset: handle.queueOffset,
        attempt: handle.attempt - 1,
        generation: 0,
        invisibleUntilMs: Math.ceil(this.#deps.clock.wallMs()),
        cause: 'extended',
      })
      subscription.parked.wakeAt(cell.deliveries.deadlineMin)
    }
    return { deliveries: [], filteredOut: false }
  }

  /** An acknowledgement may free the next message of a message group, or make room. */
  #wakeFreed(cell: DeliveriesCell, wasFull: boolean): void {
    const subscription = this.#subscriptionOf(cell)
    const queue = subscription?.topic.queues[cell.address.queueId]
    if (wasFull || queue?.isOrdered) subscription?.parked.wake()
  }

  #subscriptionOf({ address }: DeliveriesCell): Subscription | undefined {
    return this.#deps.state.groups.get(address.groupId)?.subscriptions.get(address.topicId)
  }

  #checkRoom(): void {
    const { log } = this.#deps
    if (log.mode !== 'writing')
      throw new BrokerError('THROTTLED', { reason: 'the store is being reopened' })
    if (!log.hasRoom(RECEIVE_BYTES))
      throw new BrokerError('THROTTLED', { reason: 'leases wait for the disk' })
  }

  async #room(): Promise<void> {
    const { log } = this.#deps
    if (log.hasRoom(FACT_BYTES)) return
    await log.whenRoom()
    if (!log.hasRoom(FACT_BYTES))
      throw new BrokerError('THROTTLED', { reason: 'acknowledgements wait for the disk' })
  }

  #now(): Now {
    const { clock } = this.#deps
    return { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() }
  }

  #skewMs(): number {
    const { clock } = this.#deps
    return clock.monotonicMs() - clock.wallMs()
  }
}

const RENEWALS_MAX = Math.floor(deliveryLimits.autoRenewMsMax / deliveryLimits.autoRenewInvisibleMs)
