/** RocketMQ's message types, by their numbers on the wire. */
export const messageTypes = ['NORMAL', 'FIFO', 'DELAY', 'TRANSACTION'] as const
export type MessageType = (typeof messageTypes)[number]

/**
 * A message encoded once, at the door: what `append` stores without looking inside.
 *
 * `system` and `properties` are protobuf field blocks (docs/formats/message.md), so
 * a door that speaks protobuf copies them through and any other door can read them.
 */
export interface EncodedMessage {
  readonly type: MessageType
  readonly messageId: string
  readonly tag: string
  readonly messageGroup: string
  readonly keys: readonly string[]
  readonly system: Uint8Array
  readonly properties: Uint8Array
  readonly body: Uint8Array
  /** Not into its topic before this, wall clock. With a transaction: counted once committed. */
  readonly deliverAtMs?: number
  /** Transactions only: asks the producer so long after the send for the first time. */
  readonly checkAfterMs?: number
}

/**
 * A message as it lies in the CommitLog. The blocks share memory with the log: never write to them.
 */
export interface StoredMessage {
  readonly topic: string
  readonly topicId: number
  readonly queueId: number
  readonly queueOffset: number
  readonly physicalOffset: number
  /** When the broker admitted it, wall clock; never decreasing along the log. */
  readonly storeAtMs: number
  readonly type: MessageType
  readonly system: Uint8Array
  readonly properties: Uint8Array
  readonly body: Uint8Array
}

export interface MessageOrigin {
  readonly topic: string
  readonly messageId: string
  /** So that a redrive can restore the order. */
  readonly messageGroup?: string
}

/** The readable parts of a `system` block. */
export interface SystemFields {
  readonly messageId: string
  readonly tag: string
  readonly keys: readonly string[]
  readonly messageGroup: string
  readonly bornAtMs: number
  readonly bornHost: string
  readonly traceContext: string
  /** When the producer wanted it delivered, wall clock; undefined when it named no time. */
  readonly deliverAtMs?: number
  /** Set on dead letters only: where the message came from. */
  readonly origin?: MessageOrigin
}
