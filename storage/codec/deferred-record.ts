import type { DeferredEntry } from '../../model/deferred/deferred.ts'
import { Cursor, putVarint, varintSize } from '../../model/wire/varint.ts'
import { factType } from './fact-type.ts'
import { encodeFields } from './fields.ts'
import { recordAt } from './record.ts'

/** Values of the index that belong to deferred messages (docs/formats/index.md). */
export interface DeferredSummary {
  readonly asOf: number
  readonly nextId: number
  /** When ends were last forgotten, in periods. */
  readonly swept: number
  readonly topics: readonly {
    readonly topicId: number
    readonly count: number
    readonly bytes: number
  }[]
}

const numbers = (values: readonly number[]): Buffer => {
  let size = 0
  for (const value of values) size += varintSize(value)
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  for (const value of values) at = putVarint(bytes, at, value)
  return bytes
}

/** Under the key by due time: where the record lies. */
export const encodeDeferredPlace = ({ chunk, at, size, checks }: DeferredEntry): Buffer =>
  numbers([chunk, at, size, checks])

export const readDeferredPlace = (
  value: Uint8Array,
): { chunk: number; at: number; size: number; checks: number } => {
  const cursor = new Cursor(value)
  return {
    chunk: cursor.varint(),
    at: cursor.varint(),
    size: cursor.varint(),
    checks: cursor.varint(),
  }
}

/** Under the key by id: where to look by due time. */
export const encodeDeferredDue = ({ topicId, dueMs }: DeferredEntry): Buffer =>
  numbers([topicId, dueMs])

export const readDeferredDue = (value: Uint8Array): { topicId: number; dueMs: number } => {
  const cursor = new Cursor(value)
  return { topicId: cursor.varint(), dueMs: cursor.varint() }
}

export const encodeOutcomes = (values: Uint16Array): Buffer => {
  const bytes = Buffer.allocUnsafe(values.length * 2)
  values.forEach((value, index) => bytes.writeUInt16BE(value, index * 2))
  return bytes
}

export const readOutcomes = (value: Uint8Array): Uint16Array => {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return Uint16Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16BE(index * 2))
}

export const encodeSummary = ({ asOf, nextId, swept, topics }: DeferredSummary): Buffer =>
  encodeFields(factType.timersNumbered, [
    asOf,
    nextId,
    swept,
    topics.length,
    ...topics.flatMap(({ topicId, count, bytes }) => [topicId, count, bytes]),
  ])

export const readSummary = (value: Uint8Array): DeferredSummary => {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  const { payload } = recordAt(bytes, 0, 0)
  return {
    asOf: payload.varint(),
    nextId: payload.varint(),
    swept: payload.varint(),
    topics: Array.from({ length: payload.varint() }, () => ({
      topicId: payload.varint(),
      count: payload.varint(),
      bytes: payload.varint(),
    })),
  }
}
