import { isUtf8 } from 'node:buffer'
import { Cursor } from '../../../model/wire/varint.ts'
import { readTag } from './primitives.ts'

const notUtf8 = () => new RangeError('text is not UTF-8')

/**
 * A cursor for the hot path: it walks one request from its first byte to its last, into
 * sub-messages and out again, and makes no object for any of them.
 */
export class Walk extends Cursor {
  declare readonly bytes: Buffer
  declare end: number

  /** The next tag; nearly all are one byte. */
  tag(): number {
    const byte = this.bytes[this.at]
    if (byte === undefined || byte < 8 || byte >= 0x80 || this.at >= this.end) return readTag(this)
    this.at++
    return byte
  }

  /** Where the next length-delimited value ends; it begins at `at`. */
  valueEnd(): number {
    const byte = this.bytes[this.at]
    const isShort = byte !== undefined && byte < 0x80 && this.at < this.end
    const size = isShort ? byte : this.varint()
    if (isShort) this.at++
    if (size > this.end - this.at) throw new RangeError('field ends early')
    return this.at + size
  }

  /** Narrows the walk to the next length-delimited value; gives back what `leave` needs. */
  enter(): number {
    const outer = this.end
    this.end = this.valueEnd()
    return outer
  }

  leave(outer: number): void {
    this.end = outer
  }

  /** Whether all bytes between two positions are printable ASCII. */
  isPlain(start: number, end: number): boolean {
    const { bytes } = this
    for (let at = start; at < end; at++) {
      const byte = bytes[at] as number
      if (byte < 0x20 || byte > 0x7e) return false
    }
    return true
  }

  /**
   * Steps over text up to `end`. Refuses what is not UTF-8: proto3 parsers in Go, Java and Python
   * fail on it, so one such message would make every batch that holds it unreadable.
   */
  skipText(end: number): void {
    const start = this.at
    if (!this.isPlain(start, end) && !isUtf8(this.bytes.subarray(start, end))) throw notUtf8()
    this.at = end
  }

  /** As `skipText`, and gives the text. */
  text(end: number): string {
    const start = this.at
    this.at = end
    return strictText(this.bytes, start, end)
  }
}

export const strictText = (bytes: Buffer, start: number, end: number): string => {
  for (let at = start; at < end; at++) {
    if ((bytes[at] as number) < 0x80) continue
    if (!isUtf8(bytes.subarray(start, end))) throw notUtf8()
    return bytes.toString('utf8', start, end)
  }
  return start === end ? '' : bytes.toString('latin1', start, end)
}
