import { queueBlockKey } from '../../storage/codec/index-key.ts'
import type { Operation } from '../../storage/ports/database.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { IndexStore } from './index-store.ts'

/**
 * During a rebuild: writes the dirty queue blocks and lets go of them. Without a cursor they
 * mean nothing to a later start, which begins the rebuild anew.
 */
export const spillBlocks = async (state: BrokerState, index: IndexStore): Promise<void> => {
  for (const topic of state.dirtyTopics) {
    for (const queue of topic.queues) {
      await queue.prepareCheckpoint()
      const { puts, removed } = queue.checkpoint()
      if (puts.length === 0) continue
      await index.write(
        puts.map(
          ({ block, units }): Operation => ({
            type: 'put',
            key: queueBlockKey(topic.topicId, queue.queueId, block),
            value: units,
          }),
        ),
      )
      queue.checkpointed(puts, removed)
    }
  }
}
