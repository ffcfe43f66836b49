import { checkTopicName, isReservedTopic } from '../../model/addressing/names.ts'
import type { RegistryFact, TopicState } from '../../model/addressing/registry-facts.ts'
import {
  QUEUES_DEFAULT,
  type TopicOptions,
  type TopicSettings,
  topicSettingsOf,
} from '../../model/addressing/topic.ts'
import { deferredKinds } from '../../model/deferred/deferred.ts'
import { BrokerError } from '../../model/errors.ts'
import type { TopicDescription, Topics, TopicSummary } from '../../model/ports.ts'
import { encodeRegistryFact } from '../../storage/codec/registry-fact.ts'
import {
  type EndWaiter,
  InFlight,
  nextOwnerId,
  type RegistryDeps,
  tooMany,
} from '../broker/owners.ts'
import type { Consequence } from '../commit-log/pending-chunk.ts'
import type { Topic } from './topic.ts'
import { topicAddress, topicLogic, type TopicLogicDeps } from './topic.actor.ts'

const isSame = (a: TopicSettings, b: TopicSettings): boolean =>
  a.type === b.type &&
  a.queues === b.queues &&
  a.paused === b.paused &&
  a.retention.ageMs === b.retention.ageMs &&
  a.retention.bytes === b.retention.bytes

const notEnded = () =>
  new BrokerError('STORE_UNAVAILABLE', { store: 'CommitLog', operation: 'write' })

export type TopicRegistryDeps = RegistryDeps &
  Pick<TopicLogicDeps, 'dropDeferred' | 'stopTier' | 'dropTier'>

/** Topics by name: creating, changing and ending them are durable facts, decided here. */
export class TopicRegistry implements Topics {
  readonly #deps: TopicRegistryDeps
  readonly #logic: ReturnType<typeof topicLogic>
  readonly #creating = new InFlight<Topic>()
  readonly #ending = new Map<string, Promise<void>>()
  readonly #endWaiters = new Map<string, EndWaiter>()
  /** New topics begin throttled while the disk is full. */
  throttle: (() => BrokerError) | undefined

  constructor(deps: TopicRegistryDeps) {
    this.#deps = deps
    this.#logic = topicLogic({ ...deps, onEnded: (topicId) => this.ended(topicId) })
  }

  /** Starts the actors of everything that recovery found. */
  startAll(): void {
    for (const topic of this.#deps.state.topics.values())
      if (topic.status !== 'dropped' || topic.tier.isBegun) this.#start(topic)
  }

  async create(name: string, options: TopicOptions = {}): Promise<TopicDescription> {
    const settings = this.#settingsOf(name, options)
    const topic = await this.ensure(name, settings, { isAutoCreated: false })
    if (!isSame(topic.settings, settings)) throw new BrokerError('TOPIC_EXISTS', { topic: name })
    return topic.description
  }

  #settingsOf(name: string, options: TopicOptions): TopicSettings {
    const retention = { ...this.#deps.settings.retention, ...options.retention }
    return topicSettingsOf(name, { ...options, retention })
  }

  async update(name: string, options: TopicOptions): Promise<TopicDescription> {
    const topic = this.get(name)
    const { type, queues, retention, paused = false } = topic.settings
    const settings = topicSettingsOf(name, {
      type: options.type ?? type,
      queues: options.queues ?? queues,
      retention: { ...retention, ...options.retention },
      paused: options.paused ?? paused,
    })
    const refuse = (reason: string) => new BrokerError('TOPIC_SETTINGS_ILLEGAL', { name, reason })
    if (settings.type !== type) throw refuse(`its type is ${type} for ever`)
    if (settings.queues < queues) throw refuse(`it has ${queues} queues and cannot lose any`)
    const before = topic.settings
    await this.#commit(
      { type: 'topicUpdated', topicId: topic.topicId, settings },
      {
        gone: () => {
          topic.restoreSettings(before)
          this.#serveAgain()
        },
      },
    )
    return topic.description
  }

  describe(name: string): TopicDescription {
    return this.get(name).description
  }

  list(): TopicSummary[] {
    return [...this.#deps.state.topicsByName.values()]
      .filter(({ isVisible }) => isVisible)
      .map(({ summary }) => summary)
  }

  find(name: string): TopicSummary | undefined {
    const topic = this.#deps.state.topicNamed(name)
    return topic?.status === 'serving' ? topic.summary : undefined
  }

  async resolve(name: string): Promise<TopicSummary | undefined> {
    checkTopicName(name)
    const known = this.find(name)
    const { settings } = this.#deps
    if (known || !settings.autoCreateTopics || isReservedTopic(name)) return known
    const auto = [...this.#deps.state.topicsByName.values()].filter((t) => t.isAutoCreated).length
    if (auto >= settings.autoCreatedTopicsMax)
      throw tooMany('automatically created topics', settings.autoCreatedTopicsMax)
    const wanted = this.#settingsOf(name, { type: 'MIXED', queues: QUEUES_DEFAULT })
    const topic = await this.ensure(name, wanted, { isAutoCreated: true })
    this.#deps.logger.info({ topic: name }, 'created a topic because a client asked for its route')
    return topic.summary
  }

  /** Resolves when nothing of the topic can be reached any more. */
  async end(name: string): Promise<void> {
    const running = this.#ending.get(name)
    if (running) return running
    const topic = this.get(name)
    const ending = this.#end(topic).finally(() => this.#ending.delete(name))
    this.#ending.set(name, ending)
    return ending
  }

  get(name: string): Topic {
    const topic = this.#deps.state.topicNamed(name)
    if (topic === undefined) throw new BrokerError('TOPIC_NOT_FOUND', { topic: name })
    return topic
  }

  /** The topic of this name, created when there is none. Durable when it resolves. */
  async ensure(
    name: string,
    settings: TopicSettings,
    { isAutoCreated }: { isAutoCreated: boolean },
  ): Promise<Topic> {
    const known = this.#deps.state.topicNamed(name)
    if (known?.status === 'serving') return known
    if (known) throw new BrokerError('TOPIC_ENDING', { topic: name })
    return this.#creating.run(name, () => this.#create(name, settings, isAutoCreated))
  }

  /** The actor reached its end: whoever waits hears so. */
  ended(topicId: number): void {
    const address = topicAddress(topicId)
    this.#endWaiters.get(address)?.resolve()
    this.#endWaiters.delete(address)
  }

  /** The broker closes: an ending goes on at the next start. */
  close(): void {
    for (const waiter of this.#endWaiters.values())
      waiter.reject(new BrokerError('BROKER_CLOSED', {}))
    this.#endWaiters.clear()
  }

  async #create(name: string, settings: TopicSettings, isAutoCreated: boolean): Promise<Topic> {
    const { state, log, settings: limits } = this.#deps
    log.checkWritable()
    if (state.topicsByName.size >= limits.topicsMax) throw tooMany('topics', limits.topicsMax)
    const topicId = nextOwnerId(state)
    const bounds = { offsetMin: 0, offsetMax: 0, isOrdered: false }
    const initial: TopicState = {
      topicId,
      name,
      ...settings,
      status: 'serving',
      bytes: 0,
      droppedAtMs: 0,
      isAutoCreated,
      bounds: Array.from({ length: settings.queues }, () => bounds),
      schedules: [],
    }
    const fact: RegistryFact = { type: 'topicCreated', topic: initial }
    const admitted = log.admitFact(encodeRegistryFact(fact), 'durable', {
      synced: () => {
        topic.isVisible = true
        this.#start(topic)
      },
      gone: () => state.forgetTopic(topic),
    })
    state.foldRegistry(fact, admitted.chunk.offset + admitted.at)
    const topic = state.topicShell(topicId)
    await log.whenSynced(admitted)
    return topic
  }

  async #end(topic: Topic): Promise<void> {
    const address = topicAddress(topic.topicId)
    const ended = new Promise<void>((resolve, reject) =>
      this.#endWaiters.set(address, { resolve, reject }),
    )
    ended.catch(() => {})
    if (topic.status === 'serving')
      await this.#commit(
        { type: 'topicEnded', topicId: topic.topicId },
        {
          synced: () => this.#deps.supervision.send(address, { type: 'topic.end' }),
          gone: () => {
            topic.status = 'serving'
            this.#serveAgain()
            this.#endWaiters.get(address)?.reject(notEnded())
          },
        },
      )
    await ended
  }

  /** A change of a living topic: folded where it is admitted, undone if it is gone. */
  async #commit(fact: RegistryFact, consequence: Consequence): Promise<void> {
    const { state, log } = this.#deps
    const admitted = log.admitFact(encodeRegistryFact(fact), 'freeing', consequence)
    state.foldRegistry(fact, admitted.chunk.offset + admitted.at)
    await log.whenSynced(admitted)
  }

  /** What was due meanwhile was passed over: a topic that ends or rests takes nothing. */
  #serveAgain(): void {
    for (const kind of deferredKinds) this.#deps.state.deferred[kind].queueNear()
  }

  #start(topic: Topic): void {
    const { supervision } = this.#deps
    const address = topicAddress(topic.topicId)
    supervision.start(address, this.#logic, () => ({
      topicId: topic.topicId,
      status: topic.status,
    }))
    if (this.throttle)
      supervision.send(address, { type: 'topic.throttle', refusal: this.throttle } as never)
  }
}
