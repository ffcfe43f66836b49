import type { OffsetReset, OffsetResetResult } from '../../model/delivery/administration.ts'
import { BrokerError } from '../../model/errors.ts'
import { encodeDeliveryFact } from '../../storage/codec/delivery-fact.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { Admitted, CommitLog } from '../commit-log/commit-log.ts'
import { firstStoredSince } from '../messages/queue-search.ts'
import type { TierReader } from '../tier/tier-reader.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'
import type { Group } from './group.ts'
import type { Leases } from './leases.ts'
import type { Subscription } from './subscription.ts'

export interface OffsetResetsDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly leases: Leases
  readonly tierReader?: TierReader | undefined
}

interface Target {
  readonly queue: ConsumeQueue
  readonly offset: number
}

/**
 * Moves where a group goes on, while its consumers run: one durable fact for each queue, in force
 * when it is synced. From its place in the log on, nothing else may be decided about the queue's
 * deliveries: a replay meets the reset there, and not where it took effect.
 */
export class OffsetResets {
  readonly #deps: OffsetResetsDeps

  constructor(deps: OffsetResetsDeps) {
    this.#deps = deps
  }

  async reset(group: Group, reset: OffsetReset): Promise<OffsetResetResult[]> {
    const { state, index } = this.#deps
    const topic = state.topicNamed(reset.topic)
    if (topic === undefined) throw new BrokerError('TOPIC_NOT_FOUND', { topic: reset.topic })
    return topic.gate.hold(() =>
      group.gate.hold(async () => {
        const targets: Target[] = []
        for (const queue of queuesOf(topic, reset))
          targets.push({ queue, offset: await this.#offsetOf(topic, queue, reset.to) })
        // As a trim: nobody may write a checkpoint on a state in which it has not taken effect.
        return index.exclusive(() => this.#resetAll(group, topic, targets))
      }),
    )
  }

  async #offsetOf(topic: Topic, queue: ConsumeQueue, to: OffsetReset['to']): Promise<number> {
    switch (to.at) {
      case 'earliest':
        return queue.offsetMin
      case 'latest':
        return queue.offsetMax
      case 'offset':
        return to.queueOffset
      case 'time':
        return firstStoredSince(this.#deps, topic, { queue, sinceMs: to.timeMs })
    }
  }

  async #resetAll(
    group: Group,
    topic: Topic,
    targets: readonly Target[],
  ): Promise<OffsetResetResult[]> {
    const { state, log, leases } = this.#deps
    topic.gate.pass()
    group.gate.pass()
    // Its end has a place in the log already, if none on disk.
    if (topic.status !== 'serving') throw new BrokerError('TOPIC_ENDING', { topic: topic.name })
    if (group.status !== 'serving') throw new BrokerError('GROUP_ENDING', { group: group.name })
    log.checkWritable()
    const subscription = state.subscription(group, topic)
    leases.begin(subscription)
    const results: OffsetResetResult[] = []
    const synced: Promise<void>[] = []
    for (const { queue, offset } of targets) {
      const to = Math.min(Math.max(offset, queue.offsetMin), queue.offsetMax)
      const from = subscription.ensureCell(queue.queueId).deliveries.floor
      results.push({ queueId: queue.queueId, from, to })
      synced.push(log.whenSynced(this.#admit(subscription, queue, to)))
    }
    await Promise.all(synced)
    return results
  }

  #admit(subscription: Subscription, queue: ConsumeQueue, next: number): Admitted {
    const { state, log } = this.#deps
    const cell = subscription.ensureCell(queue.queueId)
    const fact = { type: 'reset', next } as const
    const settle = (): void => {
      cell.isResetting = false
      subscription.parked.wake()
    }
    const admitted = log.admitFact(encodeDeliveryFact(cell.address, fact), 'freeing', {
      synced: () => {
        const position = admitted.chunk.offset + admitted.at
        if (state.isOwned(cell)) state.foldDelivery(cell, fact, { position, skewMs: 0 })
        settle()
      },
      gone: settle,
    })
    cell.isResetting = true
    return admitted
  }
}

const queuesOf = (topic: Topic, { queueId, to }: OffsetReset): readonly ConsumeQueue[] => {
  const refuse = (reason: string) => new BrokerError('OFFSET_RESET_ILLEGAL', { reason })
  if (to.at === 'time' && !Number.isFinite(to.timeMs)) throw refuse(`${to.timeMs} is no time`)
  if (to.at === 'offset' && !Number.isSafeInteger(to.queueOffset))
    throw refuse(`${to.queueOffset} is no offset`)
  if (queueId === undefined) return topic.queues
  const queue = topic.queues[queueId]
  if (queue === undefined) throw refuse(`${topic.name} has no queue ${queueId}`)
  return [queue]
}
