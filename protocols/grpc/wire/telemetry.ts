import { recoverOrphanedTransaction } from './checked-message.ts'
import {
  type Endpoints,
  endpoints,
  type FilterExpression,
  filterExpression,
  milliseconds,
  type Resource,
  resource,
  type Status,
  status,
} from './common.ts'
import {
  boolField,
  floatField,
  integerField,
  listField,
  message,
  messageField,
  optionalBool,
  optionalInteger,
  textField,
  type ValueOf,
} from './fields.ts'

// message ExponentialBackoff { Duration initial = 1; Duration max = 2; float multiplier = 3; }
const exponentialBackoff = message<{
  initial: number | undefined
  max: number | undefined
  multiplier: number
}>({
  initial: messageField(1, milliseconds),
  max: messageField(2, milliseconds),
  multiplier: floatField(3),
})

// message CustomizedBackoff { repeated Duration next = 1; }
const customizedBackoff = message<{ next: readonly number[] }>({
  next: listField(1, milliseconds),
})

// message RetryPolicy { int32 max_attempts = 1; oneof strategy {
//   ExponentialBackoff exponential_backoff = 2; CustomizedBackoff customized_backoff = 3; } }
const retryPolicy = message<{
  maxAttempts: number
  exponential: ValueOf<typeof exponentialBackoff> | undefined
  customized: ValueOf<typeof customizedBackoff> | undefined
}>({
  maxAttempts: integerField(1),
  exponential: messageField(2, exponentialBackoff),
  customized: messageField(3, customizedBackoff),
})
export type RetryPolicy = ValueOf<typeof retryPolicy>

// message Publishing { repeated Resource topics = 1; int32 max_body_size = 2;
//   bool validate_message_type = 3; }
const publishing = message<{
  topics: readonly Resource[]
  maxBodySize: number
  validateMessageType: boolean
}>({
  topics: listField(1, resource),
  maxBodySize: integerField(2),
  validateMessageType: boolField(3),
})

// message SubscriptionEntry { Resource topic = 1; FilterExpression expression = 2; }
const subscriptionEntry = message<{
  topic: Resource | undefined
  expression: FilterExpression | undefined
}>({
  topic: messageField(1, resource),
  expression: messageField(2, filterExpression),
})

// message Subscription { optional Resource group = 1; repeated SubscriptionEntry subscriptions = 2;
//   optional bool fifo = 3; optional int32 receive_batch_size = 4;
//   optional Duration long_polling_timeout = 5; optional int32 lite_subscription_quota = 6;
//   optional int32 max_lite_topic_size = 7; }
const subscription = message<{
  group: Resource | undefined
  subscriptions: readonly ValueOf<typeof subscriptionEntry>[]
  fifo: boolean | undefined
  receiveBatchSize: number | undefined
  longPollingMs: number | undefined
  liteSubscriptionQuota: number | undefined
  liteTopicSizeMax: number | undefined
}>({
  group: messageField(1, resource),
  subscriptions: listField(2, subscriptionEntry),
  fifo: optionalBool(3),
  receiveBatchSize: optionalInteger(4),
  longPollingMs: messageField(5, milliseconds),
  liteSubscriptionQuota: optionalInteger(6),
  liteTopicSizeMax: optionalInteger(7),
})

export const languages = { python: 6, nodeJs: 8 } as const

// message UA { Language language = 1; string version = 2; string platform = 3; string hostname = 4;
// }
const userAgent = message<{
  language: number
  version: string
  platform: string
  hostname: string
}>({
  language: integerField(1),
  version: textField(2),
  platform: textField(3),
  hostname: textField(4),
})

// message Metric { bool on = 1; optional Endpoints endpoints = 2; }
const metric = message<{ on: boolean; endpoints: Endpoints | undefined }>({
  on: boolField(1),
  endpoints: messageField(2, endpoints),
})

const property = message<{ key: string; value: string }>({ key: textField(1), value: textField(2) })

// message Settings { optional ClientType client_type = 1; optional Endpoints access_point = 2;
//   optional RetryPolicy backoff_policy = 3; optional Duration request_timeout = 4;
//   oneof pub_sub { Publishing publishing = 5; Subscription subscription = 6; }
//   UA user_agent = 7; Metric metric = 8; map<string, string> client_properties = 9; }
export const settings = message<{
  clientType: number | undefined
  accessPoint: Endpoints | undefined
  backoffPolicy: RetryPolicy | undefined
  requestTimeoutMs: number | undefined
  publishing: ValueOf<typeof publishing> | undefined
  subscription: ValueOf<typeof subscription> | undefined
  userAgent: ValueOf<typeof userAgent> | undefined
  metric: ValueOf<typeof metric> | undefined
  clientProperties: readonly ValueOf<typeof property>[]
}>({
  clientType: optionalInteger(1),
  accessPoint: messageField(2, endpoints),
  backoffPolicy: messageField(3, retryPolicy),
  requestTimeoutMs: messageField(4, milliseconds),
  publishing: messageField(5, publishing),
  subscription: messageField(6, subscription),
  userAgent: messageField(7, userAgent),
  metric: messageField(8, metric),
  clientProperties: listField(9, property),
})
export type Settings = ValueOf<typeof settings>

// message TelemetryCommand { optional Status status = 1; oneof command { Settings settings = 2; …
//   RecoverOrphanedTransactionCommand recover_orphaned_transaction_command = 5; … } }
// The other commands are never said, and answers to them are skipped, whatever oneof they come in.
export const telemetryCommand = message<{
  status: Status | undefined
  settings: Settings | undefined
  check: ValueOf<typeof recoverOrphanedTransaction> | undefined
}>({
  status: messageField(1, status),
  settings: messageField(2, settings),
  check: messageField(5, recoverOrphanedTransaction),
})
