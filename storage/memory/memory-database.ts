import { BrokerError } from '../../model/errors.ts'
import type { Database, Entry, Operation, Range, Snapshot } from '../ports/database.ts'
import { copied, type SortedMap } from './sorted-map.ts'

/** One open handle. The map outlives it, as a directory outlives a process. */
export class MemoryDatabase implements Database {
  readonly #name: string
  readonly #map: SortedMap
  readonly #closed: () => void
  readonly #snapshots = new Set<MemoryDatabase>()
  #isOpen = true

  constructor({ name, map, closed }: { name: string; map: SortedMap; closed: () => void }) {
    this.#name = name
    this.#map = map
    this.#closed = closed
  }

  async write(operations: readonly Operation[]): Promise<void> {
    this.#assertOpen('write')
    this.#map.apply(copied(operations))
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#assertOpen('read')
    return this.#map.get(key)
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.#assertOpen('read')
    return keys.map((key) => this.#map.get(key))
  }

  async *entries(range: Range = {}): AsyncIterable<Entry> {
    this.#assertOpen('read')
    for (const entry of this.#map.slice(range)) {
      this.#assertOpen('read')
      yield entry
    }
  }

  async *keys(range: Range = {}): AsyncIterable<Uint8Array> {
    for await (const { key } of this.entries(range)) yield key
  }

  async clear(range: Range): Promise<void> {
    this.#assertOpen('clear')
    this.#map.clear(range)
  }

  get snapshots(): number {
    return this.#snapshots.size
  }

  snapshot(): Snapshot {
    this.#assertOpen('read')
    const map = this.#map.clone()
    const closed = () => this.#snapshots.delete(past)
    const past: MemoryDatabase = new MemoryDatabase({ name: this.#name, map, closed })
    this.#snapshots.add(past)
    return past
  }

  async close(): Promise<void> {
    for (const past of this.#snapshots) await past.close()
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#closed()
  }

  #assertOpen(operation: string): void {
    if (!this.#isOpen) throw new BrokerError('STORE_UNAVAILABLE', { store: this.#name, operation })
  }
}
