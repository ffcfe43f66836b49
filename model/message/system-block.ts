import { textOf, textSize } from '../wire/text.ts'
import { Cursor, putVarint, varintSize } from '../wire/varint.ts'
import type { MessageOrigin, SystemFields } from './message.ts'

/**
 * The `system` block of a message: the fields of `apache.rocketmq.v2.SystemProperties`
 * that a producer decides, under their numbers there. What the broker decides
 * (offsets, store time, receipt handle…) is added by the door at delivery.
 */
export const systemField = {
  tag: 1,
  key: 2,
  messageId: 3,
  bornAt: 7,
  bornHost: 8,
  deliverAt: 11,
  messageGroup: 17,
  traceContext: 18,
  origin: 20,
} as const

const LENGTH_DELIMITED = 2
/** Texts this short take 127 bytes at most. */
const SHORT_CHARACTERS = 43

const textFieldSize = (field: number, text: string): number => {
  if (text === '') return 0
  const size = textSize(text)
  return varintSize(field << 3) + varintSize(size) + size
}

const putTextField = (bytes: Buffer, at: number, field: number, text: string): number => {
  if (text === '') return at
  const head = putVarint(bytes, at, (field << 3) | LENGTH_DELIMITED)
  if (text.length < SHORT_CHARACTERS) {
    // At most 127 bytes: the length takes one, which is filled in afterwards.
    const size = bytes.write(text, head + 1, 'utf8')
    bytes[head] = size
    return head + 1 + size
  }
  const body = putVarint(bytes, head, textSize(text))
  return body + bytes.write(text, body, 'utf8')
}

const putTimestampField = (bytes: Buffer, at: number, field: number, ms: number): number => {
  const head = putVarint(bytes, at, (field << 3) | LENGTH_DELIMITED)
  return putTimestamp(bytes, putVarint(bytes, head, timestampSize(ms)), ms)
}

const timestampSize = (ms: number): number => {
  const seconds = Math.floor(ms / 1000)
  const nanos = (ms - seconds * 1000) * 1_000_000
  return (seconds > 0 ? 1 + varintSize(seconds) : 0) + (nanos > 0 ? 1 + varintSize(nanos) : 0)
}

/** A protobuf Timestamp of whole milliseconds. */
const putTimestamp = (bytes: Buffer, at: number, ms: number): number => {
  const seconds = Math.floor(ms / 1000)
  const nanos = (ms - seconds * 1000) * 1_000_000
  let position = at
  if (seconds > 0) position = putVarint(bytes, putVarint(bytes, position, 8), seconds)
  if (nanos > 0) position = putVarint(bytes, putVarint(bytes, position, 16), nanos)
  return position
}

/** Blocks are put together one behind the other: their size is known only at the end. */
const SLAB_BYTES = 64 << 10
let slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
let slabUsed = 0
const FIXED_BYTES = 64

export const encodeSystem = (fields: SystemFields): Buffer => {
  // Three bytes a character at most, and what tags and lengths take.
  let characters = fields.messageId.length + fields.tag.length + fields.messageGroup.length
  characters += fields.bornHost.length + fields.traceContext.length
  for (const key of fields.keys) characters += key.length + 4
  if (fields.origin) characters += originCharacters(fields.origin)
  const size = characters * 3 + FIXED_BYTES
  if (size > slab.length - slabUsed) {
    slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, size))
    slabUsed = 0
  }
  const from = slabUsed
  slabUsed = putSystem(slab, from, fields)
  return slab.subarray(from, slabUsed)
}

const originCharacters = ({ topic, messageId, messageGroup = '' }: MessageOrigin): number =>
  topic.length + messageId.length + messageGroup.length

const putSystem = (bytes: Buffer, from: number, fields: SystemFields): number => {
  let at = putTextField(bytes, from, systemField.tag, fields.tag)
  for (const key of fields.keys) at = putTextField(bytes, at, systemField.key, key)
  at = putTextField(bytes, at, systemField.messageId, fields.messageId)
  if (fields.bornAtMs > 0) at = putTimestampField(bytes, at, systemField.bornAt, fields.bornAtMs)
  at = putTextField(bytes, at, systemField.bornHost, fields.bornHost)
  if (fields.deliverAtMs !== undefined)
    at = putTimestampField(bytes, at, systemField.deliverAt, fields.deliverAtMs)
  at = putTextField(bytes, at, systemField.messageGroup, fields.messageGroup)
  at = putTextField(bytes, at, systemField.traceContext, fields.traceContext)
  if (fields.origin) {
    const { topic, messageId, messageGroup = '' } = fields.origin
    const originSize =
      textFieldSize(1, topic) + textFieldSize(2, messageId) + textFieldSize(3, messageGroup)
    at = putVarint(bytes, at, (systemField.origin << 3) | LENGTH_DELIMITED)
    at = putVarint(bytes, at, originSize)
    at = putTextField(bytes, at, 1, topic)
    at = putTextField(bytes, at, 2, messageId)
    at = putTextField(bytes, at, 3, messageGroup)
  }
  return at
}

/** Milliseconds of a protobuf Timestamp. */
const timestampMs = (bytes: Uint8Array): number => {
  const cursor = new Cursor(bytes)
  let ms = 0
  while (!cursor.done) {
    const tag = cursor.varint()
    if (tag === 8) ms += cursor.varint() * 1000
    else if (tag === 16) ms += Math.floor(cursor.varint() / 1_000_000)
    else cursor.skip(tag & 7)
  }
  return ms
}

const readOrigin = (bytes: Uint8Array): MessageOrigin => {
  const origin = { topic: '', messageId: '' }
  let messageGroup = ''
  const cursor = new Cursor(bytes)
  while (!cursor.done) {
    const tag = cursor.varint()
    if (tag === 10) origin.topic = textOf(cursor.take(cursor.varint()))
    else if (tag === 18) origin.messageId = textOf(cursor.take(cursor.varint()))
    else if (tag === 26) messageGroup = textOf(cursor.take(cursor.varint()))
    else cursor.skip(tag & 7)
  }
  return messageGroup === '' ? origin : { ...origin, messageGroup }
}

/** Reads a whole block; fields it does not know are skipped. */
export const decodeSystem = (bytes: Uint8Array): SystemFields => {
  const fields = {
    messageId: '',
    tag: '',
    keys: [] as string[],
    messageGroup: '',
    bornAtMs: 0,
    bornHost: '',
    traceContext: '',
  }
  let origin: SystemFields['origin']
  let deliverAtMs: number | undefined
  const cursor = new Cursor(bytes)
  while (!cursor.done) {
    const tag = cursor.varint()
    if ((tag & 7) !== LENGTH_DELIMITED) {
      cursor.skip(tag & 7)
      continue
    }
    const value = cursor.take(cursor.varint())
    switch (tag >>> 3) {
      case systemField.tag:
        fields.tag = textOf(value)
        break
      case systemField.key:
        fields.keys.push(textOf(value))
        break
      case systemField.messageId:
        fields.messageId = textOf(value)
        break
      case systemField.bornAt:
        fields.bornAtMs = timestampMs(value)
        break
      case systemField.bornHost:
        fields.bornHost = textOf(value)
        break
      case systemField.deliverAt:
        deliverAtMs = timestampMs(value)
        break
      case systemField.messageGroup:
        fields.messageGroup = textOf(value)
        break
      case systemField.traceContext:
        fields.traceContext = textOf(value)
        break
      case systemField.origin:
        origin = readOrigin(value)
        break
    }
  }
  if (deliverAtMs === undefined && origin === undefined) return fields
  return {
    ...fields,
    ...(deliverAtMs === undefined ? {} : { deliverAtMs }),
    ...(origin ? { origin } : {}),
  }
}

const EMPTY = new Uint8Array(0)

/** The raw bytes of the tag, without decoding the rest: the exact comparison of tag filters. */
export const tagBytesOf = (system: Uint8Array): Uint8Array => {
  const cursor = new Cursor(system)
  while (!cursor.done) {
    const tag = cursor.varint()
    if (tag === ((systemField.tag << 3) | LENGTH_DELIMITED)) return cursor.take(cursor.varint())
    cursor.skip(tag & 7)
  }
  return EMPTY
}
