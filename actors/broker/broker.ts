import { toPromise } from 'xstate'
import { checkGroupName, checkTopicName } from '../../model/addressing/names.ts'
import { checkMessageType, topicSettingsOf } from '../../model/addressing/topic.ts'
import { checkInvisibleMs } from '../../model/delivery/limits.ts'
import type { ReceiptHandle } from '../../model/delivery/receipt-handle.ts'
import type { LoopDescription } from '../../model/admin.ts'
import { BrokerError } from '../../model/errors.ts'
import type { EncodedMessage } from '../../model/message/message.ts'
import type {
  Broker,
  Groups,
  ReceiveRequest,
  ReceiveResult,
  SendReceipt,
  Sessions,
  Topics,
} from '../../model/ports.ts'
import type { Schedules } from '../../model/schedule/schedules.ts'
import type { Timers } from '../../model/timer/timers.ts'
import type { Transactions } from '../../model/transaction/transactions.ts'
import type { Place } from '../../storage/ports/place.ts'
import { IndexStore } from '../checkpoint/index-store.ts'
import { type CommitLogActor, createCommitLogActor } from '../commit-log/commit-log.actor.ts'
import { CommitLog } from '../commit-log/commit-log.ts'
import type { Waiter } from '../commit-log/pending-chunk.ts'
import { DeadLetterQueues } from '../consumer-group/dead-letter-queues.ts'
import { DeadLetters } from '../consumer-group/dead-letters.ts'
import type { DeliveriesCell } from '../consumer-group/deliveries-cell.ts'
import { GroupRegistry } from '../consumer-group/group-registry.ts'
import { Leases } from '../consumer-group/leases.ts'
import { ParkingLot } from '../consumer-group/parked-receives.ts'
import { Progress } from '../consumer-group/progress.ts'
import { Receiver } from '../consumer-group/receiver.ts'
import { createDispatcher } from '../dispatcher/dispatcher.actor.ts'
import { MessageIndex } from '../messages/message-index.ts'
import { StoredMessages } from '../messages/stored-messages.ts'
import { RunPlanner } from '../schedules/run-planner.ts'
import { ScheduleBook } from '../schedules/schedule-book.ts'
import { SessionBook } from '../session/session-book.ts'
import { SessionRegistry } from '../session/session-registry.ts'
import { BoundedCache } from '../system/bounded-cache.ts'
import type { TierComponents } from '../tier/components.ts'
import { Tier } from '../tier/tier.ts'
import { TierReader } from '../tier/tier-reader.ts'
import { errorText, loopOf } from '../system/loop.ts'
import { OwnedTimers } from '../system/owned-timers.ts'
import { type ActorSystemDeps, Supervision } from '../system/supervision.ts'
import { LoopClock } from '../system/xstate-clock.ts'
import { DeferredMessages } from '../timer-wheel/deferred-messages.ts'
import type { Traffic } from '../topic/traffic.ts'
import { TopicRegistry } from '../topic/topic-registry.ts'
import { DiskWatch } from '../upkeep/disk-watch.ts'
import { Upkeep } from '../upkeep/upkeep.actor.ts'
import { BrokerState } from './broker-state.ts'
import { contentOf } from './content.ts'
import { HandleSeal } from './handles.ts'
import { recover, sweepTombstones } from './recovery.ts'
import { unitOf } from './replay.ts'
import type { BrokerSettings } from './settings.ts'

export interface BrokerComponents extends ActorSystemDeps {
  readonly place: Place
  readonly tier?: TierComponents | undefined
}

export interface SnapshotReader {
  readonly readsIndex: boolean
}

/** Cache keys of one queue: more blocks than a queue can ever have. */
const CACHE_KEYS = 2 ** 32

/**
 * The broker: implements `model/ports` `Broker` on the structures that actors own. Requests are
 * plain calls through gates; everything they decide is admitted in the same turn.
 */
export class CoreBroker implements Broker {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly upkeep: Upkeep
  readonly supervisions: Readonly<Record<'topics' | 'groups' | 'sessions', Supervision>>
  readonly lot: ParkingLot
  readonly blockCache: BoundedCache
  readonly disk: DiskWatch
  readonly components: BrokerComponents
  readonly leases: Leases
  readonly progress: Progress
  readonly messages: StoredMessages
  readonly clock: OwnedTimers
  readonly messageIndex: MessageIndex
  readonly deferred: DeferredMessages
  readonly deadLetters: DeadLetterQueues
  /** Undefined on a broker without a tier. */
  readonly tierReader: TierReader | undefined
  readonly schedules: Schedules
  readonly tier: Tier | undefined
  readonly #planner: RunPlanner
  readonly #topics: TopicRegistry
  readonly #groups: GroupRegistry
  readonly #sessions: SessionRegistry
  readonly #receiver: Receiver
  readonly #deadLetters: DeadLetters
  readonly #logActor: CommitLogActor
  readonly #dispatcher
  readonly #clocks: Readonly<Record<'log' | 'dispatcher', LoopClock>>
  readonly #seal: HandleSeal
  /** What reads a snapshot of log and perhaps index at this moment. */
  readonly readers = new Set<SnapshotReader>()
  #closing: Promise<void> | undefined

  private constructor(given: BrokerComponents, settings: BrokerSettings) {
    const { logger, place, inspect } = given
    const clock = new OwnedTimers(given.clock)
    const components = { ...given, clock }
    this.clock = clock
    this.components = components
    this.log = new CommitLog({ clock, logger, place, settings: settings.commitLog })
    this.index = new IndexStore(place, { clock, timeoutMs: settings.indexTimeoutMs })
    this.lot = new ParkingLot(settings.parking, clock)
    let cacheKeys = 0
    this.blockCache = new BoundedCache(settings.blockCacheBytes)
    const book = new SessionBook()
    this.state = new BrokerState({
      lot: this.lot,
      sessions: book,
      extentBytes: settings.reclaim.extentBytes,
      cache: this.blockCache,
      cacheBase: () => CACHE_KEYS * cacheKeys++,
      readBlock: this.index.readBlock,
      deferred: {
        memoryMs: settings.timers.recallMemoryMs,
        entriesMax: settings.timers.checkpointEntriesMax,
      },
    })
    this.#seal = new HandleSeal(place.secret)
    const { state, log, index } = this
    this.tierReader =
      given.tier && new TierReader({ ...given.tier, clock, settings: settings.tier })
    const { tierReader } = this
    this.deferred = new DeferredMessages({ ...components, state, log, index, settings })
    const { timers } = this.deferred
    this.#planner = new RunPlanner({ ...components, state, deferred: this.deferred.log, timers })
    this.schedules = new ScheduleBook({ state, log, clock, timers, planner: this.#planner })
    this.supervisions = {
      topics: new Supervision('topics', components),
      groups: new Supervision('groups', components),
      sessions: new Supervision('sessions', components),
    }
    const { ackFlush } = settings
    const leases = new Leases({ state, log, clock, sessions: book, ackFlush })
    this.leases = leases
    this.progress = new Progress({ state, log, tierReader, clock, leases })
    const registry = { state, log, tierReader, index, clock, logger, settings }
    const tier = given.tier && {
      tier: given.tier,
      secret: place.secret,
      settings: settings.tier,
    }
    this.tier = tier && new Tier({ ...registry, ...tier, inspect })
    const { topics, groups, sessions } = this.supervisions
    this.#topics = new TopicRegistry({
      ...registry,
      supervision: topics,
      dropDeferred: (topicId) => this.deferred.dropTopic(topicId),
      stopTier: async (topicId) => this.tier?.stopTopic(topicId),
      dropTier: async (topic) => {
        if (this.tier === undefined) throw new BrokerError('TIER_OFF', {})
        await this.tier.dropTopic(topic)
      },
    })
    this.#groups = new GroupRegistry({
      ...registry,
      supervision: groups,
      leases,
      progress: this.progress,
    })
    topics.onEnded = (address) => {
      tierReader?.drop(idOf(address))
      this.#topics.ended(idOf(address))
    }
    groups.onEnded = (address) => this.#groups.ended(idOf(address))
    this.messageIndex = new MessageIndex({
      state,
      log,
      index,
      clock,
      settings: settings.messageIndex,
    })
    const { messageIndex } = this
    this.messages = new StoredMessages({ state, log, tierReader, messageIndex, clock })
    const { messages } = this
    this.deadLetters = new DeadLetterQueues({ state, log, index, clock, logger, messages })
    this.#deadLetters = new DeadLetters({
      state,
      log,
      tierReader,
      clock,
      logger,
      ensureTopic: (name) =>
        this.#topics.ensure(name, topicSettingsOf(name, { queues: 1 }), { isAutoCreated: false }),
    })
    this.#receiver = new Receiver({
      state,
      log,
      tierReader,
      clock,
      sessions: book,
      deadLetters: this.#deadLetters,
      leases,
      limits: settings.receiver,
    })
    this.#sessions = new SessionRegistry({
      book,
      clock,
      supervision: sessions,
      graceMs: settings.sessionGraceMs,
      onLost: ({ number, subscriptions }) => leases.loseSession(number, subscriptions),
    })
    this.disk = new DiskWatch({
      place,
      logger,
      settings: settings.disk,
      throttle: (refusal) => this.#throttle(refusal),
    })
    this.upkeep = new Upkeep({
      state,
      log,
      index,
      messageIndex: this.messageIndex,
      disk: this.disk,
      clock,
      logger,
      inspect,
      restMs: settings.upkeepRestMs,
      checkpointBytes: settings.checkpointBytes,
      reclaim: settings.reclaim,
      local: settings.local,
      deferred: {
        state,
        log,
        stores: this.deferred.stores,
        memoryMs: settings.timers.recallMemoryMs,
      },
      sweep: this.deferred.sweep,
    })
    this.#clocks = { log: new LoopClock(clock), dispatcher: new LoopClock(clock) }
    this.#logActor = createCommitLogActor(
      {
        log,
        logger,
        settings: settings.commitLog,
        recover: async (tail) => {
          await recover({ state, log, index, clock, logger }, tail)
          await this.messageIndex.load(tail.offset)
        },
      },
      { clock: this.#clocks.log, inspect },
    )
    this.#dispatcher = createDispatcher({
      log,
      clock: this.#clocks.dispatcher,
      logger,
      inspect,
      drainNews: state.drainNews,
    })
    log.onResettled = ({ from, to }) => state.moved(from, to)
  }

  /** Recovers and starts everything; rejects with the reason when the data cannot be trusted. */
  static async open(components: BrokerComponents, settings: BrokerSettings): Promise<CoreBroker> {
    const broker = new CoreBroker(components, settings)
    await broker.#start()
    return broker
  }

  get topics(): Topics {
    return this.#topics
  }

  get groups(): Groups {
    return this.#groups
  }

  get sessions(): Sessions {
    return this.#sessions
  }

  get timers(): Timers {
    return this.deferred.timers
  }

  get transactions(): Transactions {
    return this.deferred.transactions
  }

  /** Why sends are refused now; undefined while they are taken. */
  get refusal(): string | undefined {
    const { mode } = this.log
    if (mode === 'refusing') {
      const { lastError } = this.#logActor.getSnapshot().context
      return `the commit log is reopened: ${errorText(lastError)}`
    }
    return mode === 'writing' ? this.disk.refusal?.().message : `the commit log is ${mode}`
  }

  /** State, last error and restarts of every loop that must not end. */
  *loops(): Generator<LoopDescription> {
    const { value, context } = this.#logActor.getSnapshot()
    yield {
      address: 'commit-log',
      state: value,
      restarts: context.recoveries,
      lastError: errorText(context.lastError),
      nextTryInMs: this.#clocks.log.nextTryInMs,
    }
    yield this.upkeep.loop
    yield loopOf('dispatcher', this.#dispatcher, this.#clocks.dispatcher)
    yield this.#planner.loop
    yield* this.deferred.loops()
    if (this.tier) yield* this.tier.loops()
    for (const supervision of Object.values(this.supervisions)) yield* supervision.all()
  }

  append(topicName: string, message: EncodedMessage): Promise<SendReceipt> {
    const topic = this.state.topicNamed(topicName)
    if (topic === undefined) throw new BrokerError('TOPIC_NOT_FOUND', { topic: topicName })
    topic.gate.passAdding()
    checkMessageType({ name: topicName, type: topic.settings.type }, message.type)
    const { deliverAtMs = 0 } = message
    if (message.type === 'TRANSACTION') return this.deferred.prepare(topic, message)
    if (deliverAtMs > this.components.clock.wallMs()) return this.deferred.schedule(topic, message)
    const queue = topic.route(message.messageGroup)
    const queueOffset = queue.admittedEnd
    const place = {
      topicId: topic.topicId,
      queueId: queue.queueId,
      queueOffset,
      storeAtMs: this.log.storeAtMs(),
    }
    const content = contentOf(message)
    const { chunk, at, size } = this.log.admitMessage(place, content)
    this.state.foldAppended(topic, queue, unitOf(content, { chunk: chunk.offset, at, size }))
    chunk.touch(queue, queueOffset + 1)
    const receipt = { messageId: message.messageId, queueId: queue.queueId, queueOffset }
    return new Promise((resolve, reject) =>
      chunk.waiters.push(
        new Sender(topic.trafficOf(message.type), receipt, message.body.length, resolve, reject),
      ),
    )
  }

  async receive(request: ReceiveRequest): Promise<ReceiveResult> {
    checkTopicName(request.topic)
    checkGroupName(request.group)
    const topic = this.#topics.get(request.topic)
    topic.gate.pass()
    const group = await this.#groups.ensure(request.group)
    return topic.gate.hold(() =>
      group.gate.hold(() => this.#receiver.receive(this.state.subscription(group, topic), request)),
    )
  }

  async ack(handle: ReceiptHandle): Promise<void> {
    const cell = this.#cellOf(handle)
    if (cell) await this.#receiver.ack(cell, handle)
  }

  async ackAll(handles: readonly ReceiptHandle[]): Promise<readonly unknown[]> {
    const refusals: unknown[] = Array.from(handles, () => undefined)
    const places = new Map<DeliveriesCell, number[]>()
    for (const [place, handle] of handles.entries())
      try {
        const cell = this.#cellOf(handle)
        const known = cell && places.get(cell)
        if (known) known.push(place)
        else if (cell) places.set(cell, [place])
      } catch (error) {
        refusals[place] = error
      }
    const ofCells = Array.from(places, async ([cell, own]) => {
      const ofCell = own.map((place) => handles[place] as ReceiptHandle)
      const refused = await this.#receiver.ackAll(cell, ofCell)
      for (const [index, place] of own.entries()) refusals[place] = refused[index]
    })
    await Promise.all(ofCells)
    return refusals
  }

  async extend(handle: ReceiptHandle, invisibleMs: number): Promise<ReceiptHandle> {
    checkInvisibleMs(invisibleMs, 0)
    const cell = this.#cellOf(handle)
    if (cell === undefined) throw new BrokerError('RECEIPT_HANDLE_EXPIRED', {})
    return this.#receiver.extend(cell, handle, { invisibleMs, cause: 'negativeAck' })
  }

  async deadLetter(handle: ReceiptHandle, reason: string): Promise<void> {
    const cell = this.#cellOf(handle)
    const group = this.state.groups.get(handle.groupId)
    const topic = this.state.topics.get(handle.topicId)
    if (cell === undefined || group === undefined || topic === undefined) return
    if (!(await this.#receiver.hold(cell, handle))) return
    const subscription = this.state.subscription(group, topic)
    await this.#deadLetters.move(subscription, cell, handle.queueOffset, reason)
  }

  sealHandle(handle: ReceiptHandle): string {
    return this.#seal.seal(handle)
  }

  openHandle(text: string): ReceiptHandle {
    return this.#seal.open(text)
  }

  /**
   * Answers every waiter, commits what is admitted, writes a checkpoint and lets go of everything.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #start(): Promise<void> {
    const { log } = this
    this.#logActor.start()
    await settled(this.#logActor)
    if (log.mode !== 'writing') {
      const { lastError } = this.#logActor.getSnapshot().context
      await Promise.allSettled([log.closeHandle(), this.index.close()])
      throw lastError
    }
    try {
      this.#checkTier()
    } catch (error) {
      await this.#closeStores()
      throw error
    }
    this.#topics.startAll()
    this.#groups.startAll()
    this.#sessions.startAll()
    await this.index.exclusive(() => sweepTombstones(this.state, this.index))
    log.committed$.subscribe(() => this.upkeep.committed())
    this.#dispatcher.start()
    await this.#planner.start()
    this.deferred.start()
    this.upkeep.start()
    this.tier?.start()
  }

  /** What lies in the tier alone would be missing without it. */
  #checkTier(): void {
    if (this.tier) return
    const topics = [...this.state.topics.values()]
      .filter(({ status, tier }) => status === 'serving' && tier.objects.length > 0)
      .map(({ name }) => name)
    if (topics.length > 0) throw new BrokerError('TIER_REQUIRED', { topics })
  }

  async #close(): Promise<void> {
    const { log } = this
    this.upkeep.stop()
    this.tierReader?.close()
    this.#planner.stop()
    this.deferred.stop()
    const tierStopped = this.tier?.stop()
    const refusal = () => new BrokerError('BROKER_CLOSED', {})
    for (const topic of this.state.topics.values()) topic.gate.close(refusal)
    for (const group of this.state.groups.values()) {
      group.gate.close(refusal)
      for (const { parked } of group.subscriptions.values()) parked.wakeAll()
    }
    try {
      if (log.mode === 'writing') await this.upkeep.checkpoint()
    } catch (error) {
      this.components.logger.warn({ error: String(error) }, 'closing without a checkpoint')
    }
    for (const supervision of Object.values(this.supervisions)) supervision.stop()
    this.#topics.close()
    this.#groups.close()
    this.#dispatcher.stop()
    await this.#closeStores()
    await tierStopped
  }

  async #closeStores(): Promise<void> {
    this.#logActor.send({ type: 'log.close' })
    await toPromise(this.#logActor)
    await this.index.close()
  }

  #throttle(refusal: (() => BrokerError) | undefined): void {
    const counted = refusal && (() => this.log.refusals.counted(refusal()))
    this.#topics.throttle = counted
    const event = counted ? { type: 'topic.throttle', refusal: counted } : { type: 'topic.release' }
    for (const address of this.supervisions.topics.addresses())
      this.supervisions.topics.send(address, event)
  }

  /** Undefined when topic or group of the handle are gone: there is nothing left to end. */
  #cellOf(handle: ReceiptHandle): DeliveriesCell | undefined {
    const group = this.state.groups.get(handle.groupId)
    const topic = this.state.topics.get(handle.topicId)
    if (!group?.isVisible || !topic?.isVisible) return undefined
    group.gate.pass()
    topic.gate.pass()
    const queue = topic.queues[handle.queueId]
    if (queue === undefined || handle.queueOffset >= queue.offsetMax)
      throw new BrokerError('RECEIPT_HANDLE_INVALID', {
        reason: 'it names no message of the topic',
      })
    return this.state.subscription(group, topic).ensureCell(handle.queueId)
  }
}

/** Who waits for one message to be synced. */
class Sender implements Waiter {
  readonly #traffic: Traffic
  readonly #receipt: SendReceipt
  readonly #bytes: number
  readonly #answer: (receipt: SendReceipt) => void
  readonly reject: (error: unknown) => void

  constructor(
    traffic: Traffic,
    receipt: SendReceipt,
    bytes: number,
    answer: (receipt: SendReceipt) => void,
    reject: (error: unknown) => void,
  ) {
    this.#traffic = traffic
    this.#receipt = receipt
    this.#bytes = bytes
    this.#answer = answer
    this.reject = reject
  }

  resolve(): void {
    this.#traffic.add(this.#bytes)
    this.#answer(this.#receipt)
  }
}

const idOf = (address: string): number => Number(address.slice(address.indexOf(':') + 1))

/** Resolves when the log writes, or when it is known that it will not. */
const settled = (actor: CommitLogActor): Promise<void> =>
  new Promise((resolve) => {
    const look = (): void => {
      const snapshot = actor.getSnapshot()
      if (!snapshot.hasTag('writable') && !snapshot.hasTag('ended')) return
      subscription.unsubscribe()
      resolve()
    }
    const subscription = actor.subscribe({ next: look, complete: look, error: look })
    look()
  })
