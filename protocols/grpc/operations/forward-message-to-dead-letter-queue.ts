import { checkGroupName, checkTopicName } from '../../../model/addressing/names.ts'
import { isBrokerError } from '../../../model/errors.ts'
import { openHandle } from '../access.ts'
import type { CallContext } from '../context.ts'
import { OK } from '../status.ts'
import { nameOf, type Status } from '../wire/common.ts'
import type { DeadLetterRequest } from '../wire/deliveries.ts'

/** Refusals that no repeat will change: the delivery is over, one way or the other. */
const isOver = (error: unknown): boolean =>
  isBrokerError(error) &&
  (error.kind === 'notFound' ||
    error.code === 'RECEIPT_HANDLE_INVALID' ||
    error.code === 'RECEIPT_HANDLE_EXPIRED')

/**
 * RocketMQ gRPC 4.8. Clients repeat this every second until it is OK, so a handle that will never
 * work again is answered with OK; its message, if it is still there, is delivered again.
 */
export const forwardMessageToDeadLetterQueue = async (
  context: CallContext,
  request: DeadLetterRequest,
): Promise<{ status: Status }> => {
  const { broker, logger } = context.door
  const topic = checkTopicName(nameOf(request.topic))
  const group = checkGroupName(nameOf(request.group))
  try {
    const handle = openHandle(context, request.receiptHandle, { topic, group })
    await broker.deadLetter(handle, `the consumer gave up at attempt ${request.deliveryAttempt}`)
  } catch (error) {
    if (!isOver(error)) throw error
    const { clientId } = context
    const { messageId } = request
    logger.warn({ clientId, messageId, error }, 'a message to dead-letter is out of reach')
  }
  return { status: OK }
}
