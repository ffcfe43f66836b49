import { BrokerError } from '../../model/errors.ts'
import type {
  TierCost,
  Tiering,
  TierQueueStatus,
  TierResidue,
  TierStatus,
  TierStep,
  TierTopicStatus,
} from '../../model/tier/tier-admin.ts'
import type { Clock } from '../../model/ports.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'
import { isTiered } from './offloader.ts'
import type { Tier } from './tier.ts'
import { bytesOf } from './tier-cost.ts'
import { nextForTier } from './tier-facts.ts'
import { claimsOf, fetchSteps, stepsOf, verifySteps } from './tier-steps.ts'

export interface TierAdminDeps {
  readonly tier: Tier
  readonly state: BrokerState
  readonly clock: Pick<Clock, 'after' | 'soon'>
  readonly cache: () => TierStatus['cache']
}

/** A queue that somebody waits for. */
interface Wanted {
  readonly topic: Topic
  readonly queue: ConsumeQueue
  readonly from: number
  /** What it had when it was asked for. */
  readonly to: number
}

/** Looked at so often, besides when an object arrives: what failed arrives nowhere. */
const LOOK_MS = 200

const failing = new Set(['backingOff', 'unreadable', 'conflict', 'pausedByBudget'])

/** What operators see and do. */
export class TierAdmin implements Tiering {
  readonly #deps: TierAdminDeps

  constructor(deps: TierAdminDeps) {
    this.#deps = deps
  }

  status(name?: string): TierStatus {
    const { tier, cache } = this.#deps
    return {
      store: tier.store.name,
      namespace: tier.namespace,
      buffers: tier.pool.gauges,
      cache: cache(),
      cost: this.#cost,
      topics: this.#known(name).map((topic) => this.#topicStatus(topic)),
    }
  }

  async *offload(name?: string): AsyncGenerator<TierStep> {
    const { tier } = this.#deps
    const wanted = this.#wanted(name)
    const of = wanted.reduce((sum, { from, to }) => sum + to - from, 0)
    const arrived: { key: string; bytes: number }[] = []
    let wake = (): void => {}
    const ids = new Set(wanted.map(({ topic }) => topic.topicId))
    const watching = tier.offloader.offloaded$.subscribe(({ topicId, key, object }) => {
      if (!ids.has(topicId)) return
      arrived.push({ key, bytes: object.bytes })
      wake()
    })
    try {
      for (const topic of new Set(wanted.map((each) => each.topic))) tier.offloader.force(topic)
      const left = new Set(wanted)
      for (;;) {
        for (const step of arrived.splice(0)) yield { ...step, done: doneOf(wanted), of }
        for (const each of left) {
          const problem = this.#problemOf(each)
          if (problem === undefined && doneOf([each]) < each.to - each.from) continue
          left.delete(each)
          if (problem !== undefined)
            yield { key: keyOf(each), bytes: 0, done: doneOf(wanted), of, problem }
        }
        if (left.size === 0 && arrived.length === 0) return
        await this.#news((resolve) => {
          wake = resolve
        })
      }
    } finally {
      watching.unsubscribe()
    }
  }

  async *verify(name?: string): AsyncGenerator<TierStep> {
    const { tier, clock } = this.#deps
    const { store } = tier
    const topics = this.#begun(name).map((topic) => ({
      topic,
      claims: claimsOf(topic, tier.namespace),
    }))
    const of = stepsOf(topics.map(({ claims }) => claims))
    let done = 0
    for (const { topic, claims } of topics)
      for await (const step of verifySteps({ store, clock }, topic, claims))
        yield { ...step, done: ++done, of }
  }

  async *fetch(name: string): AsyncGenerator<TierStep & { readonly content: Uint8Array }> {
    const { tier } = this.#deps
    for (const topic of this.#begun(name))
      yield* fetchSteps(tier.store, claimsOf(topic, tier.namespace))
  }

  residue(): Promise<readonly TierResidue[]> {
    return this.#deps.tier.janitor.residue()
  }

  // ——— inside

  get #cost(): TierCost {
    return this.#deps.tier.costs.total
  }

  /** All that have something in the tier, or for it; also those that end. */
  #known(name: string | undefined): Topic[] {
    if (name !== undefined) return [this.#named(name)]
    return [...this.#deps.state.topics.values()].filter(
      (topic) => topic.tier.isBegun || (isTiered(topic) && topic.queues.some(isBehindIn(topic))),
    )
  }

  #begun(name: string | undefined): Topic[] {
    const topics = name === undefined ? this.#deps.state.topics.values() : [this.#named(name)]
    return [...topics].filter(({ status, tier }) => status === 'serving' && tier.isBegun)
  }

  #named(name: string): Topic {
    const topic = this.#deps.state.topicNamed(name)
    if (topic === undefined) throw new BrokerError('TOPIC_NOT_FOUND', { topic: name })
    return topic
  }

  #topicStatus(topic: Topic): TierTopicStatus {
    const { tier } = this.#deps
    const { topicId, name, status } = topic
    return {
      topic: name,
      topicId,
      state: status === 'dropped' ? 'droppingTier' : status,
      objects: topic.tier.objects.length,
      bytes: bytesOf(topic),
      traffic: tier.requests.traffic(topicId),
      costPerMonth: tier.costs.perMonth(topicId),
      queues: topic.queues.map((queue) => this.#queueStatus(topic, queue)),
    }
  }

  #queueStatus(topic: Topic, queue: ConsumeQueue): TierQueueStatus {
    const { queueId, localMin, offsetMax } = queue
    const described = this.#deps.tier.offloader.describe(topic.topicId, queueId)
    const { reason, nextTryInMs } = described ?? {}
    const tierMin = topic.tier.startOf(queueId)
    const tierEnd = topic.tier.endOf(queueId)
    return {
      queueId,
      state: described?.state ?? 'following',
      ...(reason !== undefined && { reason }),
      ...(nextTryInMs !== undefined && { nextTryInMs }),
      ...(tierMin !== undefined && { tierMin }),
      ...(tierEnd !== undefined && { tierEnd }),
      ...{ localMin, offsetMax },
      behind: Math.max(0, offsetMax - nextForTier(topic, queueId)),
    }
  }

  #wanted(name: string | undefined): Wanted[] {
    return this.#known(name)
      .filter(isTiered)
      .flatMap((topic) =>
        topic.queues.filter(isBehindIn(topic)).map((queue) => ({
          ...{ topic, queue, to: queue.offsetMax },
          from: nextForTier(topic, queue.queueId),
        })),
      )
  }

  /** Why a queue gets no further for now. */
  #problemOf({ topic, queue }: Wanted): string | undefined {
    const { offloader } = this.#deps.tier
    if (offloader.isStopped) return 'the broker closes'
    if (topic.status !== 'serving') return 'the topic ends'
    const described = offloader.describe(topic.topicId, queue.queueId)
    if (described === undefined || !failing.has(described.state)) return undefined
    const { state, reason } = described
    return reason === undefined ? state : `${state}: ${reason}`
  }

  #news(listen: (wake: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#deps.clock.after(LOOK_MS, resolve)
      listen(() => {
        cancel()
        resolve()
      })
    })
  }
}

const isBehindIn =
  (topic: Topic) =>
  ({ queueId, offsetMax }: ConsumeQueue): boolean =>
    offsetMax > nextForTier(topic, queueId)

const keyOf = ({ topic, queue }: Wanted): string => `${topic.name}/${queue.queueId}`

const doneOf = (wanted: readonly Wanted[]): number => {
  let done = 0
  for (const { topic, queue, from, to } of wanted)
    done += Math.min(to, Math.max(from, nextForTier(topic, queue.queueId))) - from
  return done
}
