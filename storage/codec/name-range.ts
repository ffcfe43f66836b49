import { factType } from './fact-type.ts'
import { encodeFields } from './fields.ts'
import { recordAt } from './record.ts'

/**
 * The names of one stretch of the log as they lie in the index: entries of 8 bytes (hash u32,
 * position minus `from` u32, big endian), sorted, cut into pages by the first bits of the hash
 * (docs/formats/index.md).
 */
export interface NameRange {
  /** The stretch `[from, to)`: borders of chunks. */
  readonly from: number
  readonly to: number
  readonly entries: number
  /** There are 2 to the power of `pageBits` pages; those without entries are not stored. */
  readonly pageBits: number
  /** No message of the stretch was stored earlier, none later. */
  readonly storeAtMsMin: number
  readonly storeAtMsMax: number
}

export const NAME_ENTRY_BYTES = 8
/** Entries of a page that is as full as the average. */
const PAGE_ENTRIES = 512
const PAGE_BITS_MAX = 16
/** Where the low half of a 64-bit number lies, so that sorting those sorts by hash. */
const LOW_WORD = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 0 : 1

export const pageBitsOf = (entries: number): number =>
  Math.min(PAGE_BITS_MAX, Math.max(0, Math.ceil(Math.log2(entries / PAGE_ENTRIES))))

export const pageOf = (hash: number, pageBits: number): number =>
  pageBits === 0 ? 0 : hash >>> (32 - pageBits)

/** Names under construction: grows, and is sorted once. */
export class NameEntries {
  #words = new Uint32Array(0)
  count = 0

  push(hash: number, distance: number): void {
    const at = this.count * 2
    if (at === this.#words.length) this.#grow()
    this.#words[at + LOW_WORD] = distance
    this.#words[at + 1 - LOW_WORD] = hash
    this.count++
  }

  /** Distances under a hash, in the order in which they came. */
  *distancesOf(hash: number): Generator<number> {
    const words = this.#words
    const end = this.count * 2
    for (let at = 0; at < end; at += 2)
      if (words[at + 1 - LOW_WORD] === hash) yield words[at + LOW_WORD] as number
  }

  /** The pages that have entries. */
  pages(pageBits: number): { readonly page: number; readonly bytes: Buffer }[] {
    const sorted = new BigUint64Array(this.#words.slice(0, this.count * 2).buffer).sort()
    const words = new Uint32Array(sorted.buffer)
    const bytes = Buffer.allocUnsafe(this.count * NAME_ENTRY_BYTES)
    const pages: { page: number; bytes: Buffer }[] = []
    let begun = 0
    for (let index = 0; index < this.count; index++) {
      const hash = words[index * 2 + 1 - LOW_WORD] as number
      bytes.writeUInt32BE(hash, index * NAME_ENTRY_BYTES)
      bytes.writeUInt32BE(words[index * 2 + LOW_WORD] as number, index * NAME_ENTRY_BYTES + 4)
      const next = words[index * 2 + 3 - LOW_WORD]
      const page = pageOf(hash, pageBits)
      if (next !== undefined && pageOf(next, pageBits) === page) continue
      const end = (index + 1) * NAME_ENTRY_BYTES
      pages.push({ page, bytes: bytes.subarray(begun, end) })
      begun = end
    }
    return pages
  }

  #grow(): void {
    const grown = new Uint32Array(Math.max(256, this.#words.length * 2))
    grown.set(this.#words)
    this.#words = grown
  }
}

/** Distances under a hash in a stored page, ascending. */
export const distancesIn = (page: Buffer, hash: number): number[] => {
  let low = 0
  let high = page.length / NAME_ENTRY_BYTES
  while (low < high) {
    const middle = (low + high) >>> 1
    if (page.readUInt32BE(middle * NAME_ENTRY_BYTES) < hash) low = middle + 1
    else high = middle
  }
  const found: number[] = []
  for (let at = low * NAME_ENTRY_BYTES; at < page.length; at += NAME_ENTRY_BYTES) {
    if (page.readUInt32BE(at) !== hash) break
    found.push(page.readUInt32BE(at + 4))
  }
  return found
}

export const encodeNameRange = (range: NameRange): Buffer =>
  encodeFields(factType.logOpened, [
    range.from,
    range.to,
    range.entries,
    range.pageBits,
    range.storeAtMsMin,
    range.storeAtMsMax,
  ])

export const readNameRange = (value: Uint8Array): NameRange => {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  const { payload } = recordAt(bytes, 0, 0)
  return {
    from: payload.varint(),
    to: payload.varint(),
    entries: payload.varint(),
    pageBits: payload.varint(),
    storeAtMsMin: payload.varint(),
    storeAtMsMax: payload.varint(),
  }
}
