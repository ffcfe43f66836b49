import type { OffsetRuns } from '../../model/delivery/facts.ts'

/**
 * Offsets as runs: ascending, apart, none empty. Grows by offsets in any order and is cut from
 * below, as a queue is.
 */
export class OffsetSet {
  /** Begins and ends, in turn. */
  #borders: number[] = []

  get isEmpty(): boolean {
    return this.#borders.length === 0
  }

  /** How many offsets are in it. */
  get size(): number {
    let size = 0
    for (let at = 0; at < this.#borders.length; at += 2) size += this.#length(at)
    return size
  }

  get runs(): OffsetRuns {
    const runs: number[] = []
    for (let at = 0; at < this.#borders.length; at += 2)
      runs.push(this.#borders[at] as number, this.#length(at))
    return runs
  }

  has(offset: number): boolean {
    return this.#rank(offset) % 2 === 1
  }

  add(runs: OffsetRuns): void {
    for (let index = 0; index < runs.length; index += 2) {
      const start = runs[index] as number
      this.#addRun(start, start + (runs[index + 1] as number))
    }
  }

  /** Forgets everything below. */
  cut(offsetMin: number): void {
    const rank = this.#rank(offsetMin)
    this.#borders.splice(0, rank, ...(rank % 2 === 1 ? [offsetMin] : []))
  }

  /** The first offset from here on that is not in it. */
  firstOutside(offset: number): number {
    const rank = this.#rank(offset)
    return rank % 2 === 1 ? (this.#borders[rank] as number) : offset
  }

  #addRun(start: number, end: number): void {
    if (end <= start) return
    // What touches is joined: a border equal to start or end falls away.
    const first = this.#rank(start - 1)
    const last = this.#rank(end)
    const kept = [...(first % 2 === 0 ? [start] : []), ...(last % 2 === 0 ? [end] : [])]
    this.#borders.splice(first, last - first, ...kept)
  }

  #length(at: number): number {
    return (this.#borders[at + 1] as number) - (this.#borders[at] as number)
  }

  /** How many borders are not above: odd within a run. */
  #rank(offset: number): number {
    let low = 0
    let high = this.#borders.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#borders[middle] as number) <= offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
