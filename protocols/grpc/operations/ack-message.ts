import { checkGroupName, checkTopicName } from '../../../model/addressing/names.ts'
import type { CallContext } from '../context.ts'
import { aggregateOf, OK, statusOf } from '../status.ts'
import { nameOf, type Status } from '../wire/common.ts'
import type {
  AckEntry,
  AckMessageRequest,
  AckMessageResponse,
  AckResult,
} from '../wire/deliveries.ts'

const ackOne = async ({ door }: CallContext, handle: string): Promise<Status> => {
  try {
    await door.broker.ack(door.broker.openHandle(handle))
    return OK
  } catch (error) {
    return statusOf(error, door.logger, 'AckMessage')
  }
}

const resultOf = ({ messageId, receiptHandle }: AckEntry, status: Status): AckResult => ({
  messageId,
  receiptHandle,
  status,
})

/**
 * RocketMQ gRPC 4.6. Each entry has its own status; the one above them is what most clients look
 * at. Acking twice is harmless while the delivery lasts.
 */
export const ackMessage = async (
  context: CallContext,
  request: AckMessageRequest,
): Promise<AckMessageResponse> => {
  checkTopicName(nameOf(request.topic))
  checkGroupName(nameOf(request.group))
  const statuses = await Promise.all(
    request.entries.map(({ receiptHandle }) => ackOne(context, receiptHandle)),
  )
  return {
    status: aggregateOf(statuses),
    entries: request.entries.map((entry, index) => resultOf(entry, statuses[index] ?? OK)),
  }
}
