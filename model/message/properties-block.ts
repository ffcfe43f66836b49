import { textOf, textSize } from '../wire/text.ts'
import { Cursor, putVarint, varintSize } from '../wire/varint.ts'

/**
 * The `properties` block of a message: its user properties as the map entries of
 * `apache.rocketmq.v2.Message.user_properties` (field 2), one after the other.
 */
const ENTRY_TAG = (2 << 3) | 2

export const encodeProperties = (properties: Readonly<Record<string, string>>): Buffer => {
  const entries = Object.entries(properties).map(([key, value]) => {
    const keySize = textSize(key)
    const valueSize = textSize(value)
    const size = 2 + varintSize(keySize) + keySize + varintSize(valueSize) + valueSize
    return { key, value, keySize, valueSize, size }
  })
  const total = entries.reduce((sum, { size }) => sum + 1 + varintSize(size) + size, 0)
  const bytes = Buffer.allocUnsafe(total)
  let at = 0
  for (const { key, value, keySize, valueSize, size } of entries) {
    at = putVarint(bytes, putVarint(bytes, at, ENTRY_TAG), size)
    at = putVarint(bytes, putVarint(bytes, at, 10), keySize)
    at += bytes.write(key, at, 'utf8')
    at = putVarint(bytes, putVarint(bytes, at, 18), valueSize)
    at += bytes.write(value, at, 'utf8')
  }
  return bytes
}

/** Key and value of one map entry, without its tag and length. */
export const readEntry = (bytes: Uint8Array): { key: string; value: string } => {
  let key = ''
  let value = ''
  const cursor = new Cursor(bytes)
  while (!cursor.done) {
    const tag = cursor.varint()
    if (tag === 10) key = textOf(cursor.take(cursor.varint()))
    else if (tag === 18) value = textOf(cursor.take(cursor.varint()))
    else cursor.skip(tag & 7)
  }
  return { key, value }
}

export const decodeProperties = (bytes: Uint8Array): Record<string, string> => {
  const entries: [string, string][] = []
  const cursor = new Cursor(bytes)
  while (!cursor.done) {
    const tag = cursor.varint()
    if (tag !== ENTRY_TAG) {
      cursor.skip(tag & 7)
      continue
    }
    const { key, value } = readEntry(cursor.take(cursor.varint()))
    entries.push([key, value])
  }
  return Object.fromEntries(entries)
}

const EMPTY = new Uint8Array(0)

/**
 * The values of the properties with these keys, each in the place of its key, without decoding
 * the others; what is missing leaves its place as it was.
 */
export const readProperties = (
  bytes: Uint8Array,
  keys: readonly Buffer[],
  into: (string | undefined)[],
): void => {
  const cursor = new Cursor(bytes)
  while (!cursor.done) {
    const tag = cursor.varint()
    if (tag !== ENTRY_TAG) cursor.skip(tag & 7)
    else readWanted(cursor.take(cursor.varint()), keys, into)
  }
}

const readWanted = (
  entry: Uint8Array,
  keys: readonly Buffer[],
  into: (string | undefined)[],
): void => {
  let key: Uint8Array = EMPTY
  let value: Uint8Array = EMPTY
  const cursor = new Cursor(entry)
  while (!cursor.done) {
    const tag = cursor.varint()
    if (tag === 10) key = cursor.take(cursor.varint())
    else if (tag === 18) value = cursor.take(cursor.varint())
    else cursor.skip(tag & 7)
  }
  const place = keys.findIndex((wanted) => wanted.length === key.length && wanted.equals(key))
  if (place >= 0) into[place] = textOf(value)
}
