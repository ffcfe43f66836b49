import type { Level } from 'level'
import type { Entry, Range, Readable } from '../ports/database.ts'

/** One step of an iteration fetches this much at most, whichever is reached first. */
const STEP_ENTRIES_MAX = 1_000
const STEP_BYTES_MAX = 1024 * 1024

export type LevelSnapshot = ReturnType<Level['snapshot']>

/** Runs work on LevelDB with its errors made the broker's; refuses it on a closed database. */
export type Attempt = <T>(operation: string, work: () => Promise<T>) => Promise<T>

/** What can be read of a LevelDB: as it is, or as it was when the snapshot was taken. */
export class LevelReader implements Readable {
  readonly #level: Level<Uint8Array, Uint8Array>
  readonly #attempt: Attempt
  readonly #options: { readonly snapshot?: LevelSnapshot }

  constructor(
    level: Level<Uint8Array, Uint8Array>,
    attempt: Attempt,
    options: { readonly snapshot?: LevelSnapshot } = {},
  ) {
    this.#level = level
    this.#attempt = attempt
    this.#options = options
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#attempt('read', () => this.#level.get(key, this.#options))
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#attempt('read', () => this.#level.getMany([...keys], this.#options))
  }

  async *entries(range: Range = {}): AsyncIterable<Entry> {
    const options = { ...range, ...this.#options, highWaterMarkBytes: STEP_BYTES_MAX }
    const steps = this.#steps(() => this.#level.iterator(options))
    for await (const step of steps) for (const [key, value] of step) yield { key, value }
  }

  async *keys(range: Range = {}): AsyncIterable<Uint8Array> {
    const options = { ...range, ...this.#options, highWaterMarkBytes: STEP_BYTES_MAX }
    for await (const step of this.#steps(() => this.#level.keys(options))) yield* step
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
}

/** The part of LevelDB's iterators that is used. */
interface Steps<Item> {
  nextv(size: number): Promise<Item[]>
  close(): Promise<void>
}
