import type { TierSection } from '../../model/tier/tier-objects.ts'
import { type FrameEntry, frameEndingAt } from './segment-frame.ts'
import {
  type Check,
  checking,
  checkPart,
  CRC_BYTES,
  putHead,
  putUInt48,
  seal,
  uInt48At,
} from './segment-format.ts'

/**
 * The index of a section: where its frames are, by offset and by time.
 *
 * ```
 * head    0 magic u32 · 4 format u16 · 6 queue u16 · 8 frames u32
 * frame   0 position u32 · 4 bytes u32 · 8 first offset u48 · 14 records u32
 *        18 first store time u48 · 24 last store time u48 · 30 crc u32
 * end     crc u32
 * ```
 */
const HEAD_BYTES = 12
const ENTRY_BYTES = 34

export const indexBytes = (frames: number): number => HEAD_BYTES + frames * ENTRY_BYTES + CRC_BYTES

/** Where the section begins in its object. */
export const sectionAt = ({ indexAt, indexBytes: size, bytes }: TierSection): number =>
  indexAt + size - bytes

interface Frames {
  readonly queueId: number
  /** Where the last frame ends; the others lie before it without gaps. */
  readonly end: number
  readonly count: number
}

/** Writes the index of frames that lie in the same buffer, by their trailers. */
export const putIndex = (object: Buffer, at: number, { queueId, end, count }: Frames): number => {
  putHead(object, at, 'index')
  object.writeUInt16BE(queueId, at + 6)
  object.writeUInt32BE(count, at + 8)
  let frameEnd = end
  for (let index = count - 1; index >= 0; index--) {
    const frame = frameEndingAt(object, frameEnd)
    putEntry(object, at + HEAD_BYTES + index * ENTRY_BYTES, frame)
    frameEnd = frame.at
  }
  return seal(object, at, at + HEAD_BYTES + count * ENTRY_BYTES)
}

const putEntry = (bytes: Buffer, at: number, frame: FrameEntry): void => {
  bytes.writeUInt32BE(frame.at, at)
  bytes.writeUInt32BE(frame.bytes, at + 4)
  putUInt48(bytes, at + 8, frame.from)
  bytes.writeUInt32BE(frame.count, at + 14)
  putUInt48(bytes, at + 18, frame.firstMs)
  putUInt48(bytes, at + 24, frame.lastMs)
  bytes.writeUInt32BE(frame.crc, at + 30)
}

/** Checks the bytes of a section's index, which it then shares. Throws `CORRUPT`. */
export const readIndex = (bytes: Buffer, section: TierSection, key: string): SectionIndex => {
  const check = checking(key, section.indexAt)
  checkPart(bytes, { part: 'index', bytesMin: HEAD_BYTES }, check)
  const count = bytes.readUInt32BE(8)
  const isWhole = bytes.length === indexBytes(count) && bytes.length === section.indexBytes
  check(isWhole, 'the index is longer or shorter than it says')
  check(bytes.readUInt16BE(6) === section.queueId, 'the index is one of another queue')
  const index = new SectionIndex(bytes, section.queueId, count)
  checkFrames(index, section, check)
  return index
}

/** Frames of a section lie one behind the other, and so do their offsets. */
const checkFrames = (index: SectionIndex, section: TierSection, check: Check): void => {
  let at = sectionAt(section)
  let offset = section.from
  for (const frame of index.frames()) {
    check(frame.at === at && frame.from === offset && frame.count > 0, 'a frame is missing')
    at += frame.bytes
    offset += frame.count
  }
  check(at === section.namesAt && offset === section.to, 'the last frames are missing')
}

/** A checked index: 34 bytes for each frame. */
export class SectionIndex {
  readonly queueId: number
  /** Frames. */
  readonly count: number
  readonly #bytes: Buffer

  constructor(bytes: Buffer, queueId: number, count: number) {
    this.queueId = queueId
    this.count = count
    this.#bytes = bytes
  }

  /** Memory that it holds on to. */
  get bytes(): number {
    return this.#bytes.length
  }

  frame(index: number): FrameEntry {
    if (!(index >= 0 && index < this.count)) throw new RangeError(`there is no frame ${index}`)
    const at = HEAD_BYTES + index * ENTRY_BYTES
    const bytes = this.#bytes
    return {
      queueId: this.queueId,
      at: bytes.readUInt32BE(at),
      bytes: bytes.readUInt32BE(at + 4),
      from: uInt48At(bytes, at + 8),
      count: bytes.readUInt32BE(at + 14),
      firstMs: uInt48At(bytes, at + 18),
      lastMs: uInt48At(bytes, at + 24),
      crc: bytes.readUInt32BE(at + 30),
    }
  }

  *frames(): Generator<FrameEntry> {
    for (let index = 0; index < this.count; index++) yield this.frame(index)
  }

  /** The frame that holds a queue offset; undefined when the section does not. */
  frameOf(offset: number): FrameEntry | undefined {
    const frame = this.#last((at) => uInt48At(this.#bytes, at + 8) <= offset)
    return frame !== undefined && offset < frame.from + frame.count ? frame : undefined
  }

  /** The first frame whose last message was stored at or after a time, wall ms. */
  frameSince(ms: number): FrameEntry | undefined {
    const index = this.#countWhile((at) => uInt48At(this.#bytes, at + 24) < ms)
    return index < this.count ? this.frame(index) : undefined
  }

  #last(isAtMost: (at: number) => boolean): FrameEntry | undefined {
    const count = this.#countWhile(isAtMost)
    return count === 0 ? undefined : this.frame(count - 1)
  }

  /** Frames from the first on of which this holds. */
  #countWhile(holds: (at: number) => boolean): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (holds(HEAD_BYTES + middle * ENTRY_BYTES)) low = middle + 1
      else high = middle
    }
    return low
  }
}
