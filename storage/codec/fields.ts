import { putText, textOf, textSize } from '../../model/wire/text.ts'
import { type Cursor, putVarint, varintSize } from '../../model/wire/varint.ts'
import { putRecordHead, recordSize } from './record.ts'

/** A payload of numbers, texts and bytes in a fixed order: all facts but messages. */
export type Field = number | string | Uint8Array

const fieldSize = (field: Field): number => {
  if (typeof field === 'number') return varintSize(field)
  const size = typeof field === 'string' ? textSize(field) : field.length
  return varintSize(size) + size
}

/** A record ready to be copied into a chunk. */
export const encodeFields = (type: number, fields: readonly Field[]): Buffer => {
  let payload = 0
  for (const field of fields) payload += fieldSize(field)
  const bytes = Buffer.allocUnsafe(recordSize(payload))
  let at = putRecordHead(bytes, 0, type, payload)
  for (const field of fields) at = putField(bytes, at, field)
  return bytes
}

const putField = (bytes: Buffer, at: number, field: Field): number => {
  if (typeof field === 'number') return putVarint(bytes, at, field)
  if (typeof field === 'string') return putText(bytes, putVarint(bytes, at, textSize(field)), field)
  const start = putVarint(bytes, at, field.length)
  bytes.set(field, start)
  return start + field.length
}

export const readText = (payload: Cursor): string => textOf(payload.take(payload.varint()))

/** A copy: what is read may outlive the chunk that it lies in. */
export const readBytes = (payload: Cursor): Uint8Array =>
  Uint8Array.from(payload.take(payload.varint()))
