import { checkMessageType } from '../../../model/addressing/topic.ts'
import { BrokerError } from '../../../model/errors.ts'
import type { EncodedMessage } from '../../../model/message/message.ts'
import type { SendReceipt } from '../../../model/ports.ts'
import type { CallContext } from '../context.ts'
import { aggregateOf, OK, statusOf } from '../status.ts'
import type { Status } from '../wire/common.ts'
import type {
  SendMessageRequest,
  SendMessageResponse,
  SendResultEntry,
} from '../wire/send-message.ts'

const sent = ({ messageId }: EncodedMessage, receipt: SendReceipt): SendResultEntry => ({
  status: OK,
  messageId,
  transactionId: receipt.transactionId ?? messageId,
  offset: receipt.queueOffset,
  recallHandle: receipt.recallHandle ?? '',
})

/** A failed entry carries its status only (RocketMQ gRPC 4.4). */
const failed = (status: Status): SendResultEntry => ({
  status,
  messageId: '',
  transactionId: '',
  offset: 0,
  recallHandle: '',
})

const sendOne = async (
  context: CallContext,
  topic: string,
  message: EncodedMessage,
): Promise<SendMessageResponse> => {
  const receipt = await context.door.broker.append(topic, message)
  return { status: OK, entries: [sent(message, receipt)] }
}

/** What can be known before is refused for the whole batch, so that nothing is half stored. */
const checkBatch = (context: CallContext, { topic: name, messages }: SendMessageRequest): void => {
  const topic = context.door.broker.topics.find(name)
  if (topic === undefined) throw new BrokerError('TOPIC_NOT_FOUND', { topic: name })
  for (const { type } of messages) checkMessageType(topic, type)
}

/**
 * RocketMQ gRPC 4.4. As many entries as messages, the clients' ids echoed unchanged. A send never
 * creates a topic: the route that went before it did. Repeats are not recognised.
 */
export const sendMessage = async (
  context: CallContext,
  request: SendMessageRequest,
): Promise<SendMessageResponse> => {
  const { broker, logger } = context.door
  const { topic, messages } = request
  broker.sessions.touch(context.clientId, 'producer')
  const [first] = messages
  if (first !== undefined && messages.length === 1) return sendOne(context, topic, first)
  checkBatch(context, request)
  const entries = await Promise.all(
    messages.map((message) =>
      broker.append(topic, message).then(
        (receipt) => sent(message, receipt),
        (error: unknown) => failed(statusOf(error, logger, 'SendMessage')),
      ),
    ),
  )
  return { status: aggregateOf(entries.map(({ status }) => status ?? OK)), entries }
}
