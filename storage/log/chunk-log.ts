import { BrokerError } from '../../model/errors.ts'
import { type ChunkHeader, chunkKey, chunkOffsetOf, openChunk } from '../codec/chunk.ts'
import type { Database, Readable } from '../ports/database.ts'

export interface SealedChunk {
  readonly offset: number
  readonly bytes: Buffer
  readonly checksum: number
}

/** The end of the log: where the next chunk goes and what it names as its predecessor. */
export interface LogTail {
  readonly offset: number
  readonly lastOffset: number
  readonly lastChecksum: number
  /** Of the last chunk; 0 while the log is empty. */
  readonly epoch: number
}

export type ScanStep =
  | { readonly type: 'chunk'; readonly offset: number; readonly bytes: Buffer }
  /** Nothing is stored in `[from, to)`: trimmed, or lost. The reader decides which. */
  | { readonly type: 'gap'; readonly from: number; readonly to: number }

const emptyTail: LogTail = { offset: 0, lastOffset: 0, lastChecksum: 0, epoch: 0 }

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Reads the CommitLog's chunks: one key each, its physical offset. */
export class ChunkReader {
  readonly #source: Readable

  constructor(source: Readable) {
    this.#source = source
  }

  /** Reads and checks the last chunk. */
  async tail(): Promise<LogTail> {
    for await (const { key, value } of this.#source.entries({ reverse: true, limit: 1 })) {
      const offset = chunkOffsetOf(key)
      const header = openChunk(bufferOf(value), offset)
      return {
        offset: offset + value.length,
        lastOffset: offset,
        lastChecksum: header.checksum,
        epoch: header.epoch,
      }
    }
    return emptyTail
  }

  /** A chunk, checked; undefined when there is none. */
  async read(offset: number): Promise<Buffer | undefined> {
    const value = await this.#source.get(chunkKey(offset))
    if (value === undefined) return undefined
    const bytes = bufferOf(value)
    openChunk(bytes, offset)
    return bytes
  }

  async header(offset: number): Promise<ChunkHeader | undefined> {
    const value = await this.#source.get(chunkKey(offset))
    return value && openChunk(bufferOf(value), offset)
  }

  /**
   * Every chunk from `from` on, which must be the beginning of one, in order. Each is checked
   * against its frame and its predecessor; a mismatch is `CORRUPT` with its position.
   */
  async *scan(from: number): AsyncGenerator<ScanStep> {
    let expected = from
    let previous: ChunkHeader | undefined
    for await (const { key, value } of this.#source.entries({ gte: chunkKey(from) })) {
      const offset = chunkOffsetOf(key)
      const bytes = bufferOf(value)
      const header = openChunk(bytes, offset)
      if (offset !== expected) {
        if (offset < expected) throw overlap(offset)
        yield { type: 'gap', from: expected, to: offset }
      } else if (previous) checkChain(previous, header)
      yield { type: 'chunk', offset, bytes }
      expected = offset + bytes.length
      previous = header
    }
  }

  /** Offsets of all chunks in `[from, to)`. */
  async *offsets(from = 0, to = Number.MAX_SAFE_INTEGER): AsyncGenerator<number> {
    for await (const key of this.#source.keys({ gte: chunkKey(from), lt: chunkKey(to) }))
      yield chunkOffsetOf(key)
  }
}

export interface LogSnapshot {
  readonly source: Readable
  readonly chunks: ChunkReader
  close(): Promise<void>
}

/** The log of a running broker, and the only one that writes it. Owns the database. */
export class ChunkLog extends ChunkReader {
  readonly #database: Database

  constructor(database: Database) {
    super(database)
    this.#database = database
  }

  /** One synced batch: all chunks or none. After a failure this log is dead. */
  write(chunks: readonly SealedChunk[]): Promise<void> {
    return this.#database.write(
      chunks.map(({ offset, bytes }) => ({ type: 'put', key: chunkKey(offset), value: bytes })),
      { sync: true },
    )
  }

  /** Where the chunk begins that holds a record at this position; undefined when none can. */
  async chunkOf(position: number): Promise<number | undefined> {
    const before = { lt: chunkKey(position), reverse: true, limit: 1 }
    for await (const key of this.#database.keys(before)) return chunkOffsetOf(key)
    return undefined
  }

  /** Gives the space of `[from, to)` back. Both must be chunk borders. */
  trim(from: number, to: number): Promise<void> {
    return this.#database.clear({ gte: chunkKey(from), lt: chunkKey(to) })
  }

  /** Its chunks as they are now, whatever is written or trimmed while they are read. */
  snapshot(): LogSnapshot {
    const source = this.#database.snapshot()
    return { source, chunks: new ChunkReader(source), close: () => source.close() }
  }

  get snapshots(): number {
    return this.#database.snapshots
  }

  close(): Promise<void> {
    return this.#database.close()
  }
}

const overlap = (position: number) =>
  new BrokerError('CORRUPT', { store: 'CommitLog', position, reason: 'two chunks overlap' })

/** Throws `CORRUPT` unless the second chunk follows the first. */
export const checkChain = (previous: ChunkHeader, header: ChunkHeader): void => {
  if (
    header.previousOffset === previous.offset &&
    header.previousChecksum === previous.checksum &&
    header.epoch >= previous.epoch
  )
    return
  throw new BrokerError('CORRUPT', {
    store: 'CommitLog',
    position: header.offset,
    reason: `the chunk does not follow the one at ${previous.offset}`,
  })
}
