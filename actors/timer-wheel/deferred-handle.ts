import { Cursor, putVarint } from '../../model/wire/varint.ts'
import { textOf } from '../../model/wire/text.ts'
import type { Seal } from '../broker/seal.ts'

/** What the text names that a producer gets for a message that is deferred. */
export interface DeferredHandle {
  /** The incarnation of its topic. */
  readonly topicId: number
  readonly id: number
  /** As it was first. */
  readonly dueMs: number
  readonly messageId: string
}

/** First bytes of sealed texts; 1 is a receipt handle. */
const handleVersions = { timer: 2, transaction: 3 } as const

const NUMBERS_BYTES_MAX = 32

export const sealDeferred = (
  seal: Seal,
  kind: keyof typeof handleVersions,
  { topicId, id, dueMs, messageId }: DeferredHandle,
): string => {
  const bytes = Buffer.allocUnsafe(NUMBERS_BYTES_MAX + messageId.length * 3)
  bytes[0] = handleVersions[kind]
  let at = putVarint(bytes, 1, topicId)
  at = putVarint(bytes, at, id)
  at = putVarint(bytes, at, dueMs)
  at += bytes.write(messageId, at, 'utf8')
  return seal.seal(bytes.subarray(0, at))
}

/** Undefined for anything that is not a handle of this kind and this place. */
export const openDeferred = (
  seal: Seal,
  kind: keyof typeof handleVersions,
  text: string,
): DeferredHandle | undefined => {
  const fields = seal.open(text)
  if (fields === undefined || fields[0] !== handleVersions[kind]) return undefined
  const cursor = new Cursor(fields, 1)
  return {
    topicId: cursor.varint(),
    id: cursor.varint(),
    dueMs: cursor.varint(),
    messageId: textOf(cursor.take(cursor.end - cursor.at)),
  }
}
