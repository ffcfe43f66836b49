import { crc32 } from 'node:zlib'
import type { BackupHeader, BackupStep } from '../../model/backup.ts'
import { BrokerError } from '../../model/errors.ts'
import {
  CHUNK_HEADER_BYTES,
  type ChunkHeader,
  chunkSizeOf,
  offsetIn,
  openChunk,
} from '../codec/chunk.ts'
import { ByteReader } from './byte-reader.ts'
import { type ChunkReader, checkChain } from './chunk-log.ts'
import { firstOutside } from './gaps.ts'

/** A header names gaps; more of them than this no log has. */
const LINE_BYTES_MAX = 16 << 20
const CHUNK_BYTES_MAX = 64 << 20

/** What ends a backup: without it something is missing. */
interface BackupEnd {
  readonly chunks: number
  readonly bytes: number
  /** crc32 of the header's line. */
  readonly header: number
}

/**
 * A backup as one stream of bytes: the header's line, every chunk as it lies in the log, and the
 * line that ends it. Each chunk is checked on its way.
 */
export async function* backupParts(
  chunks: ChunkReader,
  header: BackupHeader,
): AsyncGenerator<Uint8Array> {
  const line = lineOf(header)
  yield line
  let count = 0
  let bytes = 0
  for await (const step of chunks.scan(0)) {
    if (step.type === 'gap') checkHole(header, step)
    else {
      yield step.bytes
      count++
      bytes += step.bytes.length
    }
  }
  const end: BackupEnd = { chunks: count, bytes, header: crc32(line) }
  yield lineOf(end)
}

const lineOf = (value: BackupHeader | BackupEnd): Buffer =>
  Buffer.from(`${JSON.stringify(value)}\n`)

const checkHole = ({ gaps }: BackupHeader, { from, to }: { from: number; to: number }): void => {
  const position = firstOutside(gaps, from)
  if (position >= to) return
  const reason = `chunks up to ${to} are missing`
  throw new BrokerError('CORRUPT', { store: 'CommitLog', position, reason })
}

/**
 * The inverse: header, then chunks, each checked by its checksum and its predecessor. Throws
 * `BACKUP_UNUSABLE` with the position where it stops being a backup.
 */
export async function* readBackup(
  name: string,
  parts: AsyncIterable<Uint8Array>,
): AsyncGenerator<BackupStep> {
  const reader = new ByteReader(parts)
  const refuse = (reason: string, cause?: unknown) =>
    new BrokerError('BACKUP_UNUSABLE', { path: name, reason }, { cause })
  try {
    const first = await reader.line(LINE_BYTES_MAX)
    const header = headerIn(first)
    if (first === undefined || header === undefined) throw refuse('it does not begin like a backup')
    yield { type: 'header', header, bytes: Buffer.from(`${first}\n`) }
    let count = 0
    let bytes = 0
    let expected = 0
    let previous: ChunkHeader | undefined
    for (;;) {
      const size = chunkSizeOf(await reader.peek(CHUNK_HEADER_BYTES))
      if (size === undefined || size > CHUNK_BYTES_MAX) break
      const chunk = await reader.take(size)
      if (chunk.length < size) throw refuse('it ends in the middle of a chunk')
      try {
        previous = checked(chunk, { header, expected, previous })
      } catch (error) {
        throw refuse(error instanceof Error ? error.message : String(error), error)
      }
      expected = previous.offset + size
      count++
      bytes += size
      yield { type: 'chunk', offset: previous.offset, bytes: chunk }
    }
    const last = await reader.line(LINE_BYTES_MAX)
    const end = last === undefined ? undefined : (parsed(last) as BackupEnd | undefined)
    if (end?.chunks !== count || end.bytes !== bytes)
      throw refuse(`it ends or is damaged behind position ${expected} of ${header.position}`)
    if (end.header !== crc32(`${first}\n`)) throw refuse('its first line was changed')
    if (expected !== header.position) throw refuse(`it ends at ${expected}, not ${header.position}`)
    yield { type: 'end', bytes: Buffer.from(`${last}\n`) }
  } finally {
    await reader.close()
  }
}

const checked = (
  chunk: Buffer,
  after: { header: BackupHeader; expected: number; previous: ChunkHeader | undefined },
): ChunkHeader => {
  const found = openChunk(chunk, offsetIn(chunk))
  const { header, expected, previous } = after
  if (found.offset < expected) throw new RangeError(`two chunks are at ${found.offset}`)
  if (found.offset > expected) checkHole(header, { from: expected, to: found.offset })
  else if (previous) checkChain(previous, found)
  return found
}

const headerIn = (line: string | undefined): BackupHeader | undefined => {
  const value = line === undefined ? undefined : (parsed(line) as BackupHeader | undefined)
  return value?.backup === 1 && Array.isArray(value.gaps) ? value : undefined
}

const parsed = (line: string): unknown => {
  try {
    const value: unknown = JSON.parse(line)
    return value instanceof Object ? value : undefined
  } catch {
    return undefined
  }
}
