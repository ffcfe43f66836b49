import {
  decideAck,
  decideExtend,
  decideRestore,
  type Extension,
  heldSlot,
} from '../../machines/consumer-group/deliveries.decider.ts'
import {
  type Look,
  planReceive,
  type ReceivePlan,
} from '../../machines/consumer-group/receive.decider.ts'
import type { DeliveryCause } from '../../model/delivery/causes.ts'
import { pushOffset } from '../../model/delivery/facts.ts'
import { deliveryLimits } from '../../model/delivery/limits.ts'
import type { ReceiptHandle } from '../../model/delivery/receipt-handle.ts'
import { BrokerError } from '../../model/errors.ts'
import type { StoredMessage } from '../../model/message/message.ts'
import type { Clock, Delivery, ReceiveRequest, ReceiveResult } from '../../model/ports.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { SessionBook } from '../session/session-book.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { DeliveriesCell } from './deliveries-cell.ts'
import type { Leases } from './leases.ts'
import { MessageReader } from './message-reader.ts'
import type { Subscription } from './subscription.ts'

export interface ReceiverLimits {
  /** Unacknowledged messages per group and queue; redeliveries go on beyond it. */
  readonly unackedMax: number
  /** The same of all groups and queues together. */
  readonly unackedTotalMax: number
  /** New messages looked at per queue in one plan. */
  readonly scanMax: number
}

export interface ReceiverDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly clock: Clock
  readonly sessions: SessionBook
  readonly deadLetters: DeadLetters
  readonly leases: Leases
  readonly limits: ReceiverLimits
}

/** Rounds of loading for one look before the caller is told to come again. */
const LOAD_ROUNDS_MAX = 16

interface Found {
  readonly deliveries: Delivery[]
  readonly loads: Promise<unknown>[]
  filteredOut: boolean
  hasMore: boolean
  /** New messages wait, but the broker has too many unacknowledged ones. */
  isFull: boolean
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
    const { leases, limits } = this.#deps
    await leases.room(cell)
    this.#restore(cell, handle)
    const fact = decideAck(cell.deliveries, handle, leases.now())
    if (fact) {
      const wasFull = cell.deliveries.unacked >= limits.unackedMax
      leases.admit(cell, fact)
      this.#wakeFreed(cell, wasFull)
    }
    await leases.flushed()
  }

  /** As so many acks, up to 32 of them one fact. Gives what was refused, each in its place. */
  async ackAll(cell: DeliveriesCell, handles: readonly ReceiptHandle[]): Promise<unknown[]> {
    const refused: unknown[] = []
    for (let start = 0; start < handles.length; start += deliveryLimits.batchMax) {
      const batch = handles.slice(start, start + deliveryLimits.batchMax)
      try {
        await this.#deps.leases.room(cell)
        refused.push(...this.#ackBatch(cell, batch))
      } catch (error) {
        refused.push(...batch.map(() => error))
      }
    }
    const failure = await this.#deps.leases.flushed().then(
      () => undefined,
      (error: unknown) => error,
    )
    return refused.map((refusal) => refusal ?? failure)
  }

  #ackBatch(cell: DeliveriesCell, handles: readonly ReceiptHandle[]): unknown[] {
    const { leases, limits } = this.#deps
    const done = new Set<number>()
    const refused = handles.map((handle) => {
      if (done.has(handle.queueOffset)) return undefined
      try {
        this.#restore(cell, handle)
        if (decideAck(cell.deliveries, handle, leases.now())) done.add(handle.queueOffset)
        return undefined
      } catch (error) {
        return error
      }
    })
    if (done.size === 0) return refused
    const runs: number[] = []
    for (const offset of [...done].sort((a, b) => a - b)) pushOffset(runs, offset)
    const wasFull = cell.deliveries.unacked >= limits.unackedMax
    leases.admit(cell, { type: 'acked', runs })
    this.#wakeFreed(cell, wasFull)
    return refused
  }

  async extend(
    cell: DeliveriesCell,
    handle: ReceiptHandle,
    extension: Extension,
  ): Promise<ReceiptHandle> {
    const { leases } = this.#deps
    await leases.room(cell)
    this.#restore(cell, handle)
    const fact = decideExtend(cell.deliveries, handle, extension, leases.now())
    leases.admit(cell, fact)
    this.#subscriptionOf(cell)?.parked.wakeAt(cell.deliveries.deadlineMin)
    const { generation, invisibleUntilMs } = fact
    await leases.flushed()
    return { ...handle, generation, invisibleUntilMs }
  }

  /**
   * Keeps the message that a handle names for its dead letter. False when it is acknowledged;
   * throws when the handle is late.
   */
  async hold(cell: DeliveriesCell, handle: ReceiptHandle): Promise<boolean> {
    const { leases } = this.#deps
    await leases.room(cell)
    this.#restore(cell, handle)
    const slot = heldSlot(cell.deliveries, handle, leases.now())
    if (slot >= 0) cell.deliveries.holdForDeadLetter(slot)
    return slot >= 0
  }

  /** A genuine handle of which we do not know says that a crash has lost its lease. */
  #restore(cell: DeliveriesCell, handle: ReceiptHandle): void {
    const { leases } = this.#deps
    const now = leases.now()
    leases.expireAt(cell, handle.queueOffset, now)
    const restored = decideRestore(cell.deliveries, handle, now)
    if (restored) leases.admit(cell, restored)
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
        return this.#answer(subscription, request, found.deliveries)
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
      if (!subscription.group.settings.paused) subscription.parked.wakeAt(subscription.deadlineMin)
      if ((await parking) !== 'woken') return { deliveries: [], filteredOut }
    }
  }

  /** What was leased for a call that is gone, or could not be flushed, is visible again at once. */
  async #answer(
    subscription: Subscription,
    { signal }: ReceiveRequest,
    deliveries: readonly Delivery[],
  ): Promise<ReceiveResult> {
    const { leases } = this.#deps
    try {
      await leases.flushed()
    } catch (error) {
      leases.giveBack(subscription, deliveries)
      throw error
    }
    if (!signal?.aborted) return { deliveries, filteredOut: false }
    leases.giveBack(subscription, deliveries)
    return { deliveries: [], filteredOut: false }
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
    const found: Found = {
      deliveries: [],
      loads: [],
      filteredOut: false,
      hasMore: false,
      isFull: false,
    }
    if (subscription.group.settings.paused) return found
    this.#deps.leases.begin(subscription)
    if (request.attemptId !== undefined)
      this.#repeat(subscription, request.attemptId, reader, found)
    if (found.deliveries.length > 0 || found.loads.length > 0) return found
    const { queues } = subscription.topic
    for (let step = 0; step < queues.length; step++) {
      const queue = queues[(first + step) % queues.length] as ConsumeQueue
      if (!this.#mayHave(subscription, queue)) continue
      // Nothing may fail behind the first lease: its messages would be hidden, not delivered.
      if (found.deliveries.length > 0 && !this.#deps.leases.hasRoom) break
      this.#takeFrom(subscription, queue, request, reader, found)
      if (found.loads.length > 0 || found.deliveries.length >= request.batchMax) break
    }
    // Who waited for somebody else's acknowledgement would not hear of it.
    const { deliveries, loads, isFull } = found
    if (isFull && deliveries.length === 0 && loads.length === 0)
      throw new BrokerError('THROTTLED', { reason: 'too many messages are unacknowledged' })
    return found
  }

  #mayHave(subscription: Subscription, queue: ConsumeQueue): boolean {
    const cell = subscription.cell(queue.queueId)
    if (cell === undefined) return queue.offsetMax > queue.offsetMin
    if (cell.isResetting) return false
    return cell.deliveries.next < queue.offsetMax || cell.deliveries.unacked > 0
  }

  #takeFrom(
    subscription: Subscription,
    queue: ConsumeQueue,
    request: ReceiveRequest,
    reader: MessageReader,
    found: Found,
  ): void {
    this.#deps.leases.checkRoom()
    const cell = this.#deps.leases.cellFor(subscription, queue)
    this.#deps.leases.expire(cell, this.#deps.leases.now())
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
        unackedMax: this.#unackedMax(cell),
        scanMax: this.#deps.limits.scanMax,
        attemptsMax: subscription.group.settings.attemptsMax,
      },
    )
    if (plan.isIncomplete) return
    if (cell.deliveries.next < queue.offsetMax && this.#isFull) found.isFull = true
    if (plan.hasMore && plan.offsets.length === 0) found.hasMore = true
    for (const offset of plan.exhausted) this.#deadLetter(subscription, cell, offset)
    if (plan.skipped.length > 0) {
      found.filteredOut = true
      this.#deps.leases.admit(cell, { type: 'acked', runs: plan.skipped })
    }
    if (plan.offsets.length > 0) this.#lease(subscription, cell, request, plan, { found, messages })
  }

  get #isFull(): boolean {
    const { limits, state } = this.#deps
    return state.unacked >= limits.unackedTotalMax
  }

  #unackedMax({ deliveries }: DeliveriesCell): number {
    const { limits, state } = this.#deps
    const left = Math.max(0, limits.unackedTotalMax - state.unacked)
    return Math.min(limits.unackedMax, deliveries.unacked + left)
  }

  #lookAt(
    queue: ConsumeQueue,
    offset: number,
    { filter }: ReceiveRequest,
    { reader, found, messages }: LookInto,
  ): Look {
    if (queue.isEnded(offset)) return 'skip'
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
    const { clock, leases, sessions } = this.#deps
    const { deliveries } = cell
    const { clientId = '', autoRenew = false, attemptId = '' } = request
    const causes = plan.offsets.map((offset) => deliveries.causeOf(offset))
    leases.admit(cell, {
      type: 'leased',
      runs: plan.leases,
      invisibleUntilMs: Math.ceil(clock.wallMs() + request.invisibleMs),
      autoRenew,
      attemptId,
      epoch: leases.epoch,
      clientId: autoRenew && sessions.find(clientId) ? clientId : '',
    })
    plan.offsets.forEach((offset, index) => {
      const slot = deliveries.table.find(offset)
      const message = messages.get(offset) as StoredMessage
      const cause = causes[index] as DeliveryCause
      found.deliveries.push(this.#delivery(subscription, cell, slot, message, cause))
    })
    subscription.parked.wakeAt(deliveries.deadlineMin)
  }

  /** The answer to this attempt was lost: what is left of its batch, under the same handles. */
  #repeat(
    subscription: Subscription,
    attemptId: string,
    reader: MessageReader,
    found: Found,
  ): void {
    const { leases } = this.#deps
    const batch: { cell: DeliveriesCell; slot: number; message: StoredMessage }[] = []
    for (const cell of subscription.cells) {
      const queue = cell && subscription.topic.queues[cell.address.queueId]
      if (cell === undefined || queue === undefined || cell.isResetting) continue
      leases.expire(cell, leases.now())
      for (const offset of cell.deliveries.offsetsOfAttempt(attemptId)) {
        const unit = queue.unit(offset)
        if (unit === undefined) reader.loadUnit(queue, offset, found.loads)
        const message = unit && reader.read(unit, found.loads)
        if (message) batch.push({ cell, slot: cell.deliveries.table.find(offset), message })
      }
    }
    if (found.loads.length > 0) return
    for (const { cell, slot, message } of batch)
      found.deliveries.push(this.#delivery(subscription, cell, slot, message, 'repeatedAttempt'))
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
    const { epoch, skewMs } = this.#deps.leases
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
        epoch: (table.epoch[slot] as number) || epoch,
        resets: cell.deliveries.resets,
      },
    }
  }

  #deadLetter(subscription: Subscription, cell: DeliveriesCell, offset: number): void {
    const slot = cell.deliveries.table.find(offset)
    if (slot < 0) return
    if (subscription.topic.queues[cell.address.queueId]?.isEnded(offset)) {
      this.#deps.leases.admit(cell, { type: 'acked', runs: [offset, 1] })
      return
    }
    cell.deliveries.holdForDeadLetter(slot)
    this.#deps.deadLetters.take(subscription, cell, offset, 'attempts used up')
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
}
