/** Adds bytes of a record that died to `[extent, bytes]` pairs under construction. */
export const pushFreed = (freed: number[], extent: number, bytes: number): void => {
  const last = freed.length - 2
  if (last >= 0 && freed[last] === extent) freed[last + 1] = (freed[last + 1] as number) + bytes
  else freed.push(extent, bytes)
}

/**
 * How many bytes of live messages each extent of the log holds, and which stretches are gone.
 * Changed only by folding facts; what is not a message is not counted here, because it is
 * carried forward when its extent goes.
 */
export class LogSpace {
  readonly #live = new Map<number, number>()
  /** Bytes of log that are reclaimed together. */
  readonly extentBytes: number
  /** `[from, to)` pairs, flat and ascending. */
  gaps: readonly number[] = []

  constructor(extentBytes: number) {
    this.extentBytes = extentBytes
  }

  get live(): ReadonlyMap<number, number> {
    return this.#live
  }

  extentOf(chunkOffset: number): number {
    return Math.floor(chunkOffset / this.extentBytes)
  }

  add(chunkOffset: number, bytes: number): void {
    const extent = this.extentOf(chunkOffset)
    this.#live.set(extent, (this.#live.get(extent) ?? 0) + bytes)
  }

  free(freed: readonly number[]): void {
    for (let index = 0; index < freed.length; index += 2) {
      const extent = freed[index] as number
      const left = (this.#live.get(extent) ?? 0) - (freed[index + 1] as number)
      if (left > 0) this.#live.set(extent, left)
      else this.#live.delete(extent)
    }
  }

  liveIn(extent: number): number {
    return this.#live.get(extent) ?? 0
  }

  restore(live: Iterable<readonly [number, number]>, gaps: readonly number[]): void {
    this.#live.clear()
    for (const [extent, bytes] of live) this.#live.set(extent, bytes)
    this.gaps = gaps
  }

  /** The first position from here on that no trim has taken. */
  firstOutsideGaps(from: number): number {
    let position = from
    for (let index = 0; index < this.gaps.length; index += 2)
      if ((this.gaps[index] as number) <= position && position < (this.gaps[index + 1] as number))
        position = this.gaps[index + 1] as number
    return position
  }

  isGap(from: number, to: number): boolean {
    for (let index = 0; index < this.gaps.length; index += 2)
      if ((this.gaps[index] as number) <= from && to <= (this.gaps[index + 1] as number))
        return true
    return false
  }
}

/** Adds `[from, to)` to gaps, joining what touches. */
export const withGap = (gaps: readonly number[], from: number, to: number): number[] => {
  const joined: number[] = []
  let start = from
  let end = to
  for (let index = 0; index < gaps.length; index += 2) {
    const gapFrom = gaps[index] as number
    const gapTo = gaps[index + 1] as number
    if (gapTo < start || gapFrom > end) joined.push(gapFrom, gapTo)
    else {
      start = Math.min(start, gapFrom)
      end = Math.max(end, gapTo)
    }
  }
  joined.push(start, end)
  const pairs: [number, number][] = []
  for (let index = 0; index < joined.length; index += 2)
    pairs.push([joined[index] as number, joined[index + 1] as number])
  return pairs.sort(([a], [b]) => a - b).flat()
}
