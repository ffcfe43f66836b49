import type { StoredMessage } from '../../model/message/message.ts'
import { isMessage } from '../../storage/codec/fact-type.ts'
import { type MessageFact, readMessage, storedMessageOf } from '../../storage/codec/message-fact.ts'
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
  const found = await messageFactAt(log, physicalOffset)
  const topic = found && state.topics.get(found.fact.topicId)
  return topic && storedMessageOf(found.fact, { topic: topic.name, physicalOffset })
}

/** The record itself, with the chunk that holds it. */
export const messageFactAt = async (
  log: CommitLog,
  physicalOffset: number,
): Promise<{ readonly fact: MessageFact; readonly chunk: number } | undefined> => {
  const offset = await log.chunks.chunkOf(physicalOffset)
  const chunk = offset === undefined ? undefined : await log.load(offset)
  if (offset === undefined || chunk === undefined) return undefined
  const at = physicalOffset - offset
  if (at >= chunk.length) return undefined
  const { type, payload } = recordAt(chunk, offset, at)
  return isMessage(type) ? { fact: readMessage(type, payload), chunk: offset } : undefined
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
