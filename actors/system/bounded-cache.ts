interface Entry {
  readonly value: Buffer
  isUsed: boolean
  /** Somebody got it, and may hold slices of it for ever. */
  isLent: boolean
}

/**
 * A cache of bytes by number, bounded in bytes. What was used since it was last looked at gets a
 * second chance, everything else goes in the order in which it came: a hit costs one look-up.
 */
export class BoundedCache {
  readonly #entries = new Map<number, Entry>()
  readonly bytesMax: number
  readonly #onUnread: ((value: Buffer) => void) | undefined
  #bytes = 0

  /** `onUnread` gets values that go without anybody having got them. */
  constructor(bytesMax: number, onUnread?: (value: Buffer) => void) {
    this.bytesMax = bytesMax
    this.#onUnread = onUnread
  }

  get bytes(): number {
    return this.#bytes
  }

  get(key: number): Buffer | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    entry.isUsed = true
    entry.isLent = true
    return entry.value
  }

  /** As `get`, for one who passes through everything once: it gets no second chance for that. */
  glance(key: number): Buffer | undefined {
    return this.#entries.get(key)?.value
  }

  set(key: number, value: Buffer): void {
    this.delete(key)
    this.#entries.set(key, { value, isUsed: false, isLent: false })
    this.#bytes += value.length
    if (this.#bytes > this.bytesMax) this.#evict(key)
  }

  delete(key: number): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#remove(key, entry)
    if (!entry.isLent) this.#onUnread?.(entry.value)
  }

  clear(): void {
    this.#entries.clear()
    this.#bytes = 0
  }

  /** Every entry is looked at twice at most, so this ends. */
  #evict(newest: number): void {
    for (const [key, entry] of this.#entries) {
      if (this.#bytes <= this.bytesMax) return
      if (key === newest) continue
      if (!entry.isUsed) {
        this.delete(key)
        continue
      }
      entry.isUsed = false
      this.#entries.delete(key)
      this.#entries.set(key, entry)
    }
  }

  #remove(key: number, { value }: Entry): void {
    this.#entries.delete(key)
    this.#bytes -= value.length
  }
}
