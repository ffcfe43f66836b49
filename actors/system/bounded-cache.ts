/** A cache of bytes by number, bounded in bytes; what was not used longest goes first. */
export class BoundedCache {
  readonly #entries = new Map<number, Buffer>()
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  get(key: number): Buffer | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  /** As `get`, without counting as a use: for reads that go forward and do not come back. */
  peek(key: number): Buffer | undefined {
    return this.#entries.get(key)
  }

  set(key: number, value: Buffer): void {
    this.delete(key)
    this.#entries.set(key, value)
    this.#bytes += value.length
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#bytesMax || oldest === key) return
      this.delete(oldest)
    }
  }

  delete(key: number): void {
    const value = this.#entries.get(key)
    if (value === undefined) return
    this.#entries.delete(key)
    this.#bytes -= value.length
  }

  clear(): void {
    this.#entries.clear()
    this.#bytes = 0
  }
}
