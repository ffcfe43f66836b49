import { putText, textOf, textSize } from '../../model/wire/text.ts'
import { type Cursor, putVarint, varintSize } from '../../model/wire/varint.ts'
import { putRecordHead, recordSize } from './record.ts'

/** A payload of numbers and texts in a fixed order: all facts but messages. */
export type Field = number | string

const fieldSize = (field: Field): number => {
  if (typeof field === 'number') return varintSize(field)
  const size = textSize(field)
  return varintSize(size) + size
}

/** A record ready to be copied into a chunk. */
export const encodeFields = (type: number, fields: readonly Field[]): Buffer => {
  let payload = 0
  for (const field of fields) payload += fieldSize(field)
  const bytes = Buffer.allocUnsafe(recordSize(payload))
  let at = putRecordHead(bytes, 0, type, payload)
  for (const field of fields)
    at =
      typeof field === 'number'
        ? putVarint(bytes, at, field)
        : putText(bytes, putVarint(bytes, at, textSize(field)), field)
  return bytes
}

export const readText = (payload: Cursor): string => textOf(payload.take(payload.varint()))
