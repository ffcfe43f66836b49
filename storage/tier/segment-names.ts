import type { TierSection } from '../../model/tier/tier-objects.ts'
import { HIGH_WORD, isLittleEndian, LOW_WORD, sortNames } from './sort-names.ts'
import { checking, checkPart, CRC_BYTES, putHead, seal } from './segment-format.ts'

/**
 * The names of a section's messages: their ids and keys as hashes (`codec/message-names.ts`).
 *
 * ```
 * head   0 magic u32 · 4 format u16 · 6 queue u16 · 8 entries u32
 * entry  0 hash u32 · 4 offset minus the section's first u32; ascending
 * end    crc u32
 * ```
 */
const HEAD_BYTES = 12
export const NAME_BYTES = 8
const WORDS_ALIGNED = 8

export const namesBytes = (names: number): number => HEAD_BYTES + names * NAME_BYTES + CRC_BYTES

/**
 * Names under construction, in the tail of the buffer in which an object grows from the front:
 * they take the room that they need in the object anyway. Who pushes knows that there is room.
 */
export class NamesTail {
  /** All that are kept. */
  count = 0
  readonly #buffer: Buffer
  readonly #words: Uint32Array
  /** Where the words begin in the buffer. */
  readonly #wordsAt: number

  constructor(buffer: Buffer) {
    const misaligned = buffer.byteOffset % WORDS_ALIGNED
    this.#buffer = buffer
    this.#wordsAt = misaligned === 0 ? 0 : WORDS_ALIGNED - misaligned
    const pairs = Math.max(0, Math.floor((buffer.length - this.#wordsAt) / NAME_BYTES))
    this.#words = new Uint32Array(buffer.buffer, buffer.byteOffset + this.#wordsAt, pairs * 2)
  }

  /** Puts the entry that comes `ahead` places after those that are kept. */
  put(ahead: number, hash: number, distance: number): void {
    const at = this.#words.length - (this.count + ahead + 1) * 2
    this.#words[at + LOW_WORD] = distance
    this.#words[at + HIGH_WORD] = hash
  }

  /** Sorts all names, a step at a time. */
  sorting(): Generator<void> {
    return sortNames(this.#words.subarray(this.#words.length - this.count * 2))
  }

  /** Writes the block of all names, which are sorted, and forgets them. Returns where it ends. */
  take(at: number, queueId: number): number {
    const { count } = this
    const first = this.#words.length - count * 2
    const words = this.#words.subarray(first)
    const sorted = Buffer.from(words.buffer, words.byteOffset, words.byteLength)
    if (isLittleEndian) sorted.swap64()
    // The block may reach into the tail: it is moved before anything is written behind it.
    const sortedAt = this.#wordsAt + first * 4
    const end = at + HEAD_BYTES + sorted.length
    this.#buffer.copyWithin(at + HEAD_BYTES, sortedAt, sortedAt + sorted.length)
    putHead(this.#buffer, at, 'names')
    this.#buffer.writeUInt16BE(queueId, at + 6)
    this.#buffer.writeUInt32BE(count, at + 8)
    this.count = 0
    return seal(this.#buffer, at, end)
  }
}

/** Checks the bytes of a section's names, which it then shares. Throws `CORRUPT`. */
export const readNames = (bytes: Buffer, section: TierSection, key: string): SegmentNames => {
  const check = checking(key, section.namesAt)
  checkPart(bytes, { part: 'names', bytesMin: HEAD_BYTES }, check)
  const count = bytes.readUInt32BE(8)
  const isWhole = bytes.length === namesBytes(count) && bytes.length === section.namesBytes
  check(isWhole, 'the names are more or fewer than they say')
  check(bytes.readUInt16BE(6) === section.queueId, 'the names are those of another queue')
  return new SegmentNames(bytes, count)
}

/** Checked names: 8 bytes each. */
export class SegmentNames {
  readonly count: number
  readonly #bytes: Buffer

  constructor(bytes: Buffer, count: number) {
    this.count = count
    this.#bytes = bytes
  }

  /** Memory that it holds on to. */
  get bytes(): number {
    return this.#bytes.length
  }

  /** The entries as they lie there. */
  get entries(): Buffer {
    return this.#bytes.subarray(HEAD_BYTES, HEAD_BYTES + this.count * NAME_BYTES)
  }

  /**
   * Messages with a name of this hash, counted from the section's first offset, ascending. A hash
   * is no proof: who finds one reads the message.
   */
  find(hash: number): number[] {
    const { entries } = this
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (entries.readUInt32BE(middle * NAME_BYTES) < hash) low = middle + 1
      else high = middle
    }
    const found: number[] = []
    for (let at = low * NAME_BYTES; at < entries.length; at += NAME_BYTES) {
      if (entries.readUInt32BE(at) !== hash) break
      const distance = entries.readUInt32BE(at + 4)
      if (distance !== found.at(-1)) found.push(distance)
    }
    return found
  }
}
