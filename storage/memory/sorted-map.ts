import type { Entry, Operation, Range } from '../ports/database.ts'

/**
 * Entries in key order, in one array.
 *
 * A growing key is pushed; any other is found by binary search, and what follows it moves
 * (10 µs in 100,000 entries). Entries are replaced and never changed, so every slice is a
 * snapshot. The bytes belong to the map: whoever puts them in copies them first.
 */
export class SortedMap {
  #entries: Entry[] = []

  get(key: Uint8Array): Uint8Array | undefined {
    const entry = this.#entries[this.#indexOf(key)]
    return entry !== undefined && areEqual(entry.key, key) ? entry.value : undefined
  }

  apply(operations: readonly Operation[]): void {
    for (const operation of operations) {
      const { key } = operation
      const index = this.#indexOf(key)
      const found = this.#entries[index]
      const replaced = found !== undefined && areEqual(found.key, key) ? 1 : 0
      if (operation.type === 'del') this.#entries.splice(index, replaced)
      else if (index === this.#entries.length) this.#entries.push({ key, value: operation.value })
      else this.#entries.splice(index, replaced, { key, value: operation.value })
    }
  }

  slice(range: Range): Entry[] {
    const entries = this.#entries.slice(...this.#boundsOf(range))
    return range.reverse === true ? entries.reverse() : entries
  }

  clear(range: Range): void {
    const [from, to] = this.#boundsOf(range)
    this.#entries.splice(from, to - from)
  }

  clone(): SortedMap {
    const map = new SortedMap()
    map.#entries = this.#entries.slice()
    return map
  }

  /** Where the key is, or would be. */
  #indexOf(key: Uint8Array): number {
    const last = this.#entries.at(-1)
    if (last === undefined || Buffer.compare(last.key, key) < 0) return this.#entries.length
    let from = 0
    let to = this.#entries.length - 1
    while (from < to) {
      const middle = (from + to) >>> 1
      const { key: other } = this.#entries[middle] as Entry
      if (Buffer.compare(other, key) < 0) from = middle + 1
      else to = middle
    }
    return from
  }

  #indexAfter(key: Uint8Array): number {
    const index = this.#indexOf(key)
    const entry = this.#entries[index]
    return entry !== undefined && areEqual(entry.key, key) ? index + 1 : index
  }

  #boundsOf({ gte, gt, lt, reverse, limit = Infinity }: Range): [from: number, to: number] {
    const from = Math.max(
      gte === undefined ? 0 : this.#indexOf(gte),
      gt === undefined ? 0 : this.#indexAfter(gt),
    )
    const to = Math.max(from, lt === undefined ? this.#entries.length : this.#indexOf(lt))
    return reverse === true ? [Math.max(from, to - limit), to] : [from, Math.min(to, from + limit)]
  }
}

const areEqual = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

/** The same operations in memory of their own, which nobody else will write to. */
export const copied = (operations: readonly Operation[]): Operation[] =>
  operations.map((operation) =>
    operation.type === 'del'
      ? { type: 'del', key: new Uint8Array(operation.key) }
      : {
          type: 'put',
          key: new Uint8Array(operation.key),
          value: new Uint8Array(operation.value),
        },
  )
