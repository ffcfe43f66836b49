import { crc32 } from 'node:zlib'
import { BrokerError } from '../../model/errors.ts'

/**
 * The frame of a CommitLog chunk (docs/formats/commit-log.md). All numbers big endian.
 *
 * ```
 *  0 magic u32 · 4 format u16 · 6 zero u16 · 8 epoch u32 · 12 records u32 · 16 offset u64
 * 24 predecessor offset u64 · 32 predecessor checksum u32 · 36 payload bytes u32 · 40 checksum u32
 * ```
 *
 * The checksum covers everything but itself. A chunk's key is its physical offset; the next
 * chunk begins where it ends, so key, length and predecessor form one chain.
 */
export const CHUNK_HEADER_BYTES = 44
const CHUNK_FORMAT = 1

const MAGIC = 0x47504331
const CHECKSUM_AT = 40
const TWO_32 = 0x1_0000_0000

export interface ChunkHeader {
  readonly epoch: number
  readonly count: number
  readonly offset: number
  readonly previousOffset: number
  readonly previousChecksum: number
  readonly payloadBytes: number
  readonly checksum: number
}

const putOffset = (bytes: Buffer, at: number, offset: number): void => {
  bytes.writeUInt32BE(Math.floor(offset / TWO_32), at)
  bytes.writeUInt32BE(offset % TWO_32, at + 4)
}

const offsetAt = (bytes: Buffer, at: number): number =>
  bytes.readUInt32BE(at) * TWO_32 + bytes.readUInt32BE(at + 4)

const checksumOf = (bytes: Buffer): number =>
  crc32(bytes.subarray(CHUNK_HEADER_BYTES), crc32(bytes.subarray(0, CHECKSUM_AT)))

/** Writes the header into the first bytes of a filled chunk. Returns its checksum. */
export const sealChunk = (
  bytes: Buffer,
  header: Omit<ChunkHeader, 'payloadBytes' | 'checksum'>,
): number => {
  bytes.writeUInt32BE(MAGIC, 0)
  bytes.writeUInt16BE(CHUNK_FORMAT, 4)
  bytes.writeUInt16BE(0, 6)
  bytes.writeUInt32BE(header.epoch, 8)
  bytes.writeUInt32BE(header.count, 12)
  putOffset(bytes, 16, header.offset)
  putOffset(bytes, 24, header.previousOffset)
  bytes.writeUInt32BE(header.previousChecksum, 32)
  bytes.writeUInt32BE(bytes.length - CHUNK_HEADER_BYTES, 36)
  const checksum = checksumOf(bytes)
  bytes.writeUInt32BE(checksum, CHECKSUM_AT)
  return checksum
}

/** Checks a chunk read from key `offset` against its own frame. Throws `CORRUPT` with the position. */
export const openChunk = (bytes: Buffer, offset: number): ChunkHeader => {
  const corrupt = (reason: string) =>
    new BrokerError('CORRUPT', { store: 'CommitLog', position: offset, reason })
  if (bytes.length < CHUNK_HEADER_BYTES) throw corrupt('the chunk is shorter than its header')
  if (bytes.readUInt32BE(0) !== MAGIC) throw corrupt('this is not a chunk')
  const format = bytes.readUInt16BE(4)
  if (format !== CHUNK_FORMAT) throw corrupt(`chunk format ${format} is unknown`)
  const header: ChunkHeader = {
    epoch: bytes.readUInt32BE(8),
    count: bytes.readUInt32BE(12),
    offset: offsetAt(bytes, 16),
    previousOffset: offsetAt(bytes, 24),
    previousChecksum: bytes.readUInt32BE(32),
    payloadBytes: bytes.readUInt32BE(36),
    checksum: bytes.readUInt32BE(CHECKSUM_AT),
  }
  if (header.offset !== offset) throw corrupt(`the chunk says it is at ${header.offset}`)
  if (header.payloadBytes !== bytes.length - CHUNK_HEADER_BYTES)
    throw corrupt('the chunk is shorter or longer than it says')
  if (checksumOf(bytes) !== header.checksum) throw corrupt('the checksum does not match')
  return header
}

/** Bytes of the whole chunk that begins with this header; undefined when it is none. */
export const chunkSizeOf = (head: Buffer): number | undefined =>
  head.length >= CHUNK_HEADER_BYTES && head.readUInt32BE(0) === MAGIC
    ? CHUNK_HEADER_BYTES + head.readUInt32BE(36)
    : undefined

/** Where a chunk says it is. */
export const offsetIn = (chunk: Buffer): number => offsetAt(chunk, 16)

/** A chunk's key: its physical offset, so that key order is log order. */
export const chunkKey = (offset: number): Buffer => {
  const key = Buffer.allocUnsafe(8)
  putOffset(key, 0, offset)
  return key
}

export const chunkOffsetOf = (key: Uint8Array): number =>
  offsetAt(Buffer.from(key.buffer, key.byteOffset, key.byteLength), 0)
