import type { DeferredKind } from '../../model/deferred/deferred.ts'
import type { MessageType, StoredMessage } from '../../model/message/message.ts'
import { messageTypes } from '../../model/message/message.ts'
import { type Cursor, putVarint, varintSize } from '../../model/wire/varint.ts'
import { factType } from './fact-type.ts'
import { putRecordHead, recordSize } from './record.ts'

/**
 * `message.appended`, `message.carried`, `message.deadLettered`, `message.redriven`, `timer.fired`
 * and `transaction.committed`: the same message after a prefix of numbers (none · the chunk it is
 * carried from · what it ends in the origin · the dead letter that it ends · the deferred message
 * that it was).
 */
export interface MessagePlace {
  readonly topicId: number
  readonly queueId: number
  readonly queueOffset: number
  readonly storeAtMs: number
}

export interface MessageContent {
  readonly type: MessageType
  readonly tagsCode: number
  readonly groupHash: number
  readonly system: Uint8Array
  readonly properties: Uint8Array
  readonly body: Uint8Array
}

/** Where a carried message stood before, and the bytes that die there. */
export interface CarriedFrom {
  readonly chunk: number
  readonly size: number
}

/** The delivery that a dead letter ends. */
export interface EndedDelivery {
  readonly groupId: number
  readonly topicId: number
  readonly queueId: number
  readonly queueOffset: number
}

/** The deferred message that came into its topic, and where it lay. */
export interface ReleasedDeferred extends CarriedFrom {
  readonly kind: DeferredKind
  readonly id: number
  readonly dueMs: number
}

/** The dead letter that its redrive ends. */
export interface EndedLetter {
  readonly topicId: number
  readonly queueId: number
  readonly queueOffset: number
}

export interface MessageFact extends MessagePlace, MessageContent {
  readonly carriedFrom: CarriedFrom | undefined
  readonly ends: EndedDelivery | undefined
  readonly releases: ReleasedDeferred | undefined
  readonly endsLetter: EndedLetter | undefined
}

/** Type 1, tag code 4, message group hash 4, store time 6. */
const FIXED_BYTES = 15
const TWO_32 = 0x1_0000_0000

const payloadSize = (place: MessagePlace, content: MessageContent, prefixBytes: number): number =>
  prefixBytes +
  varintSize(place.topicId) +
  varintSize(place.queueId) +
  varintSize(place.queueOffset) +
  FIXED_BYTES +
  varintSize(content.system.length) +
  content.system.length +
  varintSize(content.properties.length) +
  content.properties.length +
  content.body.length

const prefixSize = (prefix: readonly number[]): number => {
  let size = 0
  for (const value of prefix) size += varintSize(value)
  return size
}

const NO_PREFIX: readonly number[] = []

/** Bytes of the whole record. */
export const messageRecordSize = (
  place: MessagePlace,
  content: MessageContent,
  prefix = NO_PREFIX,
): number => recordSize(payloadSize(place, content, prefixSize(prefix)))

/** Encodes the record into place: the one copy of the body on its way in. */
export const putMessage = (
  bytes: Buffer,
  at: number,
  place: MessagePlace,
  content: MessageContent,
  { type = factType.messageAppended, prefix = NO_PREFIX }: PutOptions = {},
): void => {
  const { system, properties, body } = content
  let position = putRecordHead(bytes, at, type, payloadSize(place, content, prefixSize(prefix)))
  for (const value of prefix) position = putVarint(bytes, position, value)
  position = putVarint(bytes, position, place.topicId)
  position = putVarint(bytes, position, place.queueId)
  position = putVarint(bytes, position, place.queueOffset)
  bytes[position] = messageTypes.indexOf(content.type)
  bytes.writeUInt32BE(content.tagsCode, position + 1)
  bytes.writeUInt32BE(content.groupHash, position + 5)
  bytes.writeUInt16BE(Math.floor(place.storeAtMs / TWO_32), position + 9)
  bytes.writeUInt32BE(place.storeAtMs % TWO_32, position + 11)
  position = putVarint(bytes, position + FIXED_BYTES, system.length)
  bytes.set(system, position)
  position = putVarint(bytes, position + system.length, properties.length)
  bytes.set(properties, position)
  bytes.set(body, position + properties.length)
}

interface PutOptions {
  readonly type?: number
  readonly prefix?: readonly number[]
}

export const carriedPrefix = (from: CarriedFrom): readonly number[] => [from.chunk, from.size]

export const deadLetterPrefix = (ends: EndedDelivery): readonly number[] => [
  ends.groupId,
  ends.topicId,
  ends.queueId,
  ends.queueOffset,
]

export const releasedPrefix = (released: Omit<ReleasedDeferred, 'kind'>): readonly number[] => [
  released.id,
  released.dueMs,
  released.chunk,
  released.size,
]

export const readReleased = (kind: DeferredKind, payload: Cursor): ReleasedDeferred => ({
  kind,
  id: payload.varint(),
  dueMs: payload.varint(),
  chunk: payload.varint(),
  size: payload.varint(),
})

const readReleases = (type: number, payload: Cursor): ReleasedDeferred | undefined => {
  if (type === factType.timerFired) return readReleased('timer', payload)
  if (type === factType.transactionCommitted) return readReleased('transaction', payload)
  return undefined
}

export const redrivePrefix = (letter: EndedLetter): readonly number[] => [
  letter.topicId,
  letter.queueId,
  letter.queueOffset,
]

const readLetter = (payload: Cursor): EndedLetter => ({
  topicId: payload.varint(),
  queueId: payload.varint(),
  queueOffset: payload.varint(),
})

const readEnds = (payload: Cursor): EndedDelivery => ({
  groupId: payload.varint(),
  topicId: payload.varint(),
  queueId: payload.varint(),
  queueOffset: payload.varint(),
})

/** Reads without views: a view costs more than the number in it. */
const uint32 = (payload: Cursor): number => {
  const { bytes, at } = payload
  payload.skip(5)
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  )
}

const uint16 = (payload: Cursor): number => {
  const high = payload.byte()
  return (high << 8) | payload.byte()
}

/** Reads the record; blocks and body share the chunk's memory. */
export const readMessage = (type: number, payload: Cursor): MessageFact => {
  const carriedFrom =
    type === factType.messageCarried
      ? { chunk: payload.varint(), size: payload.varint() }
      : undefined
  const ends = type === factType.messageDeadLettered ? readEnds(payload) : undefined
  const releases = readReleases(type, payload)
  const endsLetter = type === factType.messageRedriven ? readLetter(payload) : undefined
  const topicId = payload.varint()
  const queueId = payload.varint()
  const queueOffset = payload.varint()
  const messageType = messageTypes[payload.byte()] ?? 'NORMAL'
  const tagsCode = uint32(payload)
  const groupHash = uint32(payload)
  const storeAtMs = uint16(payload) * TWO_32 + uint32(payload)
  const system = payload.take(payload.varint())
  const properties = payload.take(payload.varint())
  const body = payload.take(payload.end - payload.at)
  return {
    carriedFrom,
    ends,
    releases,
    endsLetter,
    topicId,
    queueId,
    queueOffset,
    storeAtMs,
    type: messageType,
    tagsCode,
    groupHash,
    system,
    properties,
    body,
  }
}

export const storedMessageOf = (
  fact: MessageFact,
  { topic, physicalOffset }: { topic: string; physicalOffset: number },
): StoredMessage => ({
  topic,
  topicId: fact.topicId,
  queueId: fact.queueId,
  queueOffset: fact.queueOffset,
  physicalOffset,
  storeAtMs: fact.storeAtMs,
  type: fact.type,
  system: fact.system,
  properties: fact.properties,
  body: fact.body,
})
