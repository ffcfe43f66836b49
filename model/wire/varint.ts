/**
 * Protobuf's wire primitives over plain bytes, for whole numbers up to 2^53.
 *
 * Writers take a buffer and a position and return the next position; sizes are
 * computed beforehand, so an encoder writes once, into place, without growing.
 */

export const varintSize = (value: number): number => {
  let size = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++
  return size
}

export const putVarint = (bytes: Uint8Array, at: number, value: number): number => {
  let position = at
  let rest = value
  while (rest > 0x7fffffff) {
    bytes[position++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  while (rest >= 0x80) {
    bytes[position++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  bytes[position++] = rest
  return position
}

/** A reading position in bytes. Reading past the end is an error of the writer and throws. */
export class Cursor {
  readonly bytes: Uint8Array
  readonly end: number
  at: number

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  get done(): boolean {
    return this.at >= this.end
  }

  /** Ten bytes at most; numbers beyond 2^53 lose precision, as all our offsets stay below it. */
  varint(): number {
    let value = 0
    let scale = 1
    for (let count = 0; count < 10; count++) {
      if (this.at >= this.end) throw new RangeError('varint ends early')
      const byte = this.bytes[this.at++] as number
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
    throw new RangeError('varint is longer than ten bytes')
  }

  byte(): number {
    if (this.at >= this.end) throw new RangeError('field ends early')
    return this.bytes[this.at++] as number
  }

  /** The next `size` bytes as a view that shares their memory. */
  take(size: number): Uint8Array {
    const start = this.at
    if (size > this.end - start) throw new RangeError('field ends early')
    this.at = start + size
    return this.bytes.subarray(start, this.at)
  }

  /** Skips the value of a field of the given protobuf wire type. */
  skip(wireType: number): void {
    switch (wireType) {
      case 0:
        this.varint()
        return
      case 1:
        this.#pass(8)
        return
      case 2:
        this.#pass(this.varint())
        return
      case 5:
        this.#pass(4)
        return
      default:
        throw new RangeError(`wire type ${wireType} is unknown`)
    }
  }

  #pass(size: number): void {
    if (size > this.end - this.at) throw new RangeError('field ends early')
    this.at += size
  }
}
