/** Something that was read and checked, and the memory that it holds on to. */
export interface Part {
  readonly bytes: number
}

/** A part in the cache. Whoever has one may go on using its value when it was evicted. */
export interface Cached<Value extends Part> {
  readonly value: Value
  isUsed: boolean
  readonly evict: () => void
}

/**
 * Parts of objects in memory, all together never more than so many bytes. What was used since it
 * was last looked at gets a second chance; everything else goes in the order in which it came.
 */
export class PartCache {
  readonly bytesMax: number
  #bytes = 0
  readonly #order = new Set<Cached<Part>>()

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** `evict` is called when it goes. Undefined when it is larger than all of the cache. */
  add<Value extends Part>(value: Value, evict: () => void): Cached<Value> | undefined {
    if (value.bytes > this.bytesMax) return undefined
    const cached = { value, isUsed: false, evict }
    this.#order.add(cached)
    this.#bytes += value.bytes
    this.#shrink(cached)
    return cached
  }

  remove(cached: Cached<Part>): void {
    if (!this.#order.delete(cached)) return
    this.#bytes -= cached.value.bytes
    cached.evict()
  }

  /** Every part is looked at twice at most, so this ends. */
  #shrink(newest: Cached<Part>): void {
    for (const cached of this.#order) {
      if (this.#bytes <= this.bytesMax) return
      if (cached === newest) continue
      if (!cached.isUsed) {
        this.remove(cached)
        continue
      }
      cached.isUsed = false
      this.#order.delete(cached)
      this.#order.add(cached)
    }
  }
}
