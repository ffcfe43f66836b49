import { hash } from 'node:crypto'
import type { StoredMessage } from '../../../model/message/message.ts'
import type { Delivery } from '../../../model/ports.ts'
import { textSize } from '../../../model/wire/text.ts'
import { putVarint, varintSize } from '../../../model/wire/varint.ts'
import { messageTypeNumbers, milliseconds } from './common.ts'

// message ReceiveMessageResponse { oneof content { …; Message message = 2; … } }
const RESPONSE_MESSAGE = (2 << 3) | 2
// message Message { Resource topic = 1; map<string, string> user_properties = 2;
//   SystemProperties system_properties = 3; bytes body = 4; }
const TOPIC = (1 << 3) | 2
const SYSTEM_PROPERTIES = (3 << 3) | 2
const BODY = (4 << 3) | 2
// message Resource { …; string name = 2; }
const RESOURCE_NAME = (2 << 3) | 2
// message SystemProperties, what the broker decides: Digest body_digest = 4;
//   Encoding body_encoding = 5; MessageType message_type = 6; optional Timestamp store_timestamp =
// 9;
//   string store_host = 10; optional string receipt_handle = 12; int32 queue_id = 13;
//   optional int64 queue_offset = 14; optional Duration invisible_duration = 15;
//   optional int32 delivery_attempt = 16;
const STORE_TIMESTAMP = (9 << 3) | 2
const STORE_HOST = (10 << 3) | 2
const RECEIPT_HANDLE = (12 << 3) | 2
const QUEUE_ID = 13 << 3
const QUEUE_OFFSET = 14 << 3
const INVISIBLE_DURATION = (15 << 3) | 2
const DELIVERY_ATTEMPT = 16 << 3

const MD5_HEX = 32
/** body_digest { DigestType type = 1 (MD5 = 2); string checksum = 2 } up to the checksum. */
const digestHead = Buffer.from([(4 << 3) | 2, 4 + MD5_HEX, 8, 2, (2 << 3) | 2, MD5_HEX])
/** body_encoding = IDENTITY and the tag of message_type. */
const encodingHead = Buffer.from([5 << 3, 1, 6 << 3])
const FIXED_SIZE = digestHead.length + MD5_HEX + encodingHead.length + 1

/** Upper-case hex MD5, the one digest that all clients spell alike (RocketMQ gRPC 6). */
export const bodyDigest = (body: Uint8Array): string => hash('md5', body, 'hex').toUpperCase()

/** What all messages of one receive have in common, encoded once. */
export interface DeliveryHeads {
  /** The `topic` field of a message. */
  readonly topic: Buffer
  /** `store_host` and `invisible_duration`. */
  readonly system: Buffer
}

const textField = (tag: number, text: string): Buffer => {
  const value = Buffer.from(text, 'utf8')
  const head = Buffer.allocUnsafe(varintSize(tag) + varintSize(value.length))
  putVarint(head, putVarint(head, 0, tag), value.length)
  return Buffer.concat([head, value])
}

export const deliveryHeads = (about: {
  readonly topic: string
  readonly storeHost: string
  readonly invisibleMs: number
}): DeliveryHeads => {
  const name = textField(RESOURCE_NAME, about.topic)
  const duration = milliseconds.encode(about.invisibleMs)
  return {
    topic: Buffer.concat([Buffer.from([TOPIC]), lengthOf(name), name]),
    system: Buffer.concat([
      textField(STORE_HOST, about.storeHost),
      Buffer.from([INVISIBLE_DURATION, duration.length]),
      duration,
    ]),
  }
}

const lengthOf = ({ length }: Buffer): Buffer => {
  const bytes = Buffer.allocUnsafe(varintSize(length))
  putVarint(bytes, 0, length)
  return bytes
}

/** What differs from message to message, with the sizes that are needed twice. */
interface OwnFields {
  readonly seconds: number
  readonly nanos: number
  readonly timestampSize: number
  readonly handle: string
  readonly handleSize: number
  readonly size: number
}

const ownFields = (message: StoredMessage, attempt: number, handle: string): OwnFields => {
  const seconds = Math.floor(message.storeAtMs / 1000)
  const nanos = Math.floor(message.storeAtMs - seconds * 1000) * 1_000_000
  const timestampSize = 1 + varintSize(seconds) + (nanos > 0 ? 1 + varintSize(nanos) : 0)
  const handleSize = textSize(handle)
  const size =
    FIXED_SIZE +
    (2 + timestampSize) +
    (1 + varintSize(handleSize) + handleSize) +
    (1 + varintSize(message.queueId)) +
    (1 + varintSize(message.queueOffset)) +
    (2 + varintSize(attempt))
  return { seconds, nanos, timestampSize, handle, handleSize, size }
}

const putOwn = (bytes: Buffer, start: number, delivery: Delivery, own: OwnFields): number => {
  const { message, attempt } = delivery
  let at = start + digestHead.copy(bytes, start)
  at += bytes.write(bodyDigest(message.body), at, 'latin1')
  at += encodingHead.copy(bytes, at)
  bytes[at++] = messageTypeNumbers[message.type]
  bytes[at++] = STORE_TIMESTAMP
  bytes[at++] = own.timestampSize
  at = putVarint(bytes, putVarint(bytes, at, 8), own.seconds)
  if (own.nanos > 0) at = putVarint(bytes, putVarint(bytes, at, 16), own.nanos)
  bytes[at++] = RECEIPT_HANDLE
  at = putVarint(bytes, at, own.handleSize)
  at += bytes.write(own.handle, at, 'utf8')
  at = putVarint(bytes, putVarint(bytes, at, QUEUE_ID), message.queueId)
  at = putVarint(bytes, putVarint(bytes, at, QUEUE_OFFSET), message.queueOffset)
  return putVarint(bytes, putVarint(bytes, at, DELIVERY_ATTEMPT), attempt)
}

/**
 * A delivered message as a whole `ReceiveMessageResponse`. Stored blocks are copied as they lie.
 *
 * There is exactly one `system_properties` field: conforming parsers would merge a second one,
 * google-protobuf's JS code replaces the first (RocketMQ gRPC 12.4). What the broker decides comes
 * first in it, so that a stored `body_encoding` of a compressed body has the last word.
 */
export const encodeDelivery = (
  delivery: Delivery,
  handle: string,
  heads: DeliveryHeads,
): Buffer => {
  const { message } = delivery
  const { system, properties, body } = message
  const own = ownFields(message, delivery.attempt, handle)
  const systemSize = own.size + heads.system.length + system.length
  const size =
    heads.topic.length +
    properties.length +
    (1 + varintSize(systemSize) + systemSize) +
    (1 + varintSize(body.length) + body.length)
  const bytes = Buffer.allocUnsafe(1 + varintSize(size) + size)
  let at = putVarint(bytes, putVarint(bytes, 0, RESPONSE_MESSAGE), size)
  at += heads.topic.copy(bytes, at)
  bytes.set(properties, at)
  at += properties.length
  at = putVarint(bytes, putVarint(bytes, at, SYSTEM_PROPERTIES), systemSize)
  at = putOwn(bytes, at, delivery, own)
  at += heads.system.copy(bytes, at)
  bytes.set(system, at)
  at += system.length
  at = putVarint(bytes, putVarint(bytes, at, BODY), body.length)
  bytes.set(body, at)
  return bytes
}
