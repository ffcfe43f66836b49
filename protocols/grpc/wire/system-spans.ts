import { systemField } from '../../../model/message/system-block.ts'
import { putVarint, varintSize } from '../../../model/wire/varint.ts'

/**
 * The producer's part of `SystemProperties`, collected as spans of the request and written as
 * the `system` block of a message: each singular field once, the last one said, with its value
 * copied as it came. Nothing that a strict parser might refuse gets through: lengths and tags
 * are written anew.
 */

const LENGTH_DELIMITED = 2
/** Spans are triplets in one flat array: field number, first byte, end. */
const SPAN = 3

export const BODY_ENCODING = 5
export const GZIP = 2

export class SystemSpans {
  readonly #spans: number[] = []
  #gzip = false

  /** Remembers a length-delimited value; a singular field replaces what was said before. */
  add(field: number, start: number, end: number): void {
    const spans = this.#spans
    if (field !== systemField.key) {
      for (let at = 0; at < spans.length; at += SPAN) {
        if (spans[at] !== field) continue
        spans[at + 1] = start
        spans[at + 2] = end
        return
      }
    }
    spans.push(field, start, end)
  }

  /** A body that its producer compressed stays so, and says so (RocketMQ gRPC 6). */
  encoding(value: number): void {
    this.#gzip = value === GZIP
  }

  block(bytes: Buffer): Buffer {
    const spans = this.#spans
    let size = this.#gzip ? 2 : 0
    for (let at = 0; at < spans.length; at += SPAN) {
      const length = (spans[at + 2] as number) - (spans[at + 1] as number)
      if (length > 0) size += varintSize((spans[at] as number) << 3) + varintSize(length) + length
    }
    const block = Buffer.allocUnsafe(size)
    let to = 0
    for (let at = 0; at < spans.length; at += SPAN) {
      const start = spans[at + 1] as number
      const end = spans[at + 2] as number
      if (end === start) continue
      to = putVarint(block, to, ((spans[at] as number) << 3) | LENGTH_DELIMITED)
      to = putVarint(block, to, end - start)
      to += bytes.copy(block, to, start, end)
    }
    if (this.#gzip) {
      block[to++] = BODY_ENCODING << 3
      block[to] = GZIP
    }
    return block
  }
}
