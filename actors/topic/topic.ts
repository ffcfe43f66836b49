import { TopicTier } from '../../machines/tier/topic-tier.ts'
import type { OwnerStatus, QueueBounds, TopicState } from '../../model/addressing/registry-facts.ts'
import type { TopicSettings } from '../../model/addressing/topic.ts'
import { BrokerError } from '../../model/errors.ts'
import type { MessageType } from '../../model/message/message.ts'
import type { TopicDescription, TopicSummary } from '../../model/ports.ts'
import type { ScheduleState } from '../../model/schedule/schedule-state.ts'
import { spreadHash } from '../../model/wire/hash.ts'
import type { Unit } from '../../storage/codec/unit-block.ts'
import { FactsSpan } from '../system/facts-span.ts'
import { Gate } from '../system/gate.ts'
import { type BlockCache, ConsumeQueue, type QueueOwner, type ReadBlock } from './consume-queue.ts'
import { Traffic } from './traffic.ts'

export interface TopicDeps {
  readonly cache: BlockCache
  /** A range of cache keys for one queue, never given out twice. */
  readonly cacheBase: () => number
  readonly readBlock: (topicId: number) => ReadBlock
  readonly onGone: (unit: Unit) => void
  /** Messages became visible, and somebody waits for them. */
  readonly onNews: (topic: Topic) => void
}

export interface Subscriber {
  /** New messages are visible, or leases may have ended. */
  wake(): void
}

const noSettings: TopicSettings = {
  type: 'MIXED',
  queues: 0,
  retention: { ageMs: Number.MAX_SAFE_INTEGER, bytes: 0 },
}

/**
 * A topic's projection: what folding its facts gives, and the gate to it. Owned by the topic's
 * actor, which receives it as input and lets go of everything in it when it ends.
 */
export class Topic implements QueueOwner {
  readonly topicId: number
  name = ''
  settings: TopicSettings = noSettings
  status: OwnerStatus = 'serving'
  /** True once its creation is synced: before, only the creator knows of it. */
  isVisible = false
  /** Live bytes in the log; of a dropped topic, what it had when it was dropped. */
  bytes = 0
  droppedAtMs = 0
  isAutoCreated = false
  readonly span = new FactsSpan()
  readonly gate: Gate
  readonly queues: ConsumeQueue[] = []
  /** By id. */
  readonly schedules = new Map<number, ScheduleState>()
  readonly tier = new TopicTier()
  /** Subscriptions with parked receives: woken when messages become visible. */
  readonly waiting = new Set<Subscriber>()
  /** What was made visible since the start, for the counters. */
  readonly traffic = new Map<MessageType, Traffic>()
  readonly #deps: TopicDeps
  readonly #read: ReadBlock
  #turn = 0

  constructor(topicId: number, deps: TopicDeps) {
    this.topicId = topicId
    this.#deps = deps
    this.#read = deps.readBlock(topicId)
    this.gate = new Gate(() => new BrokerError('TOPIC_NOT_FOUND', { topic: this.name }))
  }

  get messages(): number {
    let messages = 0
    for (const queue of this.queues) messages += queue.messages
    return messages
  }

  /** The state as of the last admitted fact, for a checkpoint that waits for its sync. */
  get state(): TopicState {
    return this.#stateWith(this.queues.map(({ bounds }) => bounds))
  }

  /** The state as of the last synced fact, to be carried forward in the log. */
  get syncedState(): TopicState {
    return this.#stateWith(this.queues.map(({ visibleBounds }) => visibleBounds))
  }

  #stateWith(bounds: TopicState['bounds']): TopicState {
    const tier = this.tier.state
    return {
      ...(tier && { tier }),
      topicId: this.topicId,
      name: this.name,
      ...this.settings,
      status: this.status,
      bytes: this.bytes,
      droppedAtMs: this.droppedAtMs,
      isAutoCreated: this.isAutoCreated,
      bounds,
      schedules: [...this.schedules.values()],
    }
  }

  trafficOf(type: MessageType): Traffic {
    const known = this.traffic.get(type)
    if (known) return known
    const traffic = new Traffic()
    this.traffic.set(type, traffic)
    return traffic
  }

  get summary(): TopicSummary {
    const { type, queues } = this.settings
    return { name: this.name, topicId: this.topicId, type, queues, state: this.status }
  }

  get description(): TopicDescription {
    return {
      ...this.settings,
      name: this.name,
      topicId: this.topicId,
      state: this.status,
      messages: this.messages,
      bytes: this.bytes,
      offsets: this.queues.map(({ queueId, offsetMin, offsetMax }) => ({
        queueId,
        offsetMin,
        offsetMax,
      })),
    }
  }

  /** Takes a whole state: from a creation, a checkpoint, or carried forward. */
  adopt(state: TopicState): void {
    this.name = state.name
    this.status = state.status
    this.droppedAtMs = state.droppedAtMs
    this.isAutoCreated = state.isAutoCreated
    this.applySettings(state)
    this.tier.restore(state.tier)
    this.schedules.clear()
    for (const schedule of state.schedules) this.schedules.set(schedule.scheduleId, schedule)
    state.bounds.forEach((bounds, queueId) => {
      const queue = this.queues[queueId]
      if (queue === undefined) this.#addQueue(bounds)
      else queue.widen(bounds)
    })
  }

  applySettings({ type, queues, retention, paused }: TopicSettings): void {
    this.settings = { type, queues, retention, ...(paused && { paused }) }
    this.ensureQueues(queues)
  }

  /** A change that never came to be: queues that came with it go again, and what they took. */
  restoreSettings(settings: TopicSettings): void {
    this.settings = settings
    for (const queue of this.queues.splice(settings.queues)) {
      queue.rollBack()
      queue.release()
    }
  }

  ensureQueues(count: number): void {
    while (this.queues.length < count)
      this.#addQueue({ offsetMin: 0, offsetMax: 0, isOrdered: false })
  }

  /** One message group, one queue; everything else in turn. */
  route(messageGroup: string): ConsumeQueue {
    const { queues } = this.settings
    const queueId = messageGroup === '' ? this.#turn++ % queues : spreadHash(messageGroup) % queues
    return this.queues[queueId] as ConsumeQueue
  }

  tierStart(queueId: number): number | undefined {
    return this.tier.startOf(queueId)
  }

  queueVisible(): void {
    if (this.waiting.size > 0) this.#deps.onNews(this)
  }

  unitGone(unit: Unit): void {
    this.bytes -= unit.size
    this.#deps.onGone(unit)
  }

  /** Once per commit, after all its queues became visible. */
  announce(): void {
    for (const subscriber of this.waiting) subscriber.wake()
  }

  /** Nothing of the topic stays in memory but its tombstone. */
  release(): void {
    for (const queue of this.queues) queue.release()
    this.queues.length = 0
    this.tier.release()
    this.schedules.clear()
    this.waiting.clear()
  }

  #addQueue(bounds: QueueBounds): void {
    const queue = new ConsumeQueue(this.queues.length, bounds, {
      cache: this.#deps.cache,
      cacheBase: this.#deps.cacheBase,
      read: this.#read,
      owner: this,
    })
    this.queues.push(queue)
  }
}
