import type { RegistryFact } from '../../model/addressing/registry-facts.ts'
import type { TierObject, TierSection } from '../../model/tier/tier-objects.ts'
import { encodeRegistryFact } from '../../storage/codec/registry-fact.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { Topic } from '../topic/topic.ts'

export interface TierFactsDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
}

/**
 * What the log is told of the tier. Folded when synced, and while nobody else decides about what
 * a queue has: a trim looks at what the tier has for certain.
 */
export class TierFacts {
  readonly #deps: TierFactsDeps

  constructor(deps: TierFactsDeps) {
    this.#deps = deps
  }

  /** Objects of the topic may lie under this name. False when it serves no more. */
  begin(topic: Topic, namespace: string): Promise<boolean> {
    return this.#deps.index.exclusive(async () => {
      if (topic.status !== 'serving') return false
      if (!topic.tier.isBegunIn(namespace))
        await this.#admit({ type: 'tierBegun', topicId: topic.topicId, namespace })
      return true
    })
  }

  /** Takes the sections that still join what the tier has; none of a topic that serves no more. */
  add(topic: Topic, object: TierObject): Promise<readonly TierSection[]> {
    return this.#deps.index.exclusive(async () => {
      if (topic.status !== 'serving') return []
      const sections = object.sections.filter((section) => joins(topic, section))
      if (sections.length > 0)
        await this.#admit({
          type: 'tierAdded',
          topicId: topic.topicId,
          object: { ...object, sections },
        })
      return sections
    })
  }

  dropped({ topicId }: Topic): Promise<void> {
    return this.#deps.index.exclusive(() => this.#admit({ type: 'tierDropped', topicId }))
  }

  async #admit(fact: RegistryFact): Promise<void> {
    const { state, log } = this.#deps
    const admitted = log.admitFact(encodeRegistryFact(fact), 'freeing', {
      synced: () => state.foldRegistry(fact, admitted.chunk.offset + admitted.at),
    })
    await log.whenSynced(admitted)
  }
}

/** First offset that the tier does not have. */
export const nextForTier = (topic: Topic, queueId: number): number =>
  topic.tier.endOf(queueId) ?? topic.queues[queueId]?.localMin ?? 0

const joins = (topic: Topic, { queueId, from, to }: TierSection): boolean => {
  const queue = topic.queues[queueId]
  return queue !== undefined && to <= queue.offsetMax && from === nextForTier(topic, queueId)
}
