import { latenessBoundsMs, Times } from '../../machines/timer-wheel/deferred-times.ts'
import { deferredKinds, type DeferredKind } from '../../model/deferred/deferred.ts'
import type { EncodedMessage } from '../../model/message/message.ts'
import type { SendReceipt } from '../../model/ports.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import { contentOf } from '../broker/content.ts'
import { Seal } from '../broker/seal.ts'
import type { BrokerSettings } from '../broker/settings.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { LoopDescription } from '../../model/admin.ts'
import type { ActorSystemDeps } from '../system/supervision.ts'
import type { Topic } from '../topic/topic.ts'
import { TransactionBook } from '../transaction/transaction-book.ts'
import { sealDeferred } from './deferred-handle.ts'
import { type AdmittedDeferred, DeferredLog } from './deferred-log.ts'
import { DeferredStore } from './deferred-store.ts'
import { DeferredSweep } from './deferred-sweep.ts'
import { TimerBook } from './timer-book.ts'
import { TimerWheel } from './timer-wheel.actor.ts'

export interface DeferredMessagesDeps extends ActorSystemDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly settings: BrokerSettings
  readonly place: { readonly secret: Uint8Array }
}

/** Scheduled and half messages: their wheels, and the doors to them. */
export class DeferredMessages {
  readonly #deps: DeferredMessagesDeps
  readonly #seal: Seal
  readonly log: DeferredLog
  readonly stores: Readonly<Record<DeferredKind, DeferredStore>>
  readonly wheels: Readonly<Record<DeferredKind, TimerWheel>>
  readonly timers: TimerBook
  readonly transactions: TransactionBook
  readonly sweep: DeferredSweep
  /** Of timers, how late they were admitted to their topics. */
  readonly lateness = new Times(latenessBoundsMs)

  constructor(deps: DeferredMessagesDeps) {
    const { state, log, index, settings, clock, logger, inspect } = deps
    this.#deps = deps
    this.#seal = new Seal(deps.place.secret)
    this.log = new DeferredLog({ state, log })
    const storeOf = (kind: DeferredKind) =>
      new DeferredStore({ set: state.deferred[kind], index, log, limits: settings.timers })
    this.stores = { timer: storeOf('timer'), transaction: storeOf('transaction') }
    const shared = { state, log, index, clock, seal: this.#seal, deferred: this.log }
    const { horizonMs } = settings.timers
    this.timers = new TimerBook({ ...shared, store: this.stores.timer, horizonMs })
    this.transactions = new TransactionBook({
      ...shared,
      store: this.stores.transaction,
      settings: settings.transactions,
    })
    const { sweepEveryMs: everyMs } = settings.timers
    this.sweep = new DeferredSweep({ store: this.stores.timer, index, clock, logger, everyMs })
    const wheel = { clock, logger, inspect, log, settings: settings.timers }
    this.wheels = {
      timer: new TimerWheel({
        ...wheel,
        name: 'timer-wheel',
        store: this.stores.timer,
        fire: (slot, timer) => {
          const lateMs = clock.wallMs() - (this.stores.timer.set.table.dueMs[slot] as number)
          const admitted = this.timers.fireDue(slot, timer)
          if (admitted) this.lateness.add(lateMs)
          return admitted
        },
      }),
      transaction: new TimerWheel({
        ...wheel,
        name: 'transaction-checks',
        store: this.stores.transaction,
        fire: (slot, half) => this.transactions.check(slot, half),
      }),
    }
  }

  start(): void {
    for (const kind of deferredKinds) this.wheels[kind].start()
  }

  stop(): void {
    for (const kind of deferredKinds) this.wheels[kind].stop()
  }

  *loops(): Generator<LoopDescription> {
    for (const kind of deferredKinds) yield this.wheels[kind].loop
  }

  /** The message waits for its time; the receipt names it for a recall. */
  schedule(topic: Topic, message: EncodedMessage): Promise<SendReceipt> {
    const dueMs = Math.ceil(message.deliverAtMs ?? 0)
    this.timers.checkDueMs(dueMs)
    const { topicId } = topic
    const { messageId } = message
    const admitted = this.log.schedule(topic, contentOf(message), dueMs)
    return this.#receipt(admitted, messageId, () => {
      const handle = { topicId, id: admitted.id, dueMs, messageId }
      return { recallHandle: sealDeferred(this.#seal, 'timer', handle) }
    })
  }

  /** The message waits for its producer's decision; nobody sees it before. */
  prepare(topic: Topic, message: EncodedMessage): Promise<SendReceipt> {
    const { clock, settings } = this.#deps
    const {
      deliverAtMs = 0,
      checkAfterMs = settings.transactions.checkAfterMs,
      messageId,
    } = message
    if (deliverAtMs > 0) this.timers.checkDueMs(deliverAtMs)
    const admitted = this.log.prepare(topic, contentOf(message), {
      checkAtMs: Math.ceil(clock.wallMs() + checkAfterMs),
      deliverAtMs: Math.ceil(deliverAtMs),
    })
    const { topicId } = topic
    return this.#receipt(admitted, messageId, () => {
      const handle = { topicId, id: admitted.id, dueMs: 0, messageId }
      return { transactionId: sealDeferred(this.#seal, 'transaction', handle) }
    })
  }

  /** Drops all of a topic's, step by step: it can be repeated, and goes on after a restart. */
  async dropTopic(topicId: number): Promise<void> {
    for (const kind of deferredKinds)
      while ((this.#deps.state.deferred[kind].topics.get(topicId)?.admitted ?? 0) > 0)
        await this.#dropSome(kind, topicId)
    await this.#deps.log.flush()
  }

  // ——— inside

  #receipt(
    { chunk }: AdmittedDeferred,
    messageId: string,
    named: () => Partial<SendReceipt>,
  ): Promise<SendReceipt> {
    return new Promise((resolve, reject) =>
      chunk.waiters.push({
        resolve: () => resolve({ messageId, queueId: 0, queueOffset: 0, ...named() }),
        reject,
      }),
    )
  }

  #dropSome(kind: DeferredKind, topicId: number): Promise<void> {
    const { index, log } = this.#deps
    const store = this.stores[kind]
    // Under the checkpoint's lock: nothing moves between memory and index meanwhile.
    return index.exclusive(async () => {
      const slots = await store.someOf(topicId, DROPPED_AT_ONCE)
      if (slots.length === 0) return
      await log.whenSynced(this.log.withdraw(kind, slots, 'dropped'))
    })
  }
}

const DROPPED_AT_ONCE = 500
