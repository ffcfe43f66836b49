import {
  type Codec,
  integerField,
  listField,
  message,
  messageField,
  textField,
  type ValueOf,
} from './fields.ts'

/** The messages that many others contain (`apache/rocketmq/v2/definition.proto`). */

// message Resource { string resource_namespace = 1; string name = 2; }
export const resource = message<{ namespace: string; name: string }>({
  namespace: textField(1),
  name: textField(2),
})
export type Resource = ValueOf<typeof resource>

// message Status { Code code = 1; string message = 2; }
const anyStatus = message<{ code: number; message: string }>({
  code: integerField(1),
  message: textField(2),
})
export type Status = Readonly<ValueOf<typeof anyStatus>>

export const OK: Status = Object.freeze({ code: 20_000, message: 'OK' })
const okBytes = anyStatus.encode(OK)

/** Nearly every status is OK, by identity, and is written from its bytes. */
export const status: Codec<Status> = {
  ...anyStatus,
  size: (value) => (value === OK ? okBytes.length : anyStatus.size(value)),
  put: (bytes, at, value) =>
    value === OK ? at + okBytes.copy(bytes, at) : anyStatus.put(bytes, at, value),
}

// message Address { string host = 1; int32 port = 2; }
const address = message<{ host: string; port: number }>({
  host: textField(1),
  port: integerField(2),
})
export type Address = ValueOf<typeof address>

export const addressSchemes = { ipv4: 1, ipv6: 2, domain: 3 } as const

// message Endpoints { AddressScheme scheme = 1; repeated Address addresses = 2; }
export const endpoints = message<{ scheme: number; addresses: readonly Address[] }>({
  scheme: integerField(1),
  addresses: listField(2, address),
})
export type Endpoints = ValueOf<typeof endpoints>

// message FilterExpression { FilterType type = 1; string expression = 2; }
export const filterExpression = message<{ type: number; expression: string }>({
  type: integerField(1),
  expression: textField(2),
})
export type FilterExpression = ValueOf<typeof filterExpression>

export const filterTypes = { unspecified: 0, tag: 1, sql: 2 } as const

// enum ClientType
export const clientTypes = {
  unspecified: 0,
  producer: 1,
  pushConsumer: 2,
  simpleConsumer: 3,
  pullConsumer: 4,
  litePushConsumer: 5,
  liteSimpleConsumer: 6,
} as const

// enum MessageType
export const messageTypeNumbers = {
  NORMAL: 1,
  FIFO: 2,
  DELAY: 3,
  TRANSACTION: 4,
  LITE: 5,
  PRIORITY: 6,
} as const

// message Duration and message Timestamp { int64 seconds = 1; int32 nanos = 2; }
const secondsAndNanos = message<{ seconds: number; nanos: number }>({
  seconds: integerField(1),
  nanos: integerField(2),
})

const msOf = ({ seconds, nanos }: { seconds: number; nanos: number }): number =>
  seconds * 1000 + Math.trunc(nanos / 1_000_000)

const partsOf = (ms: number): { seconds: number; nanos: number } => {
  const seconds = Math.floor(ms / 1000)
  return { seconds, nanos: Math.floor(ms - seconds * 1000) * 1_000_000 }
}

/** A Duration or a Timestamp as whole milliseconds. */
export const milliseconds: Codec<number> = {
  decode: (bytes) => msOf(secondsAndNanos.decode(bytes)),
  encode: (ms) => secondsAndNanos.encode(partsOf(ms)),
  merge: (cursor, before) =>
    msOf(secondsAndNanos.merge(cursor, before === undefined ? undefined : partsOf(before))),
  size: (ms) => secondsAndNanos.size(partsOf(ms)),
  put: (bytes, at, ms) => secondsAndNanos.put(bytes, at, partsOf(ms)),
}

/** A reply that holds nothing but a status, as most do. */
export const statusReply = message<{ status: Status | undefined }>({
  status: messageField(1, status),
})

export const nameOf = (named: Resource | undefined): string => named?.name ?? ''
