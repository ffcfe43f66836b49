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
import type { Troubles } from '../tier/held-frames.ts'
import type { TierReader } from '../tier/tier-reader.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { DeliveriesCell } from './deliveries-cell.ts'
import type { Leases } from './leases.ts'
import { frameInTier, lookInTier, messageInTier, type TierLoading } from './look-in-tier.ts'
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
  readonly tierReader?: TierReader | undefined
  readonly clock: Clock
  readonly sessions: SessionBook
  readonly deadLetters: DeadLetters
  readonly leases: Leases
  readonly limits: ReceiverLimits
}

/** Rounds of loading for one look before the caller is told to come again. */
const LOAD_ROUNDS_MAX = 16
/** A receive waits so long for the tier, and longer only if it would wait for messages anyway. */
const TIER_WAIT_MS = 10_000
/** While a receive waits for other queues, the tier is asked again so often. */
const TIER_RETRY_MS = 1_000

interface Found extends TierLoading {
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

/** What went wrong in the tier is told when nothing else was found. */
const nothing = (troubles: Troubles | undefined, filteredOut: boolean): ReceiveResult => {
  for (const { error } of troubles?.values() ?? []) throw error
  return { deliveries: [], filteredOut }
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
    let tierRetryAtMs = Number.POSITIVE_INFINITY
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
      const leftMs = untilMs - clock.monotonicMs()
      if (found.tierLoad) {
        subscription.parked.passOn()
        await this.#tierOrNews(subscription, request, found.tierLoad, leftMs)
        if (request.signal?.aborted) return { deliveries: [], filteredOut }
        continue
      }
      rounds = 0
      first = subscription.turn++
      const { troubles } = reader
      reader = this.#reader(subscription, troubles)
      subscription.parked.passOn()
      if (request.signal?.aborted) return { deliveries: [], filteredOut }
      if (leftMs <= 0) return nothing(troubles, filteredOut)
      if (found.hasMore) {
        // A selective filter goes on in later turns, so that it cannot hold up everybody else.
        await new Promise<void>((resolve) => clock.soon(resolve))
        continue
      }
      const parking = subscription.parked.park(leftMs, request.signal)
      if (!subscription.group.settings.paused) subscription.parked.wakeAt(subscription.deadlineMin)
      if (troubles) {
        tierRetryAtMs = Math.min(tierRetryAtMs, clock.monotonicMs() + TIER_RETRY_MS)
        subscription.parked.wakeAt(tierRetryAtMs)
      }
      const wake = await parking
      if (wake === 'timedOut') return nothing(troubles, filteredOut)
      if (wake === 'aborted') return { deliveries: [], filteredOut }
      if (clock.monotonicMs() < tierRetryAtMs) continue
      tierRetryAtMs = Number.POSITIVE_INFINITY
      reader = this.#reader(subscription)
    }
  }

  /** Waits for what comes first: messages from the tier, or those of another queue. */
  async #tierOrNews(
    subscription: Subscription,
    { signal }: ReceiveRequest,
    load: Promise<void>,
    leftMs: number,
  ): Promise<void> {
    const over = new AbortController()
    const end = (): void => over.abort()
    signal?.addEventListener('abort', end)
    void load.then(end)
    try {
      const parking = subscription.parked.park(Math.max(leftMs, TIER_WAIT_MS), over.signal)
      subscription.parked.wakeAt(subscription.deadlineMin)
      if ((await parking) === 'timedOut')
        throw new BrokerError('THROTTLED', { reason: 'messages come from the tier, come again' })
    } finally {
      signal?.removeEventListener('abort', end)
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

  #reader({ topic }: Subscription, troubles?: Troubles): MessageReader {
    return new MessageReader(this.#deps, topic, troubles)
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
      tierLoad: undefined,
      filteredOut: false,
      hasMore: false,
      isFull: false,
    }
    if (subscription.group.settings.paused) return found
    this.#deps.leases.begin(subscription)
    if (request.attemptId !== undefined)
      this.#repeat(subscription, request.attemptId, reader, found)
    if (found.deliveries.length > 0 || found.loads.length > 0 || found.tierLoad) return found
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
    const { deliveries, loads, tierLoad, isFull } = found
    if (isFull && deliveries.length === 0 && loads.length === 0 && tierLoad === undefined)
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
    const { next } = cell.deliveries
    const into = { reader, found, messages, next }
    const offsetMax = next < queue.localMin ? reader.tier.endOf(queue) : queue.offsetMax
    const plan = planReceive(
      cell.deliveries,
      {
        offsetMax,
        isOrdered: queue.isOrdered,
        look: (offset) =>
          offset < queue.localMin
            ? lookInTier(queue, offset, request, into)
            : this.#lookAt(queue, offset, request, into),
        groupHash: (offset) => {
          if (offset < queue.localMin)
            return frameInTier(queue, offset, into)?.unit(offset).groupHash
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
    const isCut =
      offsetMax < queue.offsetMax &&
      (plan.skipped.length > 0 || (offsetMax <= next && !reader.troubles?.has(queue.queueId)))
    if ((plan.hasMore || isCut) && plan.offsets.length === 0) found.hasMore = true
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
        const message = this.#reread(queue, offset, reader, found)
        if (message) batch.push({ cell, slot: cell.deliveries.table.find(offset), message })
      }
    }
    for (const { error } of reader.troubles?.values() ?? []) throw error
    if (found.loads.length > 0 || found.tierLoad) return
    for (const { cell, slot, message } of batch)
      found.deliveries.push(this.#delivery(subscription, cell, slot, message, 'repeatedAttempt'))
  }

  /** A message that was given before; undefined while it is on its way. */
  #reread(
    queue: ConsumeQueue,
    offset: number,
    reader: MessageReader,
    found: Found,
  ): StoredMessage | undefined {
    if (offset < queue.localMin) {
      const frame = frameInTier(queue, offset, { reader, found, next: Number.POSITIVE_INFINITY })
      return frame && messageInTier(queue, offset, { reader, frame })
    }
    const unit = queue.unit(offset)
    if (unit === undefined) reader.loadUnit(queue, offset, found.loads)
    return unit && reader.read(unit, found.loads)
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
    const queue = subscription.topic.queues[cell.address.queueId]
    if (queue && message.queueOffset < queue.localMin) subscription.tieredOut++
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
