import { systemField } from '../../model/message/system-block.ts'
import { Cursor } from '../../model/wire/varint.ts'
import { CHUNK_HEADER_BYTES } from './chunk.ts'
import { factType, isMessage } from './fact-type.ts'
import { readMessage } from './message-fact.ts'

/**
 * What a message can be found by: its id, anywhere, and its keys, within its topic. Both are kept
 * as 32-bit hashes, so that a name costs the same however long it is; who finds one compares.
 */
export interface NameSink {
  /** A name of the message at this position of the log. */
  name(hash: number, position: number): void
  /** Once per message, before its names. */
  message(storeAtMs: number): void
}

const ID_SEED = 0x6d_69_64_21

const seedOfKeys = (topicId: number): number => Math.imul(topicId, 0x9e3779b1) ^ 0x6b65

export const idHash = (messageId: string): number => hashOf(Buffer.from(messageId, 'utf8'), ID_SEED)

export const keyHash = (topicId: number, key: string): number =>
  hashOf(Buffer.from(key, 'utf8'), seedOfKeys(topicId))

const hashOf = (bytes: Uint8Array, seed: number): number => hash32(bytes, 0, bytes.length, seed)

/** MurmurHash3, 32 bits. */
const hash32 = (bytes: Uint8Array, from: number, to: number, seed: number): number => {
  let hash = seed | 0
  let at = from
  for (; at + 4 <= to; at += 4) {
    const word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    hash ^= scramble(word)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let rest = 0
  for (let last = to - 1; last >= at; last--) rest = (rest << 8) | (bytes[last] as number)
  hash ^= scramble(rest)
  hash ^= to - from
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

const scramble = (word: number): number => {
  const mixed = Math.imul(word, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}

/** Numbers before the topic id, by type. Of others the whole fact is read. */
const prefixes: Readonly<Record<number, number>> = {
  [factType.messageAppended]: 0,
  [factType.messageCarried]: 2,
  [factType.messageDeadLettered]: 4,
  [factType.timerFired]: 4,
  [factType.transactionCommitted]: 4,
  [factType.messageRedriven]: 3,
}

/** Type 1, tag code 4, message group hash 4: what stands before the store time. */
const BEFORE_STORE_TIME = 9
const TWO_32 = 0x1_0000_0000
const LENGTH_DELIMITED = 2

/**
 * Every name in a verified chunk, without making an object per message: this runs over all that
 * is ever sent.
 */
export const collectNames = (chunk: Buffer, chunkOffset: number, sink: NameSink): void => {
  const cursor = new Cursor(chunk, CHUNK_HEADER_BYTES)
  while (!cursor.done) collectRecordNames(cursor, chunkOffset, sink)
}

/** The names of the record on which the cursor stands; it then stands behind the record. */
export const collectRecordNames = (cursor: Cursor, base: number, sink: NameSink): void => {
  const { bytes } = cursor
  const position = base + cursor.at
  const length = cursor.varint()
  const end = cursor.at + length
  const type = bytes[cursor.at] as number
  if (isMessage(type)) {
    cursor.at += 2
    const prefix = prefixes[type]
    if (prefix === undefined) collectSlowly(type, cursor, end, { position, sink })
    else {
      for (let count = 0; count < prefix; count++) cursor.varint()
      collectOne(cursor, position, sink)
    }
  }
  cursor.at = end
}

/** The cursor stands on the topic id. */
const collectOne = (cursor: Cursor, position: number, sink: NameSink): void => {
  const { bytes } = cursor
  const topicId = cursor.varint()
  cursor.varint()
  cursor.varint()
  const at = cursor.at + BEFORE_STORE_TIME
  const high = ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
  const low =
    (((bytes[at + 2] as number) << 24) |
      ((bytes[at + 3] as number) << 16) |
      ((bytes[at + 4] as number) << 8) |
      (bytes[at + 5] as number)) >>>
    0
  sink.message(high * TWO_32 + low)
  cursor.at = at + 6
  const size = cursor.varint()
  collectFields(cursor, cursor.at + size, { topicId, position, sink })
}

const collectSlowly = (
  type: number,
  { bytes, at }: Cursor,
  end: number,
  { position, sink }: { position: number; sink: NameSink },
): void => {
  const { topicId, storeAtMs, system } = readMessage(type, new Cursor(bytes, at, end))
  sink.message(storeAtMs)
  collectFields(new Cursor(system), system.length, { topicId, position, sink })
}

const collectFields = (
  cursor: Cursor,
  end: number,
  { topicId, position, sink }: { topicId: number; position: number; sink: NameSink },
): void => {
  const { bytes } = cursor
  while (cursor.at < end) {
    const tag = cursor.varint()
    if ((tag & 7) !== LENGTH_DELIMITED) {
      cursor.skip(tag & 7)
      continue
    }
    const size = cursor.varint()
    const from = cursor.at
    cursor.at = from + size
    const field = tag >>> 3
    if (field === systemField.messageId)
      sink.name(hash32(bytes, from, cursor.at, ID_SEED), position)
    else if (field === systemField.key && size > 0)
      sink.name(hash32(bytes, from, cursor.at, seedOfKeys(topicId)), position)
  }
}
