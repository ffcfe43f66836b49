import { BrokerError } from '../../model/errors.ts'
import { queueBlockKey } from '../../storage/codec/index-key.ts'
import type { Clock } from '../../model/ports.ts'
import type { Database, Entry, Operation, Range, Snapshot } from '../../storage/ports/database.ts'
import type { Place } from '../../storage/ports/place.ts'
import { isDiskFull } from '../system/disk-full.ts'

/**
 * The index database under the same rule as the CommitLog: after any failed write its handle is
 * dead, and nobody reads or writes until it was reopened.
 *
 * Writes are synced. LevelDB begins a new log file without syncing the old one, so of two
 * unsynced batches the later may survive alone (docs/decisions/0003); checkpoints are few.
 */
export class IndexStore {
  readonly #place: Place
  readonly #clock: Clock
  readonly #timeoutMs: number
  #database: Database | undefined
  /** The last handle, until it is closed: a medium that hangs may keep it for long. */
  #closing: Promise<void> | undefined
  #exclusive: Promise<unknown> = Promise.resolve()

  constructor(place: Place, options: { clock: Clock; timeoutMs: number }) {
    this.#place = place
    this.#clock = options.clock
    this.#timeoutMs = options.timeoutMs
  }

  get isOpen(): boolean {
    return this.#database !== undefined
  }

  /** Opens it unless it is open. On a full disk LevelDB needs the room of the ballast for that. */
  async open(): Promise<void> {
    if (this.#database) return
    if (this.#closing) await this.#within(this.#closing, 'close')
    try {
      this.#database = await this.#place.openDatabase('index')
    } catch (error) {
      if (!isDiskFull(error)) throw error
      await this.#place.ballast.release()
      this.#database = await this.#place.openDatabase('index')
    }
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#opened.get(key)
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#opened.getMany(keys)
  }

  entries(range?: Range): AsyncIterable<Entry> {
    return this.#opened.entries(range)
  }

  keys(range?: Range): AsyncIterable<Uint8Array> {
    return this.#opened.keys(range)
  }

  get snapshots(): number {
    return this.#opened.snapshots
  }

  snapshot(): Snapshot {
    return this.#opened.snapshot()
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
    this.#letGo()
    await this.#closing
  }

  get #opened(): Database {
    if (this.#database === undefined) throw unavailable('answer')
    return this.#database
  }

  async #change(work: (database: Database) => Promise<void>): Promise<void> {
    const database = this.#opened
    try {
      await this.#within(work(database), 'write')
    } catch (error) {
      if (this.#database === database) this.#letGo()
      throw error
    }
    // Acknowledged behind a write that failed: its next opening will not find it.
    if (this.#database !== database) throw unavailable('write')
  }

  #letGo(): void {
    const database = this.#database
    this.#database = undefined
    if (database === undefined) return
    const closing = database.close().finally(() => {
      if (this.#closing === closing) this.#closing = undefined
    })
    this.#closing = closing
    closing.catch(() => {})
  }

  /** A medium that does not answer counts as failed. */
  async #within<Result>(work: Promise<Result>, operation: string): Promise<Result> {
    let cancel = (): void => {}
    const timeout = new Promise<never>((_, reject) => {
      cancel = this.#clock.after(this.#timeoutMs, () => reject(unavailable(operation)))
    })
    try {
      return await Promise.race([work, timeout])
    } finally {
      cancel()
    }
  }
}

const unavailable = (operation: string) =>
  new BrokerError('STORE_UNAVAILABLE', { store: 'index', operation })
