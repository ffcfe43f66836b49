import { Subject } from 'rxjs'
import { BrokerError } from '../../model/errors.ts'
import type { Clock, Logger } from '../../model/ports.ts'
import { encodeRegistryFact } from '../../storage/codec/registry-fact.ts'
import { CHUNK_HEADER_BYTES } from '../../storage/codec/chunk.ts'
import {
  type MessageContent,
  type MessagePlace,
  messageRecordSize,
  putMessage,
} from '../../storage/codec/message-fact.ts'
import { ChunkLog, type LogTail } from '../../storage/log/chunk-log.ts'
import type { Database } from '../../storage/ports/database.ts'
import type { Place } from '../../storage/ports/place.ts'
import { Refusals } from '../system/refusals.ts'
import { BoundedCache } from '../system/bounded-cache.ts'
import { isDiskFull } from '../system/disk-full.ts'
import { Admission, type Share } from './admission.ts'
import type { Consequence, PendingChunk } from './pending-chunk.ts'
import { FlushRecord } from './flush-record.ts'
import { Resettlement } from './resettlement.ts'
import type { CommitLogSettings } from './settings.ts'

export interface CommitLogDeps {
  readonly place: Place
  readonly clock: Clock
  readonly logger: Logger
  readonly settings: CommitLogSettings
}

/** Where an admitted record stands. */
export interface Admitted {
  readonly chunk: PendingChunk
  readonly at: number
}

export type LogMode = 'opening' | 'writing' | 'refusing' | 'closed'

const NO_PREFIX: readonly number[] = []

/**
 * The data plane of the CommitLog: admission, commit and reading are plain calls; the chart in
 * `commit-log.machine` says when each of them is allowed and runs the loops (`commit-log.actor`).
 */
export class CommitLog {
  readonly #deps: CommitLogDeps
  readonly #admission: Admission
  readonly #cache: BoundedCache
  readonly #loading = new Map<number, Promise<Buffer | undefined>>()
  readonly #resettlement: Resettlement
  #log: ChunkLog | undefined
  #mode: LogMode = 'opening'
  #syncedTail: LogTail = { offset: 0, lastOffset: 0, lastChecksum: 0, epoch: 0 }
  #writing: Promise<void> | undefined
  /** On disk, and not announced yet. */
  #written: readonly PendingChunk[] | undefined
  #reopening: Promise<void> | undefined
  #closingHandle: Promise<void> = Promise.resolve()
  #isDraining = false
  #brokenLog: ChunkLog | undefined
  #isSignalled = false
  #storeAtMs = 0
  #cancelLinger: (() => void) | undefined
  readonly #roomWaiters = new Set<() => void>()

  /** Says that something waits to be committed. */
  readonly signal$ = new Subject<void>()
  /** Batches in the order in which they became visible. */
  readonly committed$ = new Subject<readonly PendingChunk[]>()
  /** A write outside the commit loop failed: the handle is dead as after any other. */
  readonly broken$ = new Subject<unknown>()
  /** Buffered facts of `[from, …)` were admitted anew, now up to `to`. */
  onResettled: ((moved: { from: number; to: number }) => void) | undefined
  /** Since when it refuses, monotonic; undefined while it does not. */
  refusingSinceMs: number | undefined
  /** How long it refused before, in all. */
  refusedMs = 0
  readonly refusals = new Refusals()
  readonly flushes = new FlushRecord()

  constructor(deps: CommitLogDeps) {
    this.#deps = deps
    this.#admission = new Admission(deps.settings)
    this.#cache = new BoundedCache(deps.settings.cacheBytes, (bytes) =>
      this.#admission.reuse(bytes),
    )
    this.#resettlement = new Resettlement(this.#admission, deps)
  }

  get mode(): LogMode {
    return this.#mode
  }

  get epoch(): number {
    return this.#admission.epoch
  }

  get unsyncedBytes(): number {
    return this.#admission.outstandingBytes
  }

  get unsyncedBytesMax(): number {
    return this.#deps.settings.bytesMax
  }

  /** Facts that nobody waits for and that are not on disk yet: leases, extensions, acks. */
  get buffered(): { readonly facts: number; readonly bytes: number } {
    let facts = 0
    let bytes = 0
    for (const { bufferedCount, bufferedBytes } of this.#unsynced()) {
      facts += bufferedCount
      bytes += bufferedBytes
    }
    return { facts, bytes }
  }

  /** When the oldest unsynced fact was admitted, monotonic; undefined while all is synced. */
  get unsyncedSinceMs(): number | undefined {
    let oldest: number | undefined
    for (const { sinceMs } of this.#unsynced())
      if (sinceMs !== undefined && (oldest === undefined || sinceMs < oldest)) oldest = sinceMs
    return oldest
  }

  get position(): number {
    return this.#admission.position
  }

  get chunkStart(): number {
    return this.#admission.chunkStart
  }

  /** Everything below is on disk. */
  get syncedOffset(): number {
    return this.#syncedTail.offset
  }

  /** Chunks at the tail and chunks that were read. */
  get cache(): { readonly bytes: number; readonly bytesMax: number } {
    return this.#cache
  }

  /** The store, for the few that walk it: recovery, reclaim, audit. */
  get chunks(): ChunkLog {
    if (this.#log === undefined)
      throw new BrokerError('STORE_UNAVAILABLE', { store: 'CommitLog', operation: 'read' })
    return this.#log
  }

  // ——— admission

  /** Throws unless a durable fact may be admitted now. */
  checkWritable(): void {
    if (this.#mode === 'writing') return
    if (this.#mode === 'closed') throw new BrokerError('BROKER_CLOSED', {})
    throw this.refusals.counted(
      new BrokerError('STORE_UNAVAILABLE', { store: 'CommitLog', operation: 'write' }),
    )
  }

  /** Room for buffered facts of `size` bytes. They are taken while the log refuses, too. */
  hasRoom(size: number): boolean {
    return this.#admission.hasRoom(size, 'buffered')
  }

  /**
   * Resolves after the next commit, when there may be room again, or when `roomWaitMs` have
   * passed. Throws `THROTTLED` when too many wait already.
   */
  whenRoom(): Promise<void> {
    const { clock, settings } = this.#deps
    if (this.#roomWaiters.size >= settings.roomWaitersMax)
      throw this.refusals.counted(
        new BrokerError('THROTTLED', { reason: 'too many wait for the disk' }),
      )
    return new Promise((resolve) => {
      const release = (): void => {
        cancel()
        this.#roomWaiters.delete(release)
        resolve()
      }
      const cancel = clock.after(settings.roomWaitMs, release)
      this.#roomWaiters.add(release)
    })
  }

  /** The time to write into a message: wall clock, never decreasing along the log. */
  storeAtMs(): number {
    this.#storeAtMs = Math.max(this.#storeAtMs, Math.floor(this.#deps.clock.wallMs()))
    return this.#storeAtMs
  }

  /** Recovery saw a message of this time. */
  noteStoreAtMs(storeAtMs: number): void {
    if (storeAtMs > this.#storeAtMs) this.#storeAtMs = storeAtMs
  }

  admitMessage(
    place: MessagePlace,
    content: MessageContent,
    options: { type?: number; prefix?: readonly number[]; share?: Share } = {},
  ): Admitted & { readonly size: number } {
    const { prefix = NO_PREFIX, share = 'durable' } = options
    this.checkWritable()
    const size = messageRecordSize(place, content, prefix)
    const { chunk, at } = this.#reserve(size, share)
    putMessage(chunk.region, at, place, content, { ...options, prefix })
    this.#signal()
    return { chunk, at, size }
  }

  /** A durable fact other than a message. Its consequences follow when it is synced or gone. */
  admitFact(record: Buffer, share: Share, consequence?: Consequence): Admitted {
    this.checkWritable()
    const admitted = this.#admitRecord(record, share)
    if (consequence) admitted.chunk.consequences.push(consequence)
    this.#signal()
    return admitted
  }

  /** A fact that nobody waits for. Taken while the log refuses, and admitted anew afterwards. */
  admitBuffered(record: Buffer): Admitted {
    if (this.#mode === 'closed') throw new BrokerError('BROKER_CLOSED', {})
    const admitted = this.#admitRecord(record, 'buffered')
    admitted.chunk.bufferedCount++
    admitted.chunk.bufferedBytes += record.length
    if (this.#admission.outstandingBytes >= this.#deps.settings.chunkBytes) this.#signal()
    else this.#signalLater()
    return admitted
  }

  /** Resolves when the chunk is synced; rejects when it is gone or nobody can say in time. */
  whenSynced({ chunk }: Admitted): Promise<void> {
    return new Promise((resolve, reject) => chunk.waiters.push({ resolve, reject }))
  }

  /** Resolves when everything admitted so far is on disk; rejects when the log refuses before. */
  async flush(): Promise<void> {
    if (this.position - CHUNK_HEADER_BYTES <= this.#syncedTail.offset) return
    this.checkWritable()
    const chunk = this.#admission.lastChunk
    if (chunk === undefined) return
    const synced = this.whenSynced({ chunk, at: 0 })
    this.#signal()
    await synced
  }

  // ——— reading

  /** A chunk that is in memory. */
  cached(offset: number): Buffer | undefined {
    return this.#cache.get(offset)
  }

  /** As `cached`, for who reads the log from one end to the other and would keep all of it. */
  glance(offset: number): Buffer | undefined {
    return this.#cache.glance(offset)
  }

  /** A chunk from disk, kept in the cache; undefined when there is none. */
  load(offset: number): Promise<Buffer | undefined> {
    const cached = this.#cache.get(offset)
    if (cached) return Promise.resolve(cached)
    const running = this.#loading.get(offset)
    if (running) return running
    const loading = this.#loadChunk(offset).finally(() => this.#loading.delete(offset))
    this.#loading.set(offset, loading)
    return loading
  }

  forget(offset: number): void {
    this.#cache.delete(offset)
  }

  // ——— what the chart runs

  async open(): Promise<LogTail> {
    this.#log = new ChunkLog(await this.#openDatabase())
    this.#syncedTail = await this.#log.tail()
    return this.#syncedTail
  }

  /** Begins an epoch: a synced probe proves the store, and makes the epoch durable. */
  async begin(): Promise<void> {
    await this.#writeAndApply(this.#startEpoch())
    this.#restoreBallast()
  }

  setMode(mode: LogMode): void {
    this.#mode = mode
    const nowMs = this.#deps.clock.monotonicMs()
    this.refusedMs += nowMs - (this.refusingSinceMs ?? nowMs)
    this.refusingSinceMs = mode === 'refusing' ? nowMs : undefined
    if (mode === 'refusing') {
      this.#written = undefined
      this.#resettlement.begin()
    }
    if (mode === 'writing') this.#signal()
    else this.#releaseRoomWaiters()
  }

  /** The commit loop's hands. */
  readonly take = (): readonly PendingChunk[] | undefined => this.#admission.take()

  readonly write = (batch: readonly PendingChunk[]): Promise<void> => {
    this.#writing = this.#write(batch).finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  /** A batch is on disk: what it holds becomes visible, and the answers go out. */
  applySynced(batch: readonly PendingChunk[]): void {
    const last = batch.at(-1)
    if (last?.sealed === undefined) return
    if (this.#written === batch) this.#written = undefined
    this.#admission.synced(batch)
    this.#syncedTail = {
      offset: last.offset + last.used,
      lastOffset: last.offset,
      lastChecksum: last.sealed.checksum,
      epoch: this.#admission.epoch,
    }
    for (const chunk of batch) {
      this.#cacheChunk(chunk)
      chunk.becomeVisible()
    }
    this.#releaseRoomWaiters()
    this.committed$.next(batch)
    if (this.#admission.hasWork) this.#signal()
  }

  /** Resolves when no handle is open. */
  closeHandle(): Promise<void> {
    const log = this.#log
    this.#log = undefined
    if (log) this.#closingHandle = log.close()
    return this.#closingHandle
  }

  /** Gives the space of `[from, to)` back. */
  async trim(from: number, to: number): Promise<void> {
    const log = this.chunks
    try {
      await log.trim(from, to)
    } catch (error) {
      this.#brokenLog = log
      this.broken$.next(error)
      throw error
    }
  }

  /** After a failed write: reopens, settles what was under way, and proves the store by a probe. */
  reopen(lastError: unknown): Promise<void> {
    this.#reopening = this.#reopen(lastError).finally(() => {
      this.#reopening = undefined
    })
    return this.#reopening
  }

  async #reopen(lastError: unknown): Promise<void> {
    this.#resettlement.begin()
    if (isDiskFull(lastError)) await this.#deps.place.ballast.release()
    const log = new ChunkLog(await this.#openDatabase())
    this.#log = log
    const tail = await log.tail()
    if (tail.offset < this.#syncedTail.offset)
      throw new BrokerError('CORRUPT', {
        store: 'CommitLog',
        position: tail.offset,
        reason: `the log ends here, but ${this.#syncedTail.offset} was acknowledged`,
      })
    const outcome = await this.#resettlement.compare(log)
    if (this.#isDraining) throw new BrokerError('BROKER_CLOSED', {})
    // One turn from here on: what is held, what is settled and the new epoch have one order.
    this.#resettlement.begin()
    this.#syncedTail = tail
    const probe = this.#startEpoch()
    for (const chunk of outcome.present) this.#cacheChunk(chunk)
    this.#resettlement.finish(outcome)
    this.onResettled?.({ from: tail.offset, to: this.position })
    this.committed$.next(outcome.present)
    await this.#writeAndApply(probe)
    this.#restoreBallast()
  }

  /** Commits what is left, then closes. Whoever still waits is told. */
  async drain(): Promise<void> {
    this.#isDraining = true
    await this.#reopening?.catch(() => {})
    try {
      await this.#writing
      if (this.#written) this.applySynced(this.#written)
      // Behind a write that failed nothing may be written: there would be a hole.
      while (this.#mode === 'writing' && this.#admission.hasWork)
        await this.#writeAndApply(this.take())
    } finally {
      this.#mode = 'closed'
      this.#cancelLinger?.()
      this.#resettlement.giveUp(new BrokerError('BROKER_CLOSED', {}))
      this.#releaseRoomWaiters()
      this.signal$.complete()
      this.committed$.complete()
      this.broken$.complete()
      this.#cache.clear()
      await this.closeHandle()
    }
  }

  // ——— inside

  #startEpoch(): readonly PendingChunk[] | undefined {
    const { clock } = this.#deps
    const epoch = this.#syncedTail.epoch + 1
    this.#admission.start(this.#syncedTail, epoch)
    const wallMs = Math.floor(clock.wallMs())
    this.#admitRecord(encodeRegistryFact({ type: 'logOpened', epoch, wallMs }), 'recovering')
    return this.#admission.take()
  }

  #reserve(size: number, share: Share): Admitted {
    if (!this.#admission.hasRoom(size, share))
      throw this.refusals.counted(
        new BrokerError('THROTTLED', { reason: 'the disk does not keep up' }),
      )
    const admitted = this.#admission.reserve(size, share)
    admitted.chunk.sinceMs ??= this.#deps.clock.monotonicMs()
    return admitted
  }

  *#unsynced(): Generator<PendingChunk> {
    yield* this.#resettlement.unsettled()
    yield* this.#admission.unsynced()
  }

  #admitRecord(record: Buffer, share: Share): Admitted {
    const admitted = this.#reserve(record.length, share)
    record.copy(admitted.chunk.region, admitted.at)
    return admitted
  }

  async #write(batch: readonly PendingChunk[]): Promise<void> {
    const { clock, settings } = this.#deps
    let cancelTimeout = (): void => {}
    const timeout = new Promise<never>((_, reject) => {
      cancelTimeout = clock.after(settings.writeTimeoutMs, () =>
        reject(new BrokerError('STORE_UNAVAILABLE', { store: 'CommitLog', operation: 'sync' })),
      )
    })
    const chunks = batch.flatMap(({ sealed }) => sealed ?? [])
    const log = this.chunks
    const begunMs = clock.monotonicMs()
    try {
      await Promise.race([log.write(chunks), timeout])
      this.flushes.synced(clock.monotonicMs() - begunMs)
    } catch (error) {
      this.flushes.failures++
      throw error
    } finally {
      cancelTimeout()
    }
    // Acknowledged behind a write that failed: its next opening will not find it.
    if (log === this.#brokenLog)
      throw new BrokerError('STORE_UNAVAILABLE', { store: 'CommitLog', operation: 'sync' })
    this.#written = batch
  }

  async #writeAndApply(batch: readonly PendingChunk[] | undefined): Promise<void> {
    if (batch === undefined) return
    await this.#write(batch)
    this.applySynced(batch)
  }

  #cacheChunk(chunk: PendingChunk): void {
    if (chunk.targets.length > 0) this.#cache.set(chunk.offset, chunk.bytes)
    else this.#admission.reuse(chunk.bytes)
  }

  async #loadChunk(offset: number): Promise<Buffer | undefined> {
    const bytes = await this.chunks.read(offset)
    if (bytes) this.#cache.set(offset, bytes)
    return bytes
  }

  #signal(): void {
    if (this.#isSignalled || this.#mode !== 'writing') return
    this.#isSignalled = true
    this.#deps.clock.soon(this.#sendSignal)
  }

  /** One closure for all signals: they come once a turn. */
  readonly #sendSignal = (): void => {
    this.#isSignalled = false
    this.#cancelLinger?.()
    this.#cancelLinger = undefined
    if (this.#mode === 'writing') this.signal$.next()
  }

  #signalLater(): void {
    if (this.#cancelLinger) return
    this.#cancelLinger = this.#deps.clock.after(this.#deps.settings.bufferedLingerMs, () => {
      this.#cancelLinger = undefined
      this.#signal()
    })
  }

  /** On a full disk LevelDB needs the room of the ballast to open. */
  async #openDatabase(): Promise<Database> {
    const { place } = this.#deps
    try {
      return await place.openDatabase('commit-log')
    } catch (error) {
      if (!isDiskFull(error)) throw error
      await place.ballast.release()
      return place.openDatabase('commit-log')
    }
  }

  #restoreBallast(): void {
    const { place, logger } = this.#deps
    place.ballast
      .restore()
      .catch((error: unknown) =>
        logger.warn({ error: String(error) }, 'the ballast could not be restored'),
      )
  }

  #releaseRoomWaiters(): void {
    for (const release of this.#roomWaiters) release()
  }
}
