import type { Clock } from '../../model/ports.ts'
import { namePageKey, nameRangeKey, nameRanges } from '../../storage/codec/index-key.ts'
import { collectNames } from '../../storage/codec/message-names.ts'
import {
  distancesIn,
  encodeNameRange,
  NameEntries,
  type NameRange,
  pageBitsOf,
  pageOf,
  readNameRange,
} from '../../storage/codec/name-range.ts'
import type { Operation } from '../../storage/ports/database.ts'
import type { BrokerState } from '../broker/broker-state.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'

export interface MessageIndexSettings {
  /** A range is written when it spans so many bytes of log, or holds so many names. */
  readonly rangeBytes: number
  readonly rangeNamesMax: number
  /** One turn of reading the log ends after so many bytes. */
  readonly turnBytes: number
}

export interface MessageIndexDeps {
  readonly state: BrokerState
  readonly log: CommitLog
  readonly index: IndexStore
  readonly clock: Clock
  readonly settings: MessageIndexSettings
}

/** Pages read together. */
const PAGES_AT_ONCE = 32

export interface NameQuery {
  readonly hash: number
  /** Only messages stored in `[fromMs, toMs]` are wanted; others may come, too. */
  readonly fromMs?: number
  readonly toMs?: number
}

/**
 * Where in the log the messages lie that have a name: an id or a key.
 *
 * A projection of the log that runs behind it and costs a send nothing: it reads the chunks
 * after they were synced, mostly from memory, and writes what it found as one sorted range per
 * stretch. What is not written yet is read again after a restart. Whoever looks lets it catch up
 * first. Its answers are places to look at: names that collide and messages that moved or went
 * are sorted out by reading what is there.
 */
export class MessageIndex {
  readonly #deps: MessageIndexDeps
  /** Written, in the order of the log. */
  #ranges: readonly NameRange[] = []
  #newest = new Stretch(0)
  #running: Promise<unknown> = Promise.resolve()

  constructor(deps: MessageIndexDeps) {
    this.#deps = deps
  }

  /** Everything before is indexed. */
  get position(): number {
    return this.#newest.to
  }

  /** At start: ranges that reach beyond the log are none of this log's. */
  async load(tailOffset: number): Promise<void> {
    const { index } = this.#deps
    const ranges: NameRange[] = []
    const strange: NameRange[] = []
    for await (const { value } of index.entries(nameRanges())) {
      const range = readNameRange(value)
      if (range.to > tailOffset) strange.push(range)
      else ranges.push(range)
    }
    if (strange.length > 0) await index.write(strange.flatMap(deletions))
    this.#ranges = ranges
    this.#newest = new Stretch(ranges.at(-1)?.to ?? 0)
  }

  /** Reads on for at most so many bytes. True when everything that is synced was read. */
  catchUp(bytesMax: number): Promise<boolean> {
    const turn = this.#running.then(
      () => this.#read(bytesMax),
      () => this.#read(bytesMax),
    )
    this.#running = turn
    return turn
  }

  /** Positions where messages with this name may lie, older ones first. Looks as of now. */
  async *positionsOf({ hash, fromMs, toMs }: NameQuery): AsyncGenerator<number> {
    const { from } = this.#newest
    const newest = [...this.#newest.entries.distancesOf(hash)]
    const ranges = this.#ranges.filter(
      ({ entries, storeAtMsMin, storeAtMsMax }) =>
        entries > 0 &&
        storeAtMsMax >= (fromMs ?? 0) &&
        storeAtMsMin <= (toMs ?? Number.POSITIVE_INFINITY),
    )
    for (let first = 0; first < ranges.length; first += PAGES_AT_ONCE)
      yield* this.#positionsIn(ranges.slice(first, first + PAGES_AT_ONCE), hash)
    for (const distance of newest) yield from + distance
  }

  /** Drops what lies in stretches that were given up. */
  dropReclaimed(): Promise<void> {
    const { state, index } = this.#deps
    return index.exclusive(async () => {
      const gone = this.#ranges.filter(({ from, to }) => state.space.isGap(from, to))
      // The last one says how far the index reaches.
      if (gone.at(-1) === this.#ranges.at(-1)) gone.pop()
      if (gone.length === 0) return
      await index.write(gone.flatMap(deletions))
      this.#ranges = this.#ranges.filter((range) => !gone.includes(range))
    })
  }

  /** For the audit: true for what was written and not dropped. */
  owns(from: number, page = 0): boolean {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ranges[middle] as NameRange).from < from) low = middle + 1
      else high = middle
    }
    const range = this.#ranges[low]
    return range?.from === from && page < 2 ** range.pageBits
  }

  async *#positionsIn(ranges: readonly NameRange[], hash: number): AsyncGenerator<number> {
    const keys = ranges.map(({ from, pageBits }) => namePageKey(from, pageOf(hash, pageBits)))
    const pages = await this.#deps.index.getMany(keys)
    for (const [at, page] of pages.entries()) {
      if (page === undefined) continue
      const { from } = ranges[at] as NameRange
      const bytes = Buffer.from(page.buffer, page.byteOffset, page.byteLength)
      for (const distance of distancesIn(bytes, hash)) yield from + distance
    }
  }

  async #read(bytesMax: number): Promise<boolean> {
    const { log, clock, settings } = this.#deps
    let left = bytesMax
    let turn = settings.turnBytes
    while (this.position < log.syncedOffset) {
      if (left <= 0) return false
      if (this.#isFull) await this.#write()
      const { position } = this
      const chunk = log.glance(position) ?? (await log.chunks.read(position))
      if (chunk === undefined) {
        await this.#leap(position)
        continue
      }
      this.#newest.take(chunk, position)
      left -= chunk.length
      turn -= chunk.length
      if (turn > 0) continue
      turn = settings.turnBytes
      await new Promise<void>((resolve) => clock.soon(resolve))
    }
    if (this.#isFull) await this.#write()
    return true
  }

  get #isFull(): boolean {
    const { from, to, entries } = this.#newest
    const { rangeBytes, rangeNamesMax } = this.#deps.settings
    return to - from >= rangeBytes || entries.count >= rangeNamesMax
  }

  /** Over a stretch that was given up, which no range spans. */
  async #leap(position: number): Promise<void> {
    const { log } = this.#deps
    let next = log.syncedOffset
    for await (const offset of log.chunks.offsets(position, next)) {
      next = offset
      break
    }
    if (this.#newest.to > this.#newest.from) await this.#write()
    this.#newest = new Stretch(next)
  }

  /** All or nothing, and not while somebody looks at the index as a whole. */
  #write(): Promise<void> {
    const { index } = this.#deps
    return index.exclusive(async () => {
      const { range, entries } = this.#newest
      const operations: Operation[] = entries.pages(range.pageBits).map(({ page, bytes }) => ({
        type: 'put',
        key: namePageKey(range.from, page),
        value: bytes,
      }))
      operations.push({ type: 'put', key: nameRangeKey(range.from), value: encodeNameRange(range) })
      await index.write(operations)
      this.#ranges = [...this.#ranges, range]
      this.#newest = new Stretch(range.to)
    })
  }
}

const deletions = ({ from, pageBits }: NameRange): Operation[] => {
  const operations: Operation[] = [{ type: 'del', key: nameRangeKey(from) }]
  for (let page = 0; page < 2 ** pageBits; page++)
    operations.push({ type: 'del', key: namePageKey(from, page) })
  return operations
}

/** A stretch of the log whose names are in memory. */
class Stretch {
  readonly from: number
  to: number
  readonly entries = new NameEntries()
  #storeAtMsMin = Number.MAX_SAFE_INTEGER
  #storeAtMsMax = 0

  constructor(from: number) {
    this.from = from
    this.to = from
  }

  get range(): NameRange {
    const { from, to, entries } = this
    return {
      from,
      to,
      entries: entries.count,
      pageBits: pageBitsOf(entries.count),
      storeAtMsMin: Math.min(this.#storeAtMsMin, this.#storeAtMsMax),
      storeAtMsMax: this.#storeAtMsMax,
    }
  }

  take(chunk: Buffer, offset: number): void {
    collectNames(chunk, offset, this)
    this.to = offset + chunk.length
  }

  name(hash: number, position: number): void {
    this.entries.push(hash, position - this.from)
  }

  message(storeAtMs: number): void {
    if (storeAtMs < this.#storeAtMsMin) this.#storeAtMsMin = storeAtMs
    if (storeAtMs > this.#storeAtMsMax) this.#storeAtMsMax = storeAtMs
  }
}
