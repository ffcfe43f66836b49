import { checkTopicName } from '../../../model/addressing/names.ts'
import { BrokerError } from '../../../model/errors.ts'
import type { CallContext } from '../context.ts'
import type { EndTransactionRequest } from '../wire/clients.ts'
import { nameOf, type Status } from '../wire/common.ts'

/** RocketMQ gRPC 4.9. Transactions are not built; a blank id is refused for what it is. */
export const endTransaction = (
  _: CallContext,
  request: EndTransactionRequest,
): { status: Status } => {
  checkTopicName(nameOf(request.topic))
  if (request.transactionId.trim() === '') throw new BrokerError('TRANSACTION_ID_INVALID', {})
  throw new BrokerError('NOT_BUILT', { what: 'EndTransaction' })
}
