import { OffsetSet } from '../../machines/retention/offset-set.ts'
import type { QueueBounds } from '../../model/addressing/registry-facts.ts'
import type { OffsetRuns } from '../../model/delivery/facts.ts'
import {
  BLOCK_UNITS,
  putUnit,
  readUnit,
  UNIT_BYTES,
  type Unit,
  unitGroupHash,
  unitTagsCode,
} from '../../storage/codec/unit-block.ts'
import type { CommitTarget, PendingChunk } from '../commit-log/pending-chunk.ts'

const UNITS_FIRST = 4

/**
 * A stretch of units in memory. `from` is the first index that is really here: units before
 * it, if any, are in the index and are merged in before the block is written or read whole.
 */
export interface Block {
  units: Buffer
  from: number
  end: number
}

/** A block as a checkpoint writes it. */
export interface BlockPut {
  readonly block: number
  readonly units: Buffer
}

/** What a queue asks of the index: the stored bytes of one of its blocks. */
export type ReadBlock = (queueId: number, block: number) => Promise<Buffer | undefined>

/** Told what becomes of a queue's messages. */
export interface QueueOwner {
  readonly topicId: number
  /** First offset of a queue in the tier; undefined when it has nothing there. */
  tierStart(queueId: number): number | undefined
  /** Offsets became visible. */
  queueVisible(): void
  /** A unit was admitted and never came to be. */
  unitGone(unit: Unit): void
}

/** Clean blocks of all queues, bounded together. */
export interface BlockCache {
  get(key: number): Buffer | undefined
  set(key: number, value: Buffer): void
  delete(key: number): void
}

const noBlocks = new Map<number, Block>()

const blockOf = (offset: number): number => Math.floor(offset / BLOCK_UNITS)

/**
 * The ConsumeQueue of one message queue: where each queue offset lies in the CommitLog.
 *
 * Units are admitted with the message and visible once it is synced. Dirty blocks stay in
 * memory until a checkpoint has written them; clean ones live in a shared, bounded cache.
 */
export class ConsumeQueue implements CommitTarget {
  readonly queueId: number
  /** First offset held in the log; the tier may hold what is before it. */
  localMin: number
  /** One past the last visible offset. */
  offsetMax: number
  /** One past the last admitted offset. */
  admittedEnd: number
  isOrdered: boolean
  touchedIn: PendingChunk | undefined
  touchedAt = 0
  #owner: QueueOwner | undefined
  #dirty: Map<number, Block> = noBlocks
  /**
   * Raised when blocks change place between memory and index; a read that straddles it is repeated.
   */
  #version = 0
  readonly #cache: BlockCache
  readonly #cacheBase: number
  readonly #read: ReadBlock
  /** Blocks below this are not in the index any more. */
  #indexedFrom: number

  /** Offsets that nobody is shown any more; undefined while there are none, as in nearly all. */
  #ended: OffsetSet | undefined

  constructor(
    queueId: number,
    bounds: QueueBounds,
    deps: { cache: BlockCache; cacheBase: () => number; read: ReadBlock; owner?: QueueOwner },
  ) {
    this.queueId = queueId
    this.localMin = bounds.offsetMin
    this.offsetMax = bounds.offsetMax
    this.admittedEnd = bounds.offsetMax
    this.isOrdered = bounds.isOrdered
    this.end(bounds.ended ?? [])
    this.#indexedFrom = blockOf(bounds.offsetMin)
    this.#cache = deps.cache
    this.#cacheBase = deps.cacheBase()
    this.#read = deps.read
    this.#owner = deps.owner
  }

  /** Undefined of a queue that was let go of. */
  get topicId(): number | undefined {
    return this.#owner?.topicId
  }

  get indexedFrom(): number {
    return this.#indexedFrom
  }

  /**
   * First offset still kept, here or in the tier. A replay may meet later sections first: the
   * earlier ones come with what was carried forward.
   */
  get offsetMin(): number {
    const tierStart = this.#owner?.tierStart(this.queueId)
    return tierStart === undefined || tierStart > this.localMin ? this.localMin : tierStart
  }

  get isDirty(): boolean {
    return this.#dirty.size > 0
  }

  get bounds(): QueueBounds {
    return this.#boundsTo(this.admittedEnd)
  }

  /** As of what is synced. */
  get visibleBounds(): QueueBounds {
    return this.#boundsTo(this.offsetMax)
  }

  /** Messages that are shown. */
  get messages(): number {
    return this.offsetMax - this.offsetMin - (this.#ended?.size ?? 0)
  }

  /** The first offset still kept whose message did not end. */
  get offsetFirst(): number {
    return this.#ended?.firstOutside(this.offsetMin) ?? this.offsetMin
  }

  isEnded(offset: number): boolean {
    return this.#ended?.has(offset) ?? false
  }

  /** Ends messages for everybody, wherever they lie. Their bytes go when the queue is trimmed. */
  end(runs: OffsetRuns): void {
    if (runs.length === 0) return
    this.#ended ??= new OffsetSet()
    this.#ended.add(runs)
    this.#cutEnded()
  }

  /** Places the next message. Returns its offset; visible only after `commit`. */
  append(unit: Unit): number {
    const offset = this.admittedEnd
    this.#put(offset, unit)
    this.admittedEnd = offset + 1
    if (unit.groupHash !== 0) this.isOrdered = true
    return offset
  }

  /** The message moved: same offset, new place in the log. Its block was made whole before. */
  repoint(offset: number, unit: Unit): void {
    if (offset < this.localMin) return
    const dirty = this.#dirty.get(blockOf(offset))
    // A checkpoint on its way keeps the units as they were.
    if (dirty) dirty.units = Buffer.from(dirty.units)
    this.#put(offset, unit)
  }

  /** While folding the log anew: places a message at its own offset, wherever the queue ends. */
  async place(offset: number, unit: Unit): Promise<void> {
    if (offset < this.localMin) return
    if (offset < this.admittedEnd) {
      await this.makeWhole(offset)
      this.#put(offset, unit)
      if (unit.groupHash !== 0) this.isOrdered = true
      return
    }
    this.admittedEnd = offset
    this.append(unit)
    this.offsetMax = this.admittedEnd
  }

  commit(offsetEnd: number): void {
    if (offsetEnd <= this.offsetMax) return
    this.offsetMax = offsetEnd
    this.#owner?.queueVisible()
  }

  rollBack(): void {
    for (let offset = this.offsetMax; offset < this.admittedEnd; offset++) {
      const unit = this.unit(offset)
      if (unit) this.#owner?.unitGone(unit)
    }
    this.admittedEnd = this.offsetMax
    this.touchedIn = undefined
    const last = blockOf(this.admittedEnd)
    for (const [number, block] of this.#dirty) {
      if (number > last) this.#dirty.delete(number)
      else if (number === last) {
        block.end = Math.min(block.end, this.admittedEnd - number * BLOCK_UNITS)
        if (block.end <= block.from) this.#dirty.delete(number)
      }
    }
  }

  /** While folding the log anew: the queue reaches at least this far. */
  widen(bounds: QueueBounds): void {
    this.admittedEnd = Math.max(this.admittedEnd, bounds.offsetMax)
    this.offsetMax = this.admittedEnd
    this.isOrdered ||= bounds.isOrdered
    this.end(bounds.ended ?? [])
    this.trim(bounds.offsetMin)
  }

  /** Everything below leaves the log. Offsets never restart. */
  trim(localMin: number): void {
    const before = blockOf(this.localMin)
    this.localMin = Math.max(this.localMin, localMin)
    this.admittedEnd = Math.max(this.admittedEnd, this.localMin)
    this.offsetMax = Math.max(this.offsetMax, this.localMin)
    this.#cutEnded()
    const first = blockOf(this.localMin)
    for (const number of this.#dirty.keys()) if (number < first) this.#dirty.delete(number)
    for (let number = before; number < first; number++) this.#cache.delete(this.#cacheBase + number)
  }

  /** The unit at an offset; undefined while its block has to be loaded. */
  unit(offset: number): Unit | undefined {
    const at = this.#locate(offset)
    return at && readUnit(at, offset % BLOCK_UNITS)
  }

  tagsCode(offset: number): number | undefined {
    const at = this.#locate(offset)
    return at && unitTagsCode(at, offset % BLOCK_UNITS)
  }

  groupHash(offset: number): number | undefined {
    const at = this.#locate(offset)
    return at && unitGroupHash(at, offset % BLOCK_UNITS)
  }

  /** Brings the block of an offset into memory. */
  async load(offset: number): Promise<void> {
    await this.#withStored(blockOf(offset), () => {})
  }

  /** The block of an offset as it stands, for readers that go through all of a queue. */
  async wholeBlock(offset: number): Promise<Buffer> {
    const number = blockOf(offset)
    const dirty = this.#dirty.get(number)
    if (dirty?.from === 0) return padded(dirty.units)
    return this.#withStored(number, (stored) =>
      padded(this.#dirty.get(number)?.units ?? stored ?? Buffer.alloc(0)),
    )
  }

  /** Brings the block of an offset into memory as a dirty one that can be changed anywhere. */
  async makeWhole(offset: number): Promise<void> {
    const number = blockOf(offset)
    await this.#withStored(number, (stored) =>
      merge(this.#dirty.get(number) ?? this.#begin(number, 0), stored),
    )
  }

  /** False while a dirty block lacks units that only the index has. */
  get isPrepared(): boolean {
    for (const { from } of this.#dirty.values()) if (from > 0) return false
    return true
  }

  /** Loads what dirty blocks lack, so that `checkpoint` can write them whole. */
  async prepareCheckpoint(): Promise<void> {
    for (const [number, block] of this.#dirty)
      if (block.from > 0) await this.load(number * BLOCK_UNITS)
  }

  /**
   * The dirty blocks as they stand, and the numbers of blocks that leave the index. No copies:
   * appending adds behind them, and what changes a unit in place changes a copy of its block.
   */
  checkpoint(): { readonly puts: readonly BlockPut[]; readonly removed: readonly number[] } {
    const puts: BlockPut[] = []
    for (const [block, { units, end }] of this.#dirty)
      puts.push({ block, units: units.subarray(0, end * UNIT_BYTES) })
    const first = blockOf(this.localMin)
    const removed: number[] = []
    for (let block = this.#indexedFrom; block < first; block++) removed.push(block)
    return { puts, removed }
  }

  /**
   * A checkpoint with these blocks is on its way to disk: they may leave memory when it is there.
   */
  checkpointed(puts: readonly BlockPut[], removed: readonly number[]): void {
    this.#indexedFrom += removed.length
    this.#version++
    for (const { block, units } of puts) {
      const dirty = this.#dirty.get(block)
      if (dirty === undefined || !isSame(dirty, units)) continue
      this.#dirty.delete(block)
      this.#cache.set(this.#cacheBase + block, trimmed(units))
    }
  }

  #boundsTo(offsetMax: number): QueueBounds {
    const { localMin, isOrdered } = this
    const bounds = { offsetMin: localMin, offsetMax, isOrdered }
    return this.#ended ? { ...bounds, ended: this.#ended.runs } : bounds
  }

  #cutEnded(): void {
    this.#ended?.cut(this.offsetMin)
    if (this.#ended?.isEmpty) this.#ended = undefined
  }

  /** Nothing of the queue stays in memory. */
  release(): void {
    for (let block = blockOf(this.localMin); block <= blockOf(this.admittedEnd); block++)
      this.#cache.delete(this.#cacheBase + block)
    this.#dirty = noBlocks
    this.#owner = undefined
  }

  /**
   * Looks at what the index has of a block in the very turn in which it is true: the block is
   * merged or cached, and neither evicted nor moved before `look` returns.
   */
  async #withStored<Result>(
    number: number,
    look: (stored: Buffer | undefined) => Result,
  ): Promise<Result> {
    for (;;) {
      const version = this.#version
      const stored = await this.#read(this.queueId, number)
      if (version !== this.#version) continue
      const dirty = this.#dirty.get(number)
      if (dirty) merge(dirty, stored)
      else if (stored) this.#cache.set(this.#cacheBase + number, stored)
      return look(stored)
    }
  }

  #locate(offset: number): Buffer | undefined {
    const number = blockOf(offset)
    const index = offset % BLOCK_UNITS
    const dirty = this.#dirty.get(number)
    if (dirty && index >= dirty.from) return index < dirty.end ? dirty.units : undefined
    if (dirty) return undefined
    const clean = this.#cache.get(this.#cacheBase + number)
    return clean && clean.length > index * UNIT_BYTES ? clean : undefined
  }

  #put(offset: number, unit: Unit): void {
    const number = blockOf(offset)
    const index = offset % BLOCK_UNITS
    const block = this.#dirty.get(number) ?? this.#begin(number, index)
    if (index < block.from) throw new RangeError(`block ${number} is not whole`)
    while ((index + 1) * UNIT_BYTES > block.units.length) grow(block)
    putUnit(block.units, index, unit)
    block.end = Math.max(block.end, index + 1)
  }

  #begin(number: number, index: number): Block {
    const key = this.#cacheBase + number
    const clean = this.#cache.get(key)
    const isWhole = clean !== undefined && clean.length >= index * UNIT_BYTES
    const block: Block = isWhole
      ? { units: Buffer.from(clean), from: 0, end: clean.length / UNIT_BYTES }
      : { units: Buffer.alloc(0), from: index, end: index }
    if (isWhole) this.#cache.delete(key)
    if (this.#dirty === noBlocks) this.#dirty = new Map()
    this.#dirty.set(number, block)
    return block
  }
}

/** Nothing was added, moved or grown since the checkpoint looked. */
const isSame = ({ units, end }: Block, seen: Buffer): boolean =>
  units.buffer === seen.buffer &&
  units.byteOffset === seen.byteOffset &&
  end * UNIT_BYTES === seen.length

/** Units in a buffer of their own, so that a cache counts all that it keeps alive. */
const trimmed = (units: Buffer): Buffer =>
  units.buffer.byteLength === units.length ? units : Buffer.from(units)

/** A full block; units that are not there read as absent. */
const padded = (units: Buffer): Buffer =>
  units.length === BLOCK_UNITS * UNIT_BYTES
    ? units
    : Buffer.concat([units], BLOCK_UNITS * UNIT_BYTES)

/** Completes a block by what the index has of it. Units that nobody has stay absent. */
const merge = (block: Block, stored: Buffer | undefined): void => {
  const bytes = Math.max(block.from * UNIT_BYTES, stored?.length ?? 0)
  while (block.units.length < bytes) grow(block)
  stored?.copy(block.units, 0, 0, block.from * UNIT_BYTES)
  if (stored && stored.length > block.end * UNIT_BYTES) {
    stored.copy(block.units, block.end * UNIT_BYTES, block.end * UNIT_BYTES)
    block.end = stored.length / UNIT_BYTES
  }
  block.from = 0
}

/** Doubles a block up to its full size, so that an idle queue costs little. */
const grow = (block: Block): void => {
  const unitsNow = block.units.length / UNIT_BYTES
  const units = Math.min(BLOCK_UNITS, Math.max(UNITS_FIRST, unitsNow * 2, block.end + 1))
  const grown = Buffer.alloc(units * UNIT_BYTES)
  block.units.copy(grown)
  block.units = grown
}
