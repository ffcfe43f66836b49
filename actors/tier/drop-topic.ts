import { BrokerError } from '../../model/errors.ts'
import { tierTopicPrefix } from '../../model/tier/tier-objects.ts'
import type { ObjectStore } from '../../storage/ports/object-store.ts'
import type { Topic } from '../topic/topic.ts'
import type { TierFacts } from './tier-facts.ts'
import type { Turns } from './turns.ts'

export interface DropTopicDeps {
  readonly store: ObjectStore
  readonly namespace: string
  readonly facts: TierFacts
  readonly turns: Turns
}

/** Listed and removed so often; what comes anew all the time is somebody else's doing. */
const ROUNDS_MAX = 16

/**
 * Removes everything that lies under the topic's name, until a listing finds nothing; then the
 * log is told. Idempotent: what a crash or an outage leaves, the next call finds.
 */
export const dropTopic = (deps: DropTopicDeps, topic: Topic): Promise<void> =>
  deps.turns.run(topic.topicId, async () => {
    const { store, namespace, facts } = deps
    const prefix = tierTopicPrefix(namespace, topic.topicId)
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const keys = await someKeys(store, prefix)
      if (keys.length === 0) return facts.dropped(topic)
      await store.remove(keys)
    }
    throw new BrokerError('TIER_UNAVAILABLE', {
      ...{ store: store.name, operation: `remove ${prefix}` },
      reason: 'there are objects left, or new ones',
    })
  })

const someKeys = async (store: ObjectStore, prefix: string): Promise<string[]> => {
  const keys: string[] = []
  for await (const { key } of store.list(prefix)) keys.push(key)
  return keys
}
