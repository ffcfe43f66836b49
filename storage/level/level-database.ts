import { Level } from 'level'
import { BrokerError } from '../../model/errors.ts'
import type { Database, Entry, Operation, Range } from '../ports/database.ts'
import { attempt } from './level-errors.ts'

/** One step of an iteration fetches this much at most, whichever is reached first. */
const STEP_ENTRIES_MAX = 1_000
const STEP_BYTES_MAX = 1024 * 1024

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
  readonly #closed: () => void
  /** Once rejected, it stays so. */
  #lastWrite: Promise<void> = Promise.resolve()
  /** LevelDB knows how to wait for one step of its own, not for the three of a clear. */
  #clears: Promise<unknown> = Promise.resolve()
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

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#attempt('read', () => this.#level.get(key))
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#attempt('read', () => this.#level.getMany([...keys]))
  }

  async *entries(range: Range = {}): AsyncIterable<Entry> {
    const options = { ...range, highWaterMarkBytes: STEP_BYTES_MAX }
    const steps = this.#steps(() => this.#level.iterator(options))
    for await (const step of steps) for (const [key, value] of step) yield { key, value }
  }

  async *keys(range: Range = {}): AsyncIterable<Uint8Array> {
    const options = { ...range, highWaterMarkBytes: STEP_BYTES_MAX }
    for await (const step of this.#steps(() => this.#level.keys(options))) yield* step
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
      await this.#level.compactRange(first, last)
    })
    this.#clears = Promise.allSettled([this.#clears, clearing])
    return clearing
  }

  close(): Promise<void> {
    this.#closing ??= Promise.allSettled([this.#lastWrite, this.#clears])
      .then(() => attempt({ store: this.#name, operation: 'close' }, () => this.#level.close()))
      .finally(this.#closed)
    return this.#closing
  }

  async *#steps<Item>(open: () => Steps<Item>): AsyncIterable<Item[]> {
    const iterator = await this.#attempt('read', async () => open())
    try {
      for (;;) {
        const step = await this.#attempt('read', () => iterator.nextv(STEP_ENTRIES_MAX))
        if (step.length === 0) return
        yield step
      }
    } finally {
      await iterator.close()
    }
  }

  #inTurn(write: () => Promise<void>): Promise<void> {
    this.#lastWrite = this.#lastWrite.then(write)
    return this.#lastWrite
  }

  #attempt<T>(operation: string, work: () => Promise<T>): Promise<T> {
    return attempt({ store: this.#name, operation }, async () => {
      if (this.#closing !== undefined)
        throw new BrokerError('STORE_UNAVAILABLE', { store: this.#name, operation })
      return work()
    })
  }
}

/** The part of LevelDB's iterators that is used. */
interface Steps<Item> {
  nextv(size: number): Promise<Item[]>
  close(): Promise<void>
}
