import { BrokerError } from '../../model/errors.ts'
import { Cursor, putVarint, varintSize } from '../../model/wire/varint.ts'
import { CHUNK_HEADER_BYTES } from './chunk.ts'
import { newestVersion } from './fact-type.ts'

/**
 * A record: varint length of what follows, type byte, version byte, payload.
 * Its position in the log is the chunk's offset plus `at`.
 */
export interface RecordView {
  readonly type: number
  readonly version: number
  /** Where the record begins in its chunk. */
  readonly at: number
  /** Bytes of the whole record, length prefix included. */
  readonly size: number
  /** Stands on the first byte of the payload. */
  readonly payload: Cursor
}

export const recordSize = (payloadBytes: number): number =>
  varintSize(payloadBytes + 2) + 2 + payloadBytes

/** Writes length, type and version; returns where the payload goes. */
export const putRecordHead = (
  bytes: Uint8Array,
  at: number,
  type: number,
  payloadBytes: number,
): number => {
  const position = putVarint(bytes, at, payloadBytes + 2)
  bytes[position] = type
  bytes[position + 1] = newestVersion(type)
  return position + 2
}

/** The records of one verified chunk, in order. */
export function* recordsOf(chunk: Buffer, chunkOffset: number): Generator<RecordView> {
  let at = CHUNK_HEADER_BYTES
  while (at < chunk.length) {
    const record = recordAt(chunk, chunkOffset, at)
    yield record
    at += record.size
  }
}

/** `chunkOffset` and `store` are for the error: where the bytes lie, and in what. */
export const recordAt = (
  chunk: Uint8Array,
  chunkOffset: number,
  at: number,
  store = 'CommitLog',
): RecordView => {
  const head = new Cursor(chunk, at)
  const length = head.varint()
  const end = head.at + length
  const type = chunk[head.at] as number
  const version = chunk[head.at + 1] as number
  const isKnown = version > 0 && version <= newestVersion(type)
  if (length < 2 || end > chunk.length || !isKnown)
    throw new BrokerError('CORRUPT', {
      store,
      position: chunkOffset + at,
      reason: `record version ${version} is unknown or the record does not fit its chunk`,
    })
  return {
    type,
    version,
    at,
    size: end - at,
    payload: new Cursor(chunk, head.at + 2, end),
  }
}
