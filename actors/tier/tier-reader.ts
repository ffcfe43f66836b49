import type { PlacedSection } from '../../machines/tier/topic-tier.ts'
import { BrokerError } from '../../model/errors.ts'
import type { Clock } from '../../model/ports.ts'
import { type TierObject, tierObjectKey } from '../../model/tier/tier-objects.ts'
import type { ObjectStore } from '../../storage/ports/object-store.ts'
import { type Frame, type FrameEntry, readFrame } from '../../storage/tier/segment-frame.ts'
import { readIndex, type SectionIndex } from '../../storage/tier/segment-index.ts'
import { readNames, type SegmentNames } from '../../storage/tier/segment-names.ts'
import { Allowance } from './allowance.ts'
import { BoundedStore } from './bounded-store.ts'
import { type CachedFrame, isKnown, OpenObject, type Run, runFrom } from './open-object.ts'
import { type Cached, type Part, PartCache } from './part-cache.ts'
import type { TierSettings } from './settings.ts'

export interface TierReaderDeps {
  readonly store: ObjectStore
  readonly clock: Pick<Clock, 'after'>
  readonly settings: Pick<
    TierSettings,
    'cacheBytes' | 'readAheadBytes' | 'readsMax' | 'requestMs' | 'searchBytes'
  >
}

/** A section of a topic, as folding has placed it. */
export interface SectionRef {
  readonly topicId: number
  readonly section: PlacedSection
}

/**
 * Reads what lies in the tier: indexes, names and frames of sections, checked before anybody sees
 * them and kept in one cache that is bounded in bytes. Nothing is read twice at the same time, at
 * most `readsMax` reads are under way, and a reader that goes on from frame to frame is read ahead
 * of, never beyond its section.
 *
 * Every read may reject with `TIER_UNAVAILABLE`, `TIER_DENIED`, `CORRUPT` (names the object and the
 * position in it), and with `TIER_OBJECT_NOT_FOUND` when the section expired meanwhile: the caller
 * looks again at what the topic has.
 */
export class TierReader {
  /** Names that one search reads at most. */
  readonly searchBytes: number
  readonly #store: ObjectStore
  readonly #readAheadBytes: number
  readonly #permits: Allowance
  readonly #cache: PartCache
  /** By key; those of which something is in memory or on its way. */
  readonly #objects = new Map<string, OpenObject>()
  readonly #closing = new AbortController()
  #hits = 0
  #misses = 0
  #bytesRead = 0

  constructor({ store, clock, settings }: TierReaderDeps) {
    const { signal } = this.#closing
    this.#store = new BoundedStore(store, { clock, requestMs: settings.requestMs, signal })
    this.searchBytes = settings.searchBytes
    this.#cache = new PartCache(settings.cacheBytes)
    // What is read ahead must not push out what is being read.
    this.#readAheadBytes = Math.min(settings.readAheadBytes, Math.floor(settings.cacheBytes / 4))
    this.#permits = new Allowance(settings.readsMax)
  }

  get cache(): { readonly bytes: number; readonly bytesMax: number; readonly frames: number } {
    let frames = 0
    for (const object of this.#objects.values()) frames += object.frames.size
    return { bytes: this.#cache.bytes, bytesMax: this.#cache.bytesMax, frames }
  }

  /** Since the start: frames found in the cache and not, bytes that were read. And reads now. */
  get traffic(): TierReads {
    const { inUse: reading, waiters } = this.#permits
    return {
      hits: this.#hits,
      misses: this.#misses,
      bytesRead: this.#bytesRead,
      reading,
      waiters,
    }
  }

  /** Bytes of frames that one call may hold on to before it should make do with them. */
  get heldBytesMax(): number {
    return 2 * this.#readAheadBytes
  }

  /** The frame that holds an offset, when it is in memory. */
  cachedFrame({ topicId, section }: SectionRef, offset: number): Frame | undefined {
    const object = this.#objects.get(tierObjectKey(topicId, section.object))
    const index = object?.indexes.get(section.indexAt)
    if (object === undefined || index === undefined) return undefined
    const entry = index.value.frameOf(offset)
    const frame = entry && object.frames.get(entry.at)
    if (frame === undefined) return undefined
    index.isUsed = true
    return this.#hit(object, index.value, frame)
  }

  /** The frame that holds an offset of the section. */
  async loadFrame(ref: SectionRef, offset: number): Promise<Frame> {
    for (;;) {
      const index = await this.index(ref)
      const entry = index.frameOf(offset)
      if (entry === undefined)
        throw new RangeError(`offset ${offset} is not in the section of queue ${index.queueId}`)
      const object = this.#open(ref)
      const cached = object.frames.get(entry.at)
      if (cached) return this.#hit(object, index, cached)
      this.#misses++
      const run =
        object.loading.get(entry.at) ?? this.#load(object, index, this.#runAt(object, index, entry))
      // Another reader's run leaves out a frame that is damaged: it is read alone, and says so.
      const frame = (await run).get(entry.at)
      if (frame) return frame
    }
  }

  /** Where the frames of a section are, by offset and by time. */
  index(ref: SectionRef): Promise<SectionIndex> {
    const { section } = ref
    const { indexAt: from, indexBytes } = section
    const object = this.#open(ref)
    return this.#part(object, object.indexes, { from, to: from + indexBytes }, (bytes) =>
      readIndex(bytes, section, object.key),
    )
  }

  /** The hashes of ids and keys of a section's messages. */
  names(ref: SectionRef): Promise<SegmentNames> {
    const { section } = ref
    const { namesAt: from, namesBytes } = section
    const object = this.#open(ref)
    return this.#part(object, object.names, { from, to: from + namesBytes }, (bytes) =>
      readNames(bytes, section, object.key),
    )
  }

  /** Nothing of an object stays in memory: it expired. */
  dropObject(topicId: number, object: TierObject): void {
    this.#drop(tierObjectKey(topicId, object))
  }

  /** The same for all objects of a topic that ended. */
  drop(topicId: number): void {
    for (const key of [...this.#objects.keys()])
      if (key.split('/')[1] === String(topicId)) this.#drop(key)
  }

  /** Ends reads that are under way and empties the cache. */
  close(): void {
    this.#closing.abort(new BrokerError('BROKER_CLOSED', {}))
    for (const key of [...this.#objects.keys()]) this.#drop(key)
  }

  #open({ topicId, section }: SectionRef): OpenObject {
    const key = tierObjectKey(topicId, section.object)
    const known = this.#objects.get(key)
    if (known) return known
    const object = new OpenObject(key)
    this.#objects.set(key, object)
    return object
  }

  #drop(key: string): void {
    const object = this.#objects.get(key)
    if (object === undefined) return
    object.isDropped = true
    for (const parts of [object.indexes, object.names, object.frames])
      for (const cached of [...parts.values()]) this.#cache.remove(cached)
    this.#objects.delete(key)
  }

  #hit(object: OpenObject, index: SectionIndex, cached: CachedFrame): Frame {
    this.#hits++
    cached.isUsed = true
    const { aheadFrom } = cached
    if (aheadFrom !== undefined) {
      cached.aheadFrom = undefined
      this.#readAhead(object, index, aheadFrom)
    }
    return cached.value
  }

  /** Whoever really needs it will hear what went wrong. */
  #readAhead(object: OpenObject, index: SectionIndex, offset: number): void {
    const entry = index.frameOf(offset)
    if (entry === undefined || isKnown(object, entry)) return
    this.#load(object, index, runFrom(object, index, entry, this.#readAheadBytes)).catch(() => {})
  }

  /** One frame, or as many as are read ahead of a reader that was at the frame before. */
  #runAt(object: OpenObject, index: SectionIndex, entry: FrameEntry): FrameEntry[] {
    const before = index.frameOf(entry.from - 1)
    const isGoingOn = before !== undefined && object.frames.has(before.at)
    return runFrom(object, index, entry, isGoingOn ? this.#readAheadBytes : 0)
  }

  /** Frames that lie one behind the other, by one read. */
  #load(object: OpenObject, index: SectionIndex, entries: readonly FrameEntry[]): Promise<Run> {
    const run = this.#loadRun(object, index, entries).finally(() => {
      for (const { at } of entries) object.loading.delete(at)
      this.#forgetIdle(object)
    })
    for (const { at } of entries) object.loading.set(at, run)
    return run
  }

  async #loadRun(
    object: OpenObject,
    index: SectionIndex,
    entries: readonly FrameEntry[],
  ): Promise<Run> {
    const first = entries[0] as FrameEntry
    const last = entries.at(-1) as FrameEntry
    const bytes = await this.#get(object.key, { from: first.at, to: last.at + last.bytes })
    const run = new Map<number, Frame>()
    for (const entry of entries) {
      const at = entry.at - first.at
      const own = entries.length === 1 ? bytes : copyOf(bytes.subarray(at, at + entry.bytes))
      try {
        run.set(entry.at, readFrame(own, entry, object.key))
      } catch (error) {
        if (entry === first) throw error
      }
    }
    this.#keepRun(object, index, run)
    return run
  }

  #keepRun(object: OpenObject, index: SectionIndex, run: Run): void {
    if (object.isDropped) return
    let left = Math.ceil(run.size / 2)
    const end = [...run.values()].at(-1)?.to
    for (const [at, frame] of run) {
      const cached: CachedFrame | undefined = this.#keep(object, object.frames, at, frame)
      // Half way through what was read ahead, the next is read.
      if (--left === 0 && run.size > 1 && cached && end !== undefined && end < endOf(index))
        cached.aheadFrom = end
    }
  }

  #part<Value extends Part>(
    object: OpenObject,
    parts: Map<number, Cached<Value>>,
    range: ByteRange,
    read: (bytes: Buffer) => Value,
  ): Promise<Value> {
    const cached = parts.get(range.from)
    if (cached) {
      cached.isUsed = true
      return Promise.resolve(cached.value)
    }
    const running = object.opening.get(range.from) as Promise<Value> | undefined
    if (running) return running
    const opening = this.#get(object.key, range)
      .then((bytes) => {
        const value = read(bytes)
        if (!object.isDropped) this.#keep(object, parts, range.from, value)
        return value
      })
      .finally(() => {
        object.opening.delete(range.from)
        this.#forgetIdle(object)
      })
    object.opening.set(range.from, opening)
    return opening
  }

  #keep<Value extends Part>(
    object: OpenObject,
    parts: Map<number, Cached<Value>>,
    at: number,
    value: Value,
  ): Cached<Value> | undefined {
    const cached = this.#cache.add(value, () => {
      parts.delete(at)
      this.#forgetIdle(object)
    })
    if (cached) parts.set(at, cached)
    return cached
  }

  #forgetIdle(object: OpenObject): void {
    if (object.isIdle && this.#objects.get(object.key) === object) this.#objects.delete(object.key)
  }

  #get(key: string, range: ByteRange): Promise<Buffer> {
    return this.#permits.use(1, this.#closing.signal, async () => {
      const bytes = await this.#store.get(key, { range })
      this.#bytesRead += bytes.length
      return bytes
    })
  }
}

export interface TierReads {
  readonly hits: number
  readonly misses: number
  readonly bytesRead: number
  readonly reading: number
  readonly waiters: number
}

interface ByteRange {
  readonly from: number
  readonly to: number
}

const endOf = (index: SectionIndex): number => {
  const { from, count } = index.frame(index.count - 1)
  return from + count
}

/** In memory of its own, so that the cache counts all that it keeps alive. */
const copyOf = (bytes: Buffer): Buffer => {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(copy)
  return copy
}
