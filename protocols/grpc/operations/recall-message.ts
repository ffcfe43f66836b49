import { checkTopicName } from '../../../model/addressing/names.ts'
import { checkMessageType } from '../../../model/addressing/topic.ts'
import { BrokerError } from '../../../model/errors.ts'
import type { CallContext } from '../context.ts'
import { OK } from '../status.ts'
import type { RecallMessageRequest, RecallMessageResponse } from '../wire/clients.ts'
import { nameOf } from '../wire/common.ts'

/**
 * RocketMQ gRPC 4.11. OK means recalled, durably; what the reference cannot know is a refusal
 * here: the message was delivered, or its end is longer ago than recalls are remembered.
 */
export const recallMessage = async (
  { door: { broker }, clientId }: CallContext,
  { topic: resource, recallHandle }: RecallMessageRequest,
): Promise<RecallMessageResponse> => {
  const name = checkTopicName(nameOf(resource))
  const topic = broker.topics.find(name)
  if (topic === undefined) throw new BrokerError('TOPIC_NOT_FOUND', { topic: name })
  checkMessageType(topic, 'DELAY')
  broker.sessions.touch(clientId, 'producer')
  const { outcome, messageId = '' } = await broker.timers.recall(name, recallHandle)
  if (outcome !== 'recalled') throw new BrokerError('RECALL_REFUSED', { outcome })
  return { status: OK, messageId }
}
