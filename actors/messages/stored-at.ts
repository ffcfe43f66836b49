import type { StoredMessage } from '../../model/message/message.ts'
import { isMessage } from '../../storage/codec/fact-type.ts'
import { readMessage, storedMessageOf } from '../../storage/codec/message-fact.ts'
import { recordAt } from '../../storage/codec/record.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'

export interface StoredAtDeps {
  readonly state: BrokerState
  readonly log: CommitLog
}

/** The message whose record begins at a position; undefined when that was reclaimed. */
export const storedAt = async (
  { state, log }: StoredAtDeps,
  physicalOffset: number,
): Promise<StoredMessage | undefined> => {
  const offset = await log.chunks.chunkOf(physicalOffset)
  const chunk = offset === undefined ? undefined : await log.load(offset)
  if (offset === undefined || chunk === undefined) return undefined
  const at = physicalOffset - offset
  if (at >= chunk.length) return undefined
  const { type, payload } = recordAt(chunk, offset, at)
  if (!isMessage(type)) return undefined
  const fact = readMessage(type, payload)
  const topic = state.topics.get(fact.topicId)
  return topic && storedMessageOf(fact, { topic: topic.name, physicalOffset })
}

/** True while its topic lives and its queue still keeps it. */
export const isShown = (
  state: BrokerState,
  { topicId, queueId, queueOffset }: StoredMessage,
): boolean => {
  const topic = state.topics.get(topicId)
  if (topic === undefined || !topic.isVisible || topic.status !== 'serving') return false
  const queue = topic.queues[queueId]
  if (queue === undefined || queue.isEnded(queueOffset)) return false
  return queueOffset >= queue.offsetMin && queueOffset < queue.offsetMax
}
