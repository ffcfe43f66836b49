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
