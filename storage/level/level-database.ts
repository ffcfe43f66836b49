import { Level } from 'level'
import { BrokerError } from '../../model/errors.ts'
import type { Database, Entry, Operation, Range, Snapshot } from '../ports/database.ts'
import { attempt } from './level-errors.ts'
import { LevelReader } from './level-reader.ts'

/** Nobody's: glasspost's keys are not empty. */
const NO_KEY = new Uint8Array(0)

/** LevelDB in Node, which can do more than `level` declares for every platform. */
type Store = Level<Uint8Array, Uint8Array> & {
  compactRange(first: Uint8Array, last: Uint8Array): Promise<void>
}

export interface LevelDatabaseOptions {
  readonly name: string
  readonly location: string
  readonly writeBufferBytes: number
  readonly cacheBytes: number
  readonly isCompressed: boolean
  readonly closed: () => void
}

/**
 * A `Database` in LevelDB.
 *
 * Writes wait for each other, because LevelDB orders them by the thread that comes first. The
 * first that fails fails all that follow: LevelDB itself would append them behind a torn
 * record, acknowledge them, and forget them when it is opened next.
 */
export class LevelDatabase implements Database {
  readonly #name: string
  readonly #level: Store
  readonly #reader: LevelReader
  readonly #closed: () => void
  /** Once rejected, it stays so. */
  #lastWrite: Promise<void> = Promise.resolve()
  /** LevelDB knows how to wait for one step of its own, not for the three of a clear. */
  #clears: Promise<unknown> = Promise.resolve()
  #snapshots = 0
  readonly #held: (readonly [first: Uint8Array, last: Uint8Array])[] = []
  #closing: Promise<void> | undefined

  private constructor({ name, location, closed, ...options }: LevelDatabaseOptions) {
    this.#name = name
    this.#closed = closed
    this.#level = new Level<Uint8Array, Uint8Array>(location, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      compression: options.isCompressed,
      writeBufferSize: options.writeBufferBytes,
      cacheSize: options.cacheBytes,
    }) as Store
    this.#reader = new LevelReader(this.#level, (...work) => this.#attempt(...work))
  }

  static async open(options: LevelDatabaseOptions): Promise<LevelDatabase> {
    const database = new LevelDatabase(options)
    await database.#attempt('be opened', () => database.#level.open())
    return database
  }

  async write(operations: readonly Operation[], { sync }: { sync: boolean }): Promise<void> {
    await this.#attempt('write', () => {
      // A chained batch takes the bytes now, and costs a sixth of an array of small puts.
      const batch = this.#level.batch()
      for (const operation of operations) {
        if (operation.type === 'put') batch.put(operation.key, operation.value)
        else batch.del(operation.key)
      }
      // LevelDB ignores an empty batch, and with it the wish to sync what came before.
      if (batch.length === 0 && sync) batch.del(NO_KEY)
      return this.#inTurn(() => batch.write({ sync }))
    })
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#reader.get(key)
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#reader.getMany(keys)
  }

  entries(range?: Range): AsyncIterable<Entry> {
    return this.#reader.entries(range)
  }

  keys(range?: Range): AsyncIterable<Uint8Array> {
    return this.#reader.keys(range)
  }

  clear(range: Range): Promise<void> {
    const clearing = this.#attempt('clear', async () => {
      const ends = { ...range, limit: 1 }
      const [first] = await this.#level.keys({ ...ends, reverse: false }).all()
      const [last] = await this.#level.keys({ ...ends, reverse: true }).all()
      if (first === undefined || last === undefined) return
      // Entries that are still in the write buffer go to a table first. Else they would go there
      // beside their own tombstones, and LevelDB may never look at such a table again.
      await this.#level.compactRange(first, first)
      await this.#inTurn(() => this.#level.clear(range))
      // Without it the dead keep their space and slow down the next scan (190 ms). Not in turn:
      // commits go on meanwhile.
      if (this.#snapshots === 0) await this.#level.compactRange(first, last)
      else this.#held.push([first, last])
    })
    this.#clears = Promise.allSettled([this.#clears, clearing])
    return clearing
  }

  get snapshots(): number {
    return this.#snapshots
  }

  snapshot(): Snapshot {
    if (this.#closing !== undefined)
      throw new BrokerError('STORE_UNAVAILABLE', { store: this.#name, operation: 'read' })
    const snapshot = this.#level.snapshot()
    const reader = new LevelReader(this.#level, (...work) => this.#attempt(...work), { snapshot })
    this.#snapshots++
    let closing: Promise<void> | undefined
    const close = (): Promise<void> => {
      closing ??= snapshot.close().finally(() => {
        if (--this.#snapshots === 0) this.#giveHeldBack()
      })
      return closing
    }
    return {
      get: (key) => reader.get(key),
      getMany: (keys) => reader.getMany(keys),
      entries: (range) => reader.entries(range),
      keys: (range) => reader.keys(range),
      close,
    }
  }

  close(): Promise<void> {
    this.#closing ??= Promise.allSettled([this.#lastWrite, this.#clears])
      .then(() => attempt({ store: this.#name, operation: 'close' }, () => this.#level.close()))
      .finally(this.#closed)
    return this.#closing
  }

  #inTurn(write: () => Promise<void>): Promise<void> {
    this.#lastWrite = this.#lastWrite.then(write)
    return this.#lastWrite
  }

  /**
   * What was cleared while a snapshot held its space. To compact earlier would put the dead into
   * one table with their tombstones, where LevelDB leaves them.
   */
  #giveHeldBack(): void {
    for (const [first, last] of this.#held.splice(0)) {
      const compacting = this.#attempt('clear', () => this.#level.compactRange(first, last))
      this.#clears = Promise.allSettled([this.#clears, compacting])
    }
  }

  #attempt<T>(operation: string, work: () => Promise<T>): Promise<T> {
    return attempt({ store: this.#name, operation }, async () => {
      if (this.#closing !== undefined)
        throw new BrokerError('STORE_UNAVAILABLE', { store: this.#name, operation })
      return work()
    })
  }
}
