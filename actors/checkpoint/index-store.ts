import { BrokerError } from '../../model/errors.ts'
import { queueBlockKey } from '../../storage/codec/index-key.ts'
import type { Database, Entry, Operation, Range } from '../../storage/ports/database.ts'
import type { Place } from '../../storage/ports/place.ts'

/**
 * The index database under the same rule as the CommitLog: after any failed write its handle is
 * dead, and nobody reads or writes until it was reopened.
 *
 * Writes are synced. LevelDB begins a new log file without syncing the old one, so of two
 * unsynced batches the later may survive alone (docs/decisions/0003); checkpoints are few.
 */
export class IndexStore {
  readonly #place: Place
  #database: Database | undefined
  #exclusive: Promise<unknown> = Promise.resolve()

  constructor(place: Place) {
    this.#place = place
  }

  get isOpen(): boolean {
    return this.#database !== undefined
  }

  async open(): Promise<void> {
    this.#database ??= await this.#place.openDatabase('index')
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#opened.get(key)
  }

  entries(range?: Range): AsyncIterable<Entry> {
    return this.#opened.entries(range)
  }

  keys(range?: Range): AsyncIterable<Uint8Array> {
    return this.#opened.keys(range)
  }

  write(operations: readonly Operation[]): Promise<void> {
    return this.#change((database) => database.write(operations, { sync: true }))
  }

  clear(range: Range): Promise<void> {
    return this.#change((database) => database.clear(range))
  }

  /** One at a time: a checkpoint, or the dropping of what an ended owner has here. */
  exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#exclusive.then(work, work)
    this.#exclusive = turn.catch(() => {})
    return turn
  }

  /** The stored bytes of one block of a queue. */
  readonly readBlock =
    (topicId: number) =>
    async (queueId: number, block: number): Promise<Buffer | undefined> => {
      const value = await this.get(queueBlockKey(topicId, queueId, block))
      return value && Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    }

  async close(): Promise<void> {
    const database = this.#database
    this.#database = undefined
    await database?.close()
  }

  get #opened(): Database {
    if (this.#database === undefined)
      throw new BrokerError('STORE_UNAVAILABLE', { store: 'index', operation: 'answer' })
    return this.#database
  }

  async #change(work: (database: Database) => Promise<void>): Promise<void> {
    const database = this.#opened
    try {
      await work(database)
    } catch (error) {
      if (this.#database === database) this.#database = undefined
      await database.close()
      throw error
    }
  }
}
