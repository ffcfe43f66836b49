/** Slabs kept for reuse beyond those in use. */
const FREE_MAX = 4

interface Slab {
  readonly bytes: Buffer
  used: number
  /** Regions carved and not given back. */
  out: number
}

/**
 * Memory for chunks, carved from slabs that are used again.
 *
 * A fresh slab for every thousand messages would make V8 collect its whole heap ten times a
 * second, because it counts memory outside the heap against the limit of the heap. Only regions
 * that nobody ever read come back: a reader may keep slices of a chunk for as long as it likes,
 * and then the slab is left to the collector.
 */
export class Slabs {
  #current: Slab = { bytes: Buffer.alloc(0), used: 0, out: 0 }
  readonly #slabBytes: number
  readonly #free: Buffer[] = []
  readonly #ofBuffer = new WeakMap<ArrayBufferLike, Slab>()

  constructor(slabBytes: number) {
    this.#slabBytes = slabBytes
  }

  /** Room for at most `bytesMax`; what is not kept of it goes to the next one. */
  carve(bytesMax: number): Buffer {
    if (this.#current.bytes.length - this.#current.used < bytesMax) this.#next(bytesMax)
    const { bytes, used } = this.#current
    this.#current.out++
    return bytes.subarray(used, used + bytesMax)
  }

  /** Says how much of the region carved last is kept. */
  keep(bytes: number): void {
    this.#current.used += bytes
  }

  /** A region that nobody refers to any more. */
  giveBack(region: Buffer): void {
    const slab = this.#ofBuffer.get(region.buffer)
    if (slab === undefined) return
    slab.out--
    this.#reuse(slab)
  }

  #next(bytesMax: number): void {
    const last = this.#current
    const bytes =
      bytesMax > this.#slabBytes
        ? Buffer.allocUnsafeSlow(bytesMax)
        : (this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#slabBytes))
    this.#current = { bytes, used: 0, out: 0 }
    this.#ofBuffer.set(bytes.buffer, this.#current)
    this.#reuse(last)
  }

  #reuse(slab: Slab): void {
    const isIdle = slab.out === 0 && slab !== this.#current
    if (isIdle && slab.bytes.length === this.#slabBytes && this.#free.length < FREE_MAX)
      this.#free.push(slab.bytes)
  }
}
