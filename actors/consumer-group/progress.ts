import type { Clock } from '../../model/ports.ts'
import { readMessage } from '../../storage/codec/message-fact.ts'
import { recordAt } from '../../storage/codec/record.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { PlacedSection } from '../../machines/tier/topic-tier.ts'
import type { Topic } from '../topic/topic.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import { loadMessage } from '../messages/load-message.ts'
import type { TierReader } from '../tier/tier-reader.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Leases } from './leases.ts'
import type { Subscription } from './subscription.ts'

export interface ProgressDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly tierReader?: TierReader | undefined
  readonly clock: Clock
  readonly leases: Leases
}

/** How far a group is on one queue. */
export interface QueueProgress {
  readonly floor: number
  readonly inFlight: number
  readonly ready: number
  /** Queue offsets; undefined when there is no such message. */
  readonly oldestUnacked: number | undefined
  readonly oldestReady: number | undefined
}

/** What a group has before it, as a function of its deliveries at this moment. */
export class Progress {
  readonly #deps: ProgressDeps
  /** Store times that were loaded for the last scrape, by queue offset. */
  #known = new Map<ConsumeQueue, Map<number, number>>()

  constructor(deps: ProgressDeps) {
    this.#deps = deps
  }

  of(subscription: Subscription, queue: ConsumeQueue): QueueProgress {
    const cell = subscription.cell(queue.queueId)
    const next = Math.max(cell?.deliveries.next ?? startOf(subscription, queue), queue.offsetMin)
    const ahead = Math.max(0, queue.offsetMax - next)
    const oldestAhead = ahead > 0 ? next : undefined
    if (cell === undefined)
      return {
        ...{ floor: next, inFlight: 0, ready: ahead },
        ...{ oldestUnacked: oldestAhead, oldestReady: oldestAhead },
      }
    const { deliveries } = cell
    const inFlight = this.#deps.leases.inFlight(cell)
    const held = deliveries.unacked - inFlight
    return {
      floor: deliveries.floor,
      inFlight,
      ready: held + ahead,
      oldestUnacked: deliveries.unacked > 0 ? deliveries.floor : oldestAhead,
      oldestReady: held > 0 ? this.#deps.leases.firstReady(cell) : oldestAhead,
    }
  }

  /**
   * How long ago the message at an offset was stored, in ms; 0 for none, undefined while its
   * place is not in memory. In the tier not less than it is, while its frame is not in memory.
   */
  ageMs(topic: Topic, queue: ConsumeQueue, offset: number | undefined): number | undefined {
    if (offset === undefined) return 0
    const storeAtMs = this.#known.get(queue)?.get(offset) ?? this.#atHand(topic, queue, offset)
    return storeAtMs === undefined
      ? undefined
      : Math.max(0, Math.floor(this.#deps.clock.wallMs()) - storeAtMs)
  }

  /** Loads what the ages of all groups need; what was loaded before and is still asked is kept. */
  async load(): Promise<void> {
    const before = this.#known
    const known = new Map<ConsumeQueue, Map<number, number>>()
    for (const group of [...this.#deps.state.groupsByName.values()])
      for (const subscription of [...group.subscriptions.values()])
        for (const queue of [...subscription.topic.queues]) {
          const { oldestUnacked, oldestReady } = this.of(subscription, queue)
          for (const offset of new Set([oldestUnacked, oldestReady])) {
            if (offset === undefined) continue
            const storeAtMs =
              before.get(queue)?.get(offset) ??
              (offset < queue.localMin
                ? this.#fromTier(subscription, queue, offset)
                : (this.#inMemory(queue, offset) ??
                  (await this.#loaded(subscription, queue, offset))))
            if (storeAtMs === undefined) continue
            const times = known.get(queue) ?? new Map<number, number>()
            known.set(queue, times.set(offset, storeAtMs))
          }
        }
    this.#known = known
  }

  #atHand(topic: Topic, queue: ConsumeQueue, offset: number): number | undefined {
    if (offset >= queue.localMin) return this.#inMemory(queue, offset)
    const section = topic.tier.find(queue.queueId, offset)
    return section && (this.#inFrame(topic, section, offset) ?? section.firstMs)
  }

  #inFrame({ topicId }: Topic, section: PlacedSection, offset: number): number | undefined {
    const { tierReader } = this.#deps
    return tierReader?.cachedFrame({ topicId, section }, offset)?.storeAtMs(offset)
  }

  /** Nobody waits for the tier: what is on its way counts from the next look on. */
  #fromTier({ topic }: Subscription, queue: ConsumeQueue, offset: number): number | undefined {
    const { topicId } = topic
    const section = topic.tier.find(queue.queueId, offset)
    if (section === undefined) return undefined
    const storeAtMs = this.#inFrame(topic, section, offset)
    if (storeAtMs === undefined)
      this.#deps.tierReader?.loadFrame({ topicId, section }, offset).catch(() => {})
    return storeAtMs
  }

  #inMemory(queue: ConsumeQueue, offset: number): number | undefined {
    const unit = queue.unit(offset)
    const chunk = unit && this.#deps.log.cached(unit.chunk)
    if (unit === undefined || chunk === undefined) return undefined
    const { type, payload } = recordAt(chunk, unit.chunk, unit.at)
    return readMessage(type, payload).storeAtMs
  }

  /** Whatever stands in the way of a look at the disk: an age is not worth a failed scrape. */
  async #loaded(
    { topic }: Subscription,
    queue: ConsumeQueue,
    offset: number,
  ): Promise<number | undefined> {
    try {
      return (await loadMessage(this.#deps, topic, { queue, offset }))?.storeAtMs
    } catch {
      return undefined
    }
  }
}

/** Where a group would begin on a queue that it never looked at. */
const startOf = (subscription: Subscription, queue: ConsumeQueue): number => {
  const isLatest = subscription.group.settings.startFrom === 'latest' && !subscription.hasBegun
  return isLatest ? queue.offsetMax : queue.offsetMin
}
