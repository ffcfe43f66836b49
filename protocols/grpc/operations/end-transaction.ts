import { checkTopicName } from '../../../model/addressing/names.ts'
import { BrokerError } from '../../../model/errors.ts'
import type { TransactionResolution } from '../../../model/transaction/transactions.ts'
import type { CallContext } from '../context.ts'
import { OK } from '../status.ts'
import { type EndTransactionRequest, resolutions } from '../wire/clients.ts'
import { nameOf, type Status } from '../wire/common.ts'

const resolutionOf = (number: number): TransactionResolution | undefined => {
  if (number === resolutions.commit) return 'commit'
  return number === resolutions.rollback ? 'rollback' : undefined
}

/**
 * RocketMQ gRPC 4.9, of the producer's own accord or as its answer to a check. Any other
 * resolution leaves the transaction pending and is answered OK, as the reference does.
 */
export const endTransaction = async (
  { door: { broker }, clientId }: CallContext,
  { topic: resource, transactionId, messageId, ...asked }: EndTransactionRequest,
): Promise<{ status: Status }> => {
  const topic = checkTopicName(nameOf(resource))
  if (transactionId.trim() === '') throw new BrokerError('TRANSACTION_ID_INVALID', {})
  broker.sessions.touch(clientId, 'producer')
  const resolution = resolutionOf(asked.resolution)
  if (resolution !== undefined)
    await broker.transactions.end({ topic, transactionId, messageId, resolution })
  return { status: OK }
}
