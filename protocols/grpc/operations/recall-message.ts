import { checkTopicName } from '../../../model/addressing/names.ts'
import { BrokerError } from '../../../model/errors.ts'
import type { CallContext } from '../context.ts'
import type { RecallMessageRequest } from '../wire/clients.ts'
import { nameOf, type Status } from '../wire/common.ts'

/** RocketMQ gRPC 4.11. No message is scheduled yet, so there is none to recall. */
export const recallMessage = (
  _: CallContext,
  request: RecallMessageRequest,
): { status: Status } => {
  checkTopicName(nameOf(request.topic))
  throw new BrokerError('NOT_BUILT', { what: 'RecallMessage' })
}
