interface Entry {
  readonly value: Buffer
  isUsed: boolean
}

/**
 * A cache of bytes by number, bounded in bytes. What was used since it was last looked at gets a
 * second chance, everything else goes in the order in which it came: a hit costs one look-up.
 */
export class BoundedCache {
  readonly #entries = new Map<number, Entry>()
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  get(key: number): Buffer | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    entry.isUsed = true
    return entry.value
  }

  set(key: number, value: Buffer): void {
    this.delete(key)
    this.#entries.set(key, { value, isUsed: false })
    this.#bytes += value.length
    if (this.#bytes > this.#bytesMax) this.#evict(key)
  }

  delete(key: number): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= entry.value.length
  }

  clear(): void {
    this.#entries.clear()
    this.#bytes = 0
  }

  /** Every entry is looked at twice at most, so this ends. */
  #evict(newest: number): void {
    for (const [key, entry] of this.#entries) {
      if (this.#bytes <= this.#bytesMax) return
      if (key === newest) continue
      this.delete(key)
      if (!entry.isUsed) continue
      entry.isUsed = false
      this.#entries.set(key, entry)
      this.#bytes += entry.value.length
    }
  }
}
