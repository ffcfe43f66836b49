import { type Resource, resource, type Status, status } from './common.ts'
import { integerField, message, messageField, textField, type ValueOf } from './fields.ts'

// message HeartbeatRequest { optional Resource group = 1; ClientType client_type = 2; }
export const heartbeatRequest = message<{ group: Resource | undefined; clientType: number }>({
  group: messageField(1, resource),
  clientType: integerField(2),
})
export type HeartbeatRequest = ValueOf<typeof heartbeatRequest>

// message NotifyClientTerminationRequest { optional Resource group = 1; }
export const notifyClientTerminationRequest = message<{ group: Resource | undefined }>({
  group: messageField(1, resource),
})

// message EndTransactionRequest { Resource topic = 1; string message_id = 2;
//   string transaction_id = 3; TransactionResolution resolution = 4; TransactionSource source = 5;
//   string trace_context = 6; }
export const endTransactionRequest = message<{
  topic: Resource | undefined
  messageId: string
  transactionId: string
  resolution: number
}>({
  topic: messageField(1, resource),
  messageId: textField(2),
  transactionId: textField(3),
  resolution: integerField(4),
})
// enum TransactionResolution; 0 leaves the transaction as it is.
export const resolutions = { commit: 1, rollback: 2 } as const
export type EndTransactionRequest = ValueOf<typeof endTransactionRequest>

// message RecallMessageRequest { Resource topic = 1; string recall_handle = 2; }
export const recallMessageRequest = message<{ topic: Resource | undefined; recallHandle: string }>({
  topic: messageField(1, resource),
  recallHandle: textField(2),
})
export type RecallMessageRequest = ValueOf<typeof recallMessageRequest>

// message RecallMessageResponse { Status status = 1; string message_id = 2; }
export const recallMessageResponse = message<{ status: Status | undefined; messageId: string }>({
  status: messageField(1, status),
  messageId: textField(2),
})
export type RecallMessageResponse = ValueOf<typeof recallMessageResponse>
