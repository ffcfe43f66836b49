import { BrokerError } from '../../model/errors.ts'
import { CHUNK_HEADER_BYTES, sealChunk } from '../../storage/codec/chunk.ts'
import type { LogTail } from '../../storage/log/chunk-log.ts'
import { PendingChunk } from './pending-chunk.ts'
import { Slabs } from './slabs.ts'

/** Who may fill how much of the admission buffer (house: section 2, bounds). */
export const shares = {
  durable: 0.75,
  buffered: 0.95,
  freeing: 1,
  /** What a reopened log writes first: its probe, and what was admitted before. */
  recovering: Number.POSITIVE_INFINITY,
} as const
export type Share = keyof typeof shares

export interface AdmissionLimits {
  /** Bytes admitted and not yet synced. */
  readonly bytesMax: number
  readonly chunkBytes: number
  /** Memory for chunks is taken from the system in pieces of this size. */
  readonly slabBytes: number
  /** Chunks in one group commit. */
  readonly commitChunksMax: number
}

/**
 * The one admission point: a fact's place in the log is decided here, in the same turn in
 * which its caller decides it and folds it, so the order of admission is the order of replay.
 *
 * Chunks are carved from slabs, so a fact is encoded once, straight into the bytes that go to
 * disk and into the tail cache. Offsets are known at admission; the checksum chain is sealed
 * when a chunk is taken for commit.
 */
export class Admission {
  readonly #limits: AdmissionLimits
  readonly #slabs: Slabs
  #open: PendingChunk | undefined
  #waiting: PendingChunk[] = []
  #inFlight: readonly PendingChunk[] = []
  #outstandingBytes = 0
  #nextOffset = 0
  #epoch = 0
  #lastOffset = 0
  #lastChecksum = 0

  constructor(limits: AdmissionLimits) {
    this.#limits = limits
    this.#slabs = new Slabs(limits.slabBytes)
  }

  get epoch(): number {
    return this.#epoch
  }

  get outstandingBytes(): number {
    return this.#outstandingBytes
  }

  /** Where the next record goes. */
  get position(): number {
    return this.#open ? this.#open.offset + this.#open.used : this.#nextOffset + CHUNK_HEADER_BYTES
  }

  /**
   * Where the chunk begins that takes the next record: every fact before it is in an earlier chunk.
   */
  get chunkStart(): number {
    return this.#open?.offset ?? this.#nextOffset
  }

  /** True while something waits to be taken. */
  get hasWork(): boolean {
    return this.#waiting.length > 0 || this.#open !== undefined
  }

  /** The chunk that holds the newest unsynced fact. */
  get lastChunk(): PendingChunk | undefined {
    return this.#open ?? this.#waiting.at(-1) ?? this.#inFlight.at(-1)
  }

  /** Everything admitted and neither synced nor handed over, oldest first. */
  *unsynced(): Generator<PendingChunk> {
    yield* this.#inFlight
    yield* this.#waiting
    if (this.#open) yield this.#open
  }

  start(tail: LogTail, epoch: number): void {
    this.#epoch = epoch
    this.#nextOffset = tail.offset
    this.#lastOffset = tail.lastOffset
    this.#lastChecksum = tail.lastChecksum
  }

  hasRoom(size: number, share: Share): boolean {
    return this.#outstandingBytes + size <= this.#limits.bytesMax * shares[share]
  }

  /**
   * Room for a record of `size` bytes at `chunk.used`; the caller fills `chunk.region` there
   * within this turn. Throws `THROTTLED` when the share is used up.
   */
  reserve(size: number, share: Share): { readonly chunk: PendingChunk; readonly at: number } {
    if (!this.hasRoom(size, share))
      throw new BrokerError('THROTTLED', { reason: 'the disk does not keep up' })
    if (!this.#open?.fits(size)) this.#close()
    const chunk = this.#open ?? this.#carve(size)
    const at = chunk.used
    chunk.used += size
    chunk.count++
    this.#outstandingBytes += size
    return { chunk, at }
  }

  /** The next group commit, sealed in order; undefined when nothing waits. */
  take(): readonly PendingChunk[] | undefined {
    if (this.#waiting.length < this.#limits.commitChunksMax) this.#close()
    if (this.#waiting.length === 0) return undefined
    const batch = this.#waiting.splice(0, this.#limits.commitChunksMax)
    for (const chunk of batch) this.#seal(chunk)
    this.#inFlight = batch
    return batch
  }

  /** The batch on its way is on disk. */
  synced(batch: readonly PendingChunk[]): void {
    if (this.#inFlight === batch) this.#inFlight = []
    this.released(batch)
  }

  /**
   * Hands over everything that is not synced, in order, and begins anew at the next `start`. The
   * bytes stay counted until they are `released`, so a log that refuses for long stays bounded.
   */
  abandon(): { readonly inFlight: readonly PendingChunk[]; readonly waiting: PendingChunk[] } {
    this.#close()
    const abandoned = { inFlight: this.#inFlight, waiting: this.#waiting }
    this.#inFlight = []
    this.#waiting = []
    return abandoned
  }

  /** What was handed over is settled. */
  released(chunks: readonly PendingChunk[]): void {
    for (const chunk of chunks) this.#outstandingBytes -= chunk.used - CHUNK_HEADER_BYTES
  }

  /** Memory of a settled chunk that nobody has read, for those to come. */
  reuse(bytes: Buffer): void {
    this.#slabs.giveBack(bytes)
  }

  #seal(chunk: PendingChunk): void {
    const checksum = sealChunk(chunk.bytes, {
      epoch: this.#epoch,
      count: chunk.count,
      offset: chunk.offset,
      previousOffset: this.#lastOffset,
      previousChecksum: this.#lastChecksum,
    })
    chunk.sealed = { offset: chunk.offset, bytes: chunk.bytes, checksum }
    this.#lastOffset = chunk.offset
    this.#lastChecksum = checksum
  }

  /** The open chunk is full or taken: the next one begins where it ends. */
  #close(): void {
    const chunk = this.#open
    if (chunk === undefined) return
    this.#open = undefined
    this.#slabs.keep(chunk.used)
    this.#nextOffset = chunk.offset + chunk.used
    this.#waiting.push(chunk)
  }

  #carve(size: number): PendingChunk {
    const bytes = Math.max(this.#limits.chunkBytes, CHUNK_HEADER_BYTES + size)
    this.#open = new PendingChunk(this.#nextOffset, this.#slabs.carve(bytes))
    return this.#open
  }
}
