import { SortedMap } from '../memory/sorted-map.ts'
import type { Operation } from '../ports/database.ts'

/** One batch in the log file, as the medium holds it. */
export interface LogRecord {
  readonly operations: Operation[]
  /** Damaged while it was written: replay stops here, whatever follows. */
  isTorn: boolean
}

/**
 * The file behind one database, as LevelDB keeps it: batches in the order of their writes. What
 * nothing can take away any more has gone to `#base`, so a power cut may take any of the records
 * that are left: they are not synced, or a replay will not reach them.
 */
export class WriteAheadLog {
  readonly #base = new SortedMap()
  #records: LogRecord[] = []

  append(operations: readonly Operation[]): LogRecord {
    const record = { operations: [...operations], isTorn: false }
    this.#records.push(record)
    return record
  }

  /** As if the record had never been written. */
  drop(record: LogRecord): void {
    this.#records = this.#records.filter((other) => other !== record)
  }

  /** A sync is of the file, so it covers every record. */
  sync(): void {
    const torn = this.#records.findIndex(({ isTorn }) => isTorn)
    const settled = this.#records.splice(0, torn < 0 ? this.#records.length : torn)
    for (const { operations } of settled) this.#base.apply(operations)
  }

  /** The power goes: the medium has got a part from the start. */
  crash(pick: (countMax: number) => number): void {
    // The next one is torn; as only a replay can follow, it may as well be absent.
    this.#records.length = pick(this.#records.length)
  }

  /**
   * What a database finds when it opens: everything up to a torn record. LevelDB writes that
   * out and begins a new file, so it is durable from now on, and the rest is gone.
   */
  replay(): SortedMap {
    this.sync()
    this.#records = []
    return this.#base.clone()
  }

  corrupt(key: Uint8Array, mutate: (value: Uint8Array) => Uint8Array): void {
    mutateIn(this.#base, key, mutate)
    for (const { operations } of this.#records)
      for (const [index, operation] of operations.entries())
        if (operation.type === 'put' && Buffer.compare(operation.key, key) === 0)
          operations[index] = { ...operation, value: mutate(new Uint8Array(operation.value)) }
  }
}

/** Replaces the value of a key, if it has one, by what `mutate` makes of a copy. */
export const mutateIn = (
  map: SortedMap,
  key: Uint8Array,
  mutate: (value: Uint8Array) => Uint8Array,
): void => {
  const value = map.get(key)
  if (value !== undefined) map.apply([{ type: 'put', key, value: mutate(new Uint8Array(value)) }])
}
