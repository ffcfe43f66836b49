import {
  filterExpression,
  milliseconds,
  type Resource,
  resource,
  type Status,
  status,
} from './common.ts'
import {
  boolField,
  integerField,
  listField,
  message,
  messageField,
  optionalText,
  textField,
  type ValueOf,
} from './fields.ts'
import { type MessageQueue, messageQueue } from './routes.ts'

/** Requests and replies about deliveries: receive, ack, change, dead-letter. */

// message ReceiveMessageRequest { Resource group = 1; MessageQueue message_queue = 2;
//   FilterExpression filter_expression = 3; int32 batch_size = 4;
//   optional Duration invisible_duration = 5; bool auto_renew = 6;
//   optional Duration long_polling_timeout = 7; optional string attempt_id = 8; }
export const receiveMessageRequest = message<{
  group: Resource | undefined
  messageQueue: MessageQueue | undefined
  filter: ValueOf<typeof filterExpression> | undefined
  batchSize: number
  invisibleMs: number | undefined
  autoRenew: boolean
  longPollingMs: number | undefined
  attemptId: string | undefined
}>({
  group: messageField(1, resource),
  messageQueue: messageField(2, messageQueue),
  filter: messageField(3, filterExpression),
  batchSize: integerField(4),
  invisibleMs: messageField(5, milliseconds),
  autoRenew: boolField(6),
  longPollingMs: messageField(7, milliseconds),
  attemptId: optionalText(8),
})
export type ReceiveMessageRequest = ValueOf<typeof receiveMessageRequest>

// message ReceiveMessageResponse { oneof content { Status status = 1; Message message = 2;
//   Timestamp delivery_timestamp = 3; } } The message is written by delivered-message.ts.
export const receiveMessageResponse = message<{
  status: Status | undefined
  deliveryAtMs: number | undefined
}>({
  status: messageField(1, status),
  deliveryAtMs: messageField(3, milliseconds),
})

// message AckMessageEntry { string message_id = 1; string receipt_handle = 2;
//   optional string lite_topic = 3; }
const ackEntry = message<{ messageId: string; receiptHandle: string }>({
  messageId: textField(1),
  receiptHandle: textField(2),
})
export type AckEntry = ValueOf<typeof ackEntry>

// message AckMessageRequest { Resource group = 1; Resource topic = 2;
//   repeated AckMessageEntry entries = 3; }
export const ackMessageRequest = message<{
  group: Resource | undefined
  topic: Resource | undefined
  entries: readonly AckEntry[]
}>({
  group: messageField(1, resource),
  topic: messageField(2, resource),
  entries: listField(3, ackEntry),
})
export type AckMessageRequest = ValueOf<typeof ackMessageRequest>

// message AckMessageResultEntry { string message_id = 1; string receipt_handle = 2;
//   Status status = 3; }
const ackResult = message<{
  messageId: string
  receiptHandle: string
  status: Status | undefined
}>({
  messageId: textField(1),
  receiptHandle: textField(2),
  status: messageField(3, status),
})
export type AckResult = ValueOf<typeof ackResult>

// message AckMessageResponse { Status status = 1; repeated AckMessageResultEntry entries = 2; }
export const ackMessageResponse = message<{
  status: Status | undefined
  entries: readonly AckResult[]
}>({
  status: messageField(1, status),
  entries: listField(2, ackResult),
})
export type AckMessageResponse = ValueOf<typeof ackMessageResponse>

// message ChangeInvisibleDurationRequest { Resource group = 1; Resource topic = 2;
//   string receipt_handle = 3; Duration invisible_duration = 4; string message_id = 5;
//   optional string lite_topic = 6; optional bool suspend = 7; }
export const changeInvisibleDurationRequest = message<{
  group: Resource | undefined
  topic: Resource | undefined
  receiptHandle: string
  invisibleMs: number | undefined
  messageId: string
}>({
  group: messageField(1, resource),
  topic: messageField(2, resource),
  receiptHandle: textField(3),
  invisibleMs: messageField(4, milliseconds),
  messageId: textField(5),
})
export type ChangeInvisibleDurationRequest = ValueOf<typeof changeInvisibleDurationRequest>

// message ChangeInvisibleDurationResponse { Status status = 1; string receipt_handle = 2; }
export const changeInvisibleDurationResponse = message<{
  status: Status | undefined
  receiptHandle: string
}>({
  status: messageField(1, status),
  receiptHandle: textField(2),
})
export type ChangeInvisibleDurationResponse = ValueOf<typeof changeInvisibleDurationResponse>

// message ForwardMessageToDeadLetterQueueRequest { Resource group = 1; Resource topic = 2;
//   string receipt_handle = 3; string message_id = 4; int32 delivery_attempt = 5;
//   int32 max_delivery_attempts = 6; optional string lite_topic = 7; }
export const deadLetterRequest = message<{
  group: Resource | undefined
  topic: Resource | undefined
  receiptHandle: string
  messageId: string
  deliveryAttempt: number
  maxDeliveryAttempts: number
}>({
  group: messageField(1, resource),
  topic: messageField(2, resource),
  receiptHandle: textField(3),
  messageId: textField(4),
  deliveryAttempt: integerField(5),
  maxDeliveryAttempts: integerField(6),
})
export type DeadLetterRequest = ValueOf<typeof deadLetterRequest>
