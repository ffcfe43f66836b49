import { BrokerError } from '../../../model/errors.ts'
import { Cursor, putVarint, varintSize } from '../../../model/wire/varint.ts'

export const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

/** The largest field number is 2^29 - 1, so a tag fits 32 bits. */
const TAG_MAX = 0xffffffff

const INT64_BYTES_MAX = 10

/**
 * The next tag. Strict parsers refuse field number 0 and tags with padding; what gets past here
 * may be copied to consumers, so we refuse them first.
 */
export const readTag = (cursor: Cursor): number => {
  const start = cursor.at
  const tag = cursor.varint()
  if (tag < 8 || tag > TAG_MAX || cursor.at - start !== varintSize(tag))
    throw new RangeError(`tag ${tag} is illegal`)
  return tag
}

/** A signed number: protobuf writes negative ones of any width as ten bytes. */
export const readInt64 = (cursor: Cursor): number => {
  const start = cursor.at
  const value = cursor.varint()
  if (value <= Number.MAX_SAFE_INTEGER) return value
  if (cursor.at - start === INT64_BYTES_MAX && (cursor.bytes[cursor.at - 1] as number) > 1)
    throw new RangeError('varint has more than 64 bits')
  let exact = 0n
  for (let at = cursor.at - 1; at >= start; at--)
    exact = (exact << 7n) | BigInt((cursor.bytes[at] as number) & 0x7f)
  return Number(BigInt.asIntN(64, exact))
}

export const int64Size = (value: number): number =>
  value < 0 ? INT64_BYTES_MAX : varintSize(value)

export const putInt64 = (bytes: Uint8Array, at: number, value: number): number => {
  if (value >= 0) return putVarint(bytes, at, value)
  let rest = BigInt.asUintN(64, BigInt(Math.trunc(value)))
  let position = at
  for (; rest >= 0x80n; rest >>= 7n) bytes[position++] = Number(rest & 0x7fn) | 0x80
  bytes[position++] = Number(rest)
  return position
}

/** Reads a length and steps over that many bytes, which the returned cursor covers. */
export const nested = (cursor: Cursor): Cursor => {
  const size = cursor.varint()
  const start = cursor.at
  if (size > cursor.end - start) throw new RangeError('field ends early')
  cursor.at = start + size
  return new Cursor(cursor.bytes, start, cursor.at)
}

const malformed = (cause: unknown) => {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new BrokerError('MESSAGE_CORRUPTED', { reason }, { cause })
}

/**
 * Runs a decoder over bytes of a stranger. Whatever they hold, the outcome is a value or a
 * coded refusal.
 */
export const decoded = <T>(decode: (bytes: Buffer) => T, bytes: Buffer): T => {
  try {
    return decode(bytes)
  } catch (error) {
    throw error instanceof RangeError ? malformed(error) : error
  }
}
