/** Takes exact amounts from a stream of parts of any size. */
export class ByteReader {
  readonly #parts: AsyncIterator<Uint8Array>
  #held: Buffer[] = []
  #size = 0

  constructor(parts: AsyncIterable<Uint8Array>) {
    this.#parts = parts[Symbol.asyncIterator]()
  }

  /** The next bytes without taking them; fewer at the end. */
  async peek(size: number): Promise<Buffer> {
    while (this.#size < size && (await this.#fill()));
    const [first] = this.#held
    if (first === undefined) return Buffer.alloc(0)
    if (first.length >= size || this.#held.length === 1) return first.subarray(0, size)
    this.#held = [Buffer.concat(this.#held)]
    return (this.#held[0] as Buffer).subarray(0, size)
  }

  /** As `peek`, and takes them. */
  async take(size: number): Promise<Buffer> {
    const bytes = await this.peek(size)
    const [first] = this.#held
    if (first === undefined) return bytes
    this.#size -= bytes.length
    if (bytes.length === first.length) this.#held.shift()
    else this.#held[0] = first.subarray(bytes.length)
    return bytes
  }

  /** Text up to the next line feed, which is taken too; undefined when none comes in time. */
  async line(sizeMax: number): Promise<string | undefined> {
    for (let size = 256; ; size *= 2) {
      const bytes = await this.peek(Math.min(size, sizeMax))
      const end = bytes.indexOf(0x0a)
      if (end >= 0) return (await this.take(end + 1)).toString('utf8', 0, end)
      if (bytes.length < size) return undefined
    }
  }

  async close(): Promise<void> {
    await this.#parts.return?.()
  }

  async #fill(): Promise<boolean> {
    const { done, value } = await this.#parts.next()
    if (done === true) return false
    this.#held.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength))
    this.#size += value.byteLength
    return true
  }
}
