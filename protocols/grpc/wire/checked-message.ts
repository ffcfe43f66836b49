import type { TransactionCheck } from '../../../model/transaction/transactions.ts'
import { messageTypeNumbers, milliseconds, type Resource, resource } from './common.ts'
import { bodyDigest } from './delivered-message.ts'
import {
  integerField,
  message,
  messageField,
  optionalBytes,
  textField,
  type ValueOf,
} from './fields.ts'

// message Digest { DigestType type = 1; string checksum = 2; }
const digest = message<{ type: number; checksum: string }>({
  type: integerField(1),
  checksum: textField(2),
})
const MD5 = 2
const IDENTITY = 1

// message SystemProperties, what the broker decides: Digest body_digest = 4;
//   Encoding body_encoding = 5; MessageType message_type = 6;
//   optional Timestamp store_timestamp = 9; string store_host = 10;
const decided = message<{
  digest: ValueOf<typeof digest> | undefined
  encoding: number
  type: number
  storeAtMs: number | undefined
  storeHost: string
}>({
  digest: messageField(4, digest),
  encoding: integerField(5),
  type: integerField(6),
  storeAtMs: messageField(9, milliseconds),
  storeHost: textField(10),
})

// message Message { Resource topic = 1; map<string, string> user_properties = 2;
//   SystemProperties system_properties = 3; bytes body = 4; }
const head = message<{ topic: Resource | undefined }>({ topic: messageField(1, resource) })
const tail = message<{ system: Uint8Array | undefined; body: Uint8Array | undefined }>({
  system: optionalBytes(3),
  body: optionalBytes(4),
})

// message RecoverOrphanedTransactionCommand { Message message = 1; string transaction_id = 2; }
export const recoverOrphanedTransaction = message<{
  message: Uint8Array | undefined
  transactionId: string
}>({ message: optionalBytes(1), transactionId: textField(2) })

/**
 * The command by which a producer is asked what became of its half message: the whole message,
 * with a digest, without which the Node client fails (RocketMQ gRPC 6). Stored blocks are copied
 * as they lie, and what the broker decides comes first, as in a delivered message.
 */
export const checkCommand = (
  { transactionId, message: half }: TransactionCheck,
  storeHost: string,
): ValueOf<typeof recoverOrphanedTransaction> => {
  const brokers = decided.encode({
    digest: { type: MD5, checksum: bodyDigest(half.body) },
    encoding: IDENTITY,
    type: messageTypeNumbers[half.type],
    storeAtMs: half.storeAtMs,
    storeHost,
  })
  const system = Buffer.concat([brokers, half.system])
  const bytes = Buffer.concat([
    head.encode({ topic: { namespace: '', name: half.topic } }),
    half.properties,
    tail.encode({ system, body: half.body }),
  ])
  return { message: bytes, transactionId }
}
