import { BrokerError } from '../../model/errors.ts'
import type { Random } from '../../model/ports.ts'
import type { Database } from '../ports/database.ts'
import type { Ballast, DatabaseName, DiskUsage, Place } from '../ports/place.ts'
import { MemoryDatabase } from './memory-database.ts'
import { SortedMap } from './sorted-map.ts'

const PRETENDED_BYTES = 2 ** 50

/**
 * A place in memory: what is written is kept for as long as this object, however often its
 * databases, or the place itself, are closed and opened again. Nothing survives the process.
 */
export class MemoryPlace implements Place {
  readonly name = 'memory'
  readonly secret: Uint8Array
  readonly ballast: Ballast = { release: async () => {}, restore: async () => true }
  readonly #maps: Readonly<Record<DatabaseName, SortedMap>> = {
    'commit-log': new SortedMap(),
    index: new SortedMap(),
  }
  readonly #handles = new Map<DatabaseName, MemoryDatabase>()

  constructor({ random }: { random: Random }) {
    this.secret = random.bytes(32)
  }

  async openDatabase(name: DatabaseName): Promise<Database> {
    if (this.#handles.has(name))
      throw new BrokerError('STORE_UNAVAILABLE', { store: name, operation: 'be opened twice' })
    const closed = () => this.#handles.delete(name)
    const handle = new MemoryDatabase({ name, map: this.#maps[name], closed })
    this.#handles.set(name, handle)
    return handle
  }

  async diskUsage(): Promise<DiskUsage> {
    return { totalBytes: PRETENDED_BYTES, freeBytes: PRETENDED_BYTES }
  }

  async close(): Promise<void> {
    for (const handle of this.#handles.values()) await handle.close()
  }
}
