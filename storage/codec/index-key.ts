import { chunkKey, chunkOffsetOf } from './chunk.ts'
import type { DeferredKind } from '../../model/deferred/deferred.ts'

/**
 * Keys of the index database (docs/formats/index.md). All begin with the id of their owner,
 * so that ending an owner is clearing one range. Id 0 is the broker itself.
 */
export const BROKER_OWNER = 0

/**
 * Queue blocks sort last of an owner's, so that a start-up reads what is small and jumps over what
 * is large.
 */
export const indexKind = {
  cursor: 0x01,
  space: 0x02,
  topic: 0x10,
  group: 0x11,
  deliveries: 0x20,
  nameRange: 0x28,
  queueBlock: 0x40,
  namePage: 0x41,
  /** Timers: by topic and due time, by id, outcomes by blocks of ids, and all of them in short. */
  timerDue: 0x30,
  timer: 0x31,
  timerOutcomes: 0x32,
  timers: 0x33,
  /** The same for half messages. */
  transactionDue: 0x38,
  transaction: 0x39,
  transactionOutcomes: 0x3a,
  transactions: 0x3b,
} as const

const ownerKey = (ownerId: number, kind: number, size: number): Buffer => {
  const key = Buffer.allocUnsafe(5 + size)
  key.writeUInt32BE(ownerId, 0)
  key[4] = kind
  return key
}

export const cursorKey = (): Buffer => ownerKey(BROKER_OWNER, indexKind.cursor, 0)
export const spaceKey = (): Buffer => ownerKey(BROKER_OWNER, indexKind.space, 0)
export const topicKey = (topicId: number): Buffer => ownerKey(topicId, indexKind.topic, 0)
export const groupKey = (groupId: number): Buffer => ownerKey(groupId, indexKind.group, 0)

export const queueBlockKey = (topicId: number, queueId: number, block: number): Buffer => {
  const key = ownerKey(topicId, indexKind.queueBlock, 8)
  key.writeUInt16BE(queueId, 5)
  key.writeUIntBE(block, 7, 6)
  return key
}

export const deliveriesKey = (groupId: number, topicId: number, queueId: number): Buffer => {
  const key = ownerKey(groupId, indexKind.deliveries, 6)
  key.writeUInt32BE(topicId, 5)
  key.writeUInt16BE(queueId, 9)
  return key
}

/** Of the names in the stretch of the log that begins at `from`. */
export const nameRangeKey = (from: number): Buffer =>
  Buffer.concat([ownerKey(BROKER_OWNER, indexKind.nameRange, 0), chunkKey(from)])

export const namePageKey = (from: number, page: number): Buffer => {
  const key = ownerKey(BROKER_OWNER, indexKind.namePage, 10)
  chunkKey(from).copy(key, 5)
  key.writeUInt16BE(page, 13)
  return key
}

/** The ranges of names; their pages are elsewhere. */
export const nameRanges = (): KeyRange => ({
  gte: ownerKey(BROKER_OWNER, indexKind.nameRange, 0),
  lt: ownerKey(BROKER_OWNER, indexKind.nameRange + 1, 0),
})

const deferredKinds = {
  timer: {
    due: indexKind.timerDue,
    one: indexKind.timer,
    outcomes: indexKind.timerOutcomes,
    all: indexKind.timers,
  },
  transaction: {
    due: indexKind.transactionDue,
    one: indexKind.transaction,
    outcomes: indexKind.transactionOutcomes,
    all: indexKind.transactions,
  },
} as const satisfies Record<DeferredKind, Record<string, number>>

/** Of one deferred message, in the order of due times. */
export const deferredDueKey = (
  kind: DeferredKind,
  { topicId, dueMs, id }: { topicId: number; dueMs: number; id: number },
): Buffer => {
  const key = ownerKey(topicId, deferredKinds[kind].due, 12)
  key.writeUIntBE(dueMs, 5, 6)
  key.writeUIntBE(id, 11, 6)
  return key
}

/** Deferred messages of a topic, due in `[fromMs, …)`. */
export const deferredDueRange = (
  kind: DeferredKind,
  topicId: number,
  fromMs: number,
): KeyRange => ({
  gte: deferredDueKey(kind, { topicId, dueMs: fromMs, id: 0 }),
  lt: ownerKey(topicId, deferredKinds[kind].due + 1, 0),
})

const numberedKey = (kind: number, number: number): Buffer => {
  const key = ownerKey(BROKER_OWNER, kind, 6)
  key.writeUIntBE(number, 5, 6)
  return key
}

export const deferredKey = (kind: DeferredKind, id: number): Buffer =>
  numberedKey(deferredKinds[kind].one, id)

export const deferredOutcomesKey = (kind: DeferredKind, block: number): Buffer =>
  numberedKey(deferredKinds[kind].outcomes, block)

export const deferredOutcomesRange = (kind: DeferredKind): KeyRange => ({
  gte: ownerKey(BROKER_OWNER, deferredKinds[kind].outcomes, 0),
  lt: ownerKey(BROKER_OWNER, deferredKinds[kind].outcomes + 1, 0),
})

export const deferredAllKey = (kind: DeferredKind): Buffer =>
  ownerKey(BROKER_OWNER, deferredKinds[kind].all, 0)

/** Every key of an owner. */
export const ownerRange = (ownerId: number): KeyRange => {
  const gte = Buffer.allocUnsafe(4)
  const lt = Buffer.allocUnsafe(4)
  gte.writeUInt32BE(ownerId, 0)
  lt.writeUInt32BE(ownerId + 1, 0)
  return { gte, lt }
}

type KeyRange = { readonly gte: Buffer; readonly lt: Buffer }

/** Everything of a topic but its own record, which stays as a tombstone. */
export const topicQueuesRange = (topicId: number): KeyRange => ({
  gte: ownerKey(topicId, indexKind.topic + 1, 0),
  lt: ownerRange(topicId).lt,
})

/** Everything of a group but its own record. */
export const groupDeliveriesRange = (groupId: number): KeyRange => ({
  gte: ownerKey(groupId, indexKind.deliveries, 0),
  lt: ownerRange(groupId).lt,
})

/** The deliveries of a group on one topic. */
export const groupTopicRange = (groupId: number, topicId: number): KeyRange => ({
  gte: deliveriesKey(groupId, topicId, 0).subarray(0, 9),
  lt: deliveriesKey(groupId, topicId + 1, 0).subarray(0, 9),
})

export type IndexKey =
  | { readonly kind: 'cursor' | 'space' | 'deferredAll' | 'unknown' }
  | {
      readonly kind: 'deferredDue'
      readonly deferred: DeferredKind
      readonly ownerId: number
      readonly dueMs: number
      readonly id: number
    }
  | { readonly kind: 'deferred'; readonly deferred: DeferredKind; readonly id: number }
  | { readonly kind: 'deferredOutcomes'; readonly deferred: DeferredKind; readonly block: number }
  | { readonly kind: 'topic' | 'group'; readonly ownerId: number }
  | {
      readonly kind: 'nameRange'
      readonly from: number
    }
  | {
      readonly kind: 'namePage'
      readonly from: number
      readonly page: number
    }
  | {
      readonly kind: 'queueBlock'
      readonly ownerId: number
      readonly queueId: number
      readonly block: number
    }
  | {
      readonly kind: 'deliveries'
      readonly ownerId: number
      readonly topicId: number
      readonly queueId: number
    }

/** What a key found in the index says it is. */
export const parseIndexKey = (bytes: Uint8Array): IndexKey => {
  const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (key.length < 5) return { kind: 'unknown' }
  const ownerId = key.readUInt32BE(0)
  const kind: number = key.readUInt8(4)
  switch (kind) {
    case indexKind.cursor:
      return { kind: 'cursor' }
    case indexKind.space:
      return { kind: 'space' }
    case indexKind.topic:
      return { kind: 'topic', ownerId }
    case indexKind.group:
      return { kind: 'group', ownerId }
    case indexKind.nameRange:
      return key.length === 13
        ? { kind: 'nameRange', from: chunkOffsetOf(key.subarray(5)) }
        : { kind: 'unknown' }
    case indexKind.namePage:
      return key.length === 15
        ? {
            kind: 'namePage',
            from: chunkOffsetOf(key.subarray(5, 13)),
            page: key.readUInt16BE(13),
          }
        : { kind: 'unknown' }
    case indexKind.queueBlock:
      return key.length === 13
        ? {
            kind: 'queueBlock',
            ownerId,
            queueId: key.readUInt16BE(5),
            block: key.readUIntBE(7, 6),
          }
        : { kind: 'unknown' }
    case indexKind.deliveries:
      return key.length === 11
        ? {
            kind: 'deliveries',
            ownerId,
            topicId: key.readUInt32BE(5),
            queueId: key.readUInt16BE(9),
          }
        : { kind: 'unknown' }
    default:
      return parseDeferredKey(key, ownerId, kind) ?? { kind: 'unknown' }
  }
}

const parseDeferredKey = (key: Buffer, ownerId: number, kind: number): IndexKey | undefined => {
  for (const deferred of ['timer', 'transaction'] as const) {
    const kinds = deferredKinds[deferred]
    if (kind === kinds.all) return { kind: 'deferredAll' }
    if (kind === kinds.due && key.length === 17) {
      const dueMs = key.readUIntBE(5, 6)
      return { kind: 'deferredDue', deferred, ownerId, dueMs, id: key.readUIntBE(11, 6) }
    }
    if (key.length !== 11) continue
    const number = key.readUIntBE(5, 6)
    if (kind === kinds.one) return { kind: 'deferred', deferred, id: number }
    if (kind === kinds.outcomes) return { kind: 'deferredOutcomes', deferred, block: number }
  }
  return undefined
}
