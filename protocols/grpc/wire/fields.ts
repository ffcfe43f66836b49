import { putText, textOf, textSize } from '../../../model/wire/text.ts'
import { Cursor, putVarint, varintSize } from '../../../model/wire/varint.ts'
import { int64Size, nested, putInt64, readInt64, readTag, wireTypes } from './primitives.ts'

/**
 * A small declarative protobuf codec for the messages that are not on the hot path: a message
 * is a table of fields, and types follow from it. What it does not know it skips; what is
 * malformed throws a `RangeError`.
 */

/** One field: the value before any bytes, how a value is read, sized and written with its tag. */
export interface Field<V> {
  readonly number: number
  readonly absent: V
  readonly accepts: (wireType: number) => boolean
  readonly read: (cursor: Cursor, wireType: number, before: V) => V
  readonly size: (value: V) => number
  readonly put: (bytes: Buffer, at: number, value: V) => number
}

export interface Codec<T> {
  readonly decode: (bytes: Uint8Array) => T
  readonly encode: (value: T) => Buffer
  /** Merges what the cursor covers into a value, as proto3 does with a repeated sub-message. */
  readonly merge: (cursor: Cursor, before: T | undefined) => T
  readonly size: (value: T) => number
  readonly put: (bytes: Buffer, at: number, value: T) => number
}

export type ValueOf<C> = C extends Codec<infer T> ? T : never

/** More elements than this in one list are nobody's honest request; each would cost an object. */
const LIST_MAX = 10_000

interface Scalar<V> {
  readonly wireType: number
  readonly zero: V
  readonly read: (cursor: Cursor) => V
  readonly size: (value: V) => number
  readonly put: (bytes: Buffer, at: number, value: V) => number
}

const text: Scalar<string> = {
  wireType: wireTypes.bytes,
  zero: '',
  read: (cursor) => textOf(cursor.take(cursor.varint())),
  size: (value) => varintSize(textSize(value)) + textSize(value),
  put: (bytes, at, value) => putText(bytes, putVarint(bytes, at, textSize(value)), value),
}

const rawBytes: Omit<Scalar<Uint8Array>, 'zero'> = {
  wireType: wireTypes.bytes,
  read: (cursor) => cursor.take(cursor.varint()),
  size: ({ length }) => varintSize(length) + length,
  put: (target, at, value) => {
    const start = putVarint(target, at, value.length)
    target.set(value, start)
    return start + value.length
  },
}

const integer: Scalar<number> = {
  wireType: wireTypes.varint,
  zero: 0,
  read: readInt64,
  size: int64Size,
  put: putInt64,
}

const bool: Scalar<boolean> = {
  wireType: wireTypes.varint,
  zero: false,
  read: (cursor) => cursor.varint() !== 0,
  size: () => 1,
  put: (bytes, at, value) => putVarint(bytes, at, value ? 1 : 0),
}

const float: Scalar<number> = {
  wireType: wireTypes.fixed32,
  zero: 0,
  read: (cursor) => {
    const raw = cursor.take(4)
    return new DataView(raw.buffer, raw.byteOffset, 4).getFloat32(0, true)
  },
  size: () => 4,
  put: (bytes, at, value) => bytes.writeFloatLE(value, at),
}

const tagOf = (number: number, wireType: number): number => (number << 3) | wireType
const is = (wanted: number) => (wireType: number) => wireType === wanted

/** A field that is written unless it is absent. */
const fieldOf = <V, Absent>(
  number: number,
  scalar: Omit<Scalar<V>, 'zero'>,
  absent: Absent,
): Field<V | Absent> => {
  const tag = tagOf(number, scalar.wireType)
  const tagSize = varintSize(tag)
  return {
    number,
    absent,
    accepts: is(scalar.wireType),
    read: (cursor) => scalar.read(cursor),
    size: (value) => (value === absent ? 0 : tagSize + scalar.size(value as V)),
    put: (bytes, at, value) =>
      value === absent ? at : scalar.put(bytes, putVarint(bytes, at, tag), value as V),
  }
}

const plain =
  <V>(scalar: Scalar<V>) =>
  (number: number): Field<V> =>
    fieldOf<V, V>(number, scalar, scalar.zero)

const optional =
  <V>(scalar: Omit<Scalar<V>, 'zero'>) =>
  (number: number): Field<V | undefined> =>
    fieldOf<V, undefined>(number, scalar, undefined)

export const textField = plain(text)
export const integerField = plain(integer)
export const boolField = plain(bool)
export const floatField = plain(float)
export const optionalText = optional(text)
export const optionalInteger = optional(integer)
/** Bytes that share the memory of what they were read from. */
export const optionalBytes = optional(rawBytes)
export const optionalBool = optional(bool)

const putNested = <T>(codec: Codec<T>, tag: number) => ({
  size: (value: T): number => {
    const size = codec.size(value)
    return varintSize(tag) + varintSize(size) + size
  },
  put: (bytes: Buffer, at: number, value: T): number =>
    codec.put(bytes, putVarint(bytes, putVarint(bytes, at, tag), codec.size(value)), value),
})

/** A sub-message, undefined when absent. */
export const messageField = <T>(number: number, codec: Codec<T>): Field<T | undefined> => {
  const write = putNested(codec, tagOf(number, wireTypes.bytes))
  return {
    number,
    absent: undefined,
    accepts: is(wireTypes.bytes),
    read: (cursor, _, before) => codec.merge(nested(cursor), before),
    size: (value) => (value === undefined ? 0 : write.size(value)),
    put: (bytes, at, value) => (value === undefined ? at : write.put(bytes, at, value)),
  }
}

const appended = <T>(list: readonly T[], element: T): readonly T[] => {
  if (list.length >= LIST_MAX) throw new RangeError(`a list has more than ${LIST_MAX} elements`)
  if (list.length === 0)
    return [element]
    // A list that is not empty was made here and is seen by nobody else yet.
  ;(list as T[]).push(element)
  return list
}

export const listField = <T>(number: number, codec: Codec<T>): Field<readonly T[]> => {
  const write = putNested(codec, tagOf(number, wireTypes.bytes))
  return {
    number,
    absent: [],
    accepts: is(wireTypes.bytes),
    read: (cursor, _, before) => appended(before, codec.merge(nested(cursor), undefined)),
    size: (list) => list.reduce((sum, element) => sum + write.size(element), 0),
    put: (bytes, at, list) => list.reduce((next, element) => write.put(bytes, next, element), at),
  }
}

/** Repeated numbers: read packed or not, written packed. */
export const integersField = (number: number): Field<readonly number[]> => {
  const tag = tagOf(number, wireTypes.bytes)
  const sizeOf = (list: readonly number[]) => list.reduce((sum, value) => sum + int64Size(value), 0)
  return {
    number,
    absent: [],
    accepts: (wireType) => wireType === wireTypes.varint || wireType === wireTypes.bytes,
    read: (cursor, wireType, before) => {
      if (wireType === wireTypes.varint) return appended(before, readInt64(cursor))
      let list = before
      for (const packed = nested(cursor); !packed.done; ) list = appended(list, readInt64(packed))
      return list
    },
    size: (list) =>
      list.length === 0 ? 0 : varintSize(tag) + varintSize(sizeOf(list)) + sizeOf(list),
    put: (bytes, at, list) => {
      if (list.length === 0) return at
      const start = putVarint(bytes, putVarint(bytes, at, tag), sizeOf(list))
      return list.reduce((next, value) => putInt64(bytes, next, value), start)
    },
  }
}

/** A message from the table of its fields. */
export const message = <T extends object>(
  fields: {
    readonly [K in keyof T]: Field<T[K]>
  },
): Codec<T> => {
  const entries = Object.entries(fields) as unknown as [string, Field<unknown>][]
  const byNumber = new Map(entries.map((entry) => [entry[1].number, entry]))
  const absent = Object.fromEntries(entries.map(([name, field]) => [name, field.absent]))
  type Values = Record<string, unknown>

  const merge = (cursor: Cursor, before: T | undefined): T => {
    const values: Values = { ...absent, ...before }
    while (!cursor.done) {
      const tag = readTag(cursor)
      const entry = byNumber.get(tag >>> 3)
      if (entry === undefined || !entry[1].accepts(tag & 7)) cursor.skip(tag & 7)
      else values[entry[0]] = entry[1].read(cursor, tag & 7, values[entry[0]])
    }
    return values as T
  }
  const size = (value: T): number =>
    entries.reduce((sum, [name, field]) => sum + field.size((value as Values)[name]), 0)
  const put = (bytes: Buffer, at: number, value: T): number =>
    entries.reduce((next, [name, field]) => field.put(bytes, next, (value as Values)[name]), at)

  return {
    decode: (bytes) => merge(new Cursor(bytes), undefined),
    encode: (value) => {
      const bytes = Buffer.allocUnsafe(size(value))
      put(bytes, 0, value)
      return bytes
    },
    merge,
    size,
    put,
  }
}
