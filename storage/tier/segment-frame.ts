import { crc32 } from 'node:zlib'
import { isMessage } from '../codec/fact-type.ts'
import { readMessage } from '../codec/message-fact.ts'
import { type RecordView, recordAt } from '../codec/record.ts'
import {
  type Check,
  checking,
  checkPart,
  CRC_BYTES,
  putHead,
  putUInt48,
  uInt48At,
} from './segment-format.ts'

/**
 * A frame: records of consecutive offsets of one queue as they lay in the CommitLog, then a unit
 * for each, then a trailer. The piece in which a segment is read, and it can be checked alone.
 *
 * ```
 * unit     0 position in the frame u32 · 4 record bytes u32 · 8 tag code u32 · 12 group hash u32
 *         16 physical offset u48
 * trailer  0 magic u32 · 4 format u16 · 6 queue u16 · 8 first offset u48 · 14 records u32
 *         18 first store time u48 · 24 last store time u48 · 30 bytes of records u32 · 34 crc u32
 * ```
 */
export const FRAME_UNIT_BYTES = 22
const FRAME_TRAILER_BYTES = 38
/** Records of a frame take at most so many bytes, unless it is one alone. */
export const FRAME_RECORD_BYTES = 512 * 1024
export const FRAME_RECORDS_MAX = 4096

/** What is known of a frame without reading it. */
export interface FrameSummary {
  readonly queueId: number
  /** Queue offset of its first message. */
  readonly from: number
  readonly count: number
  /** Store times of its first and last message, wall ms. */
  readonly firstMs: number
  readonly lastMs: number
  readonly crc: number
}

/** A frame and its place in the object. */
export interface FrameEntry extends FrameSummary {
  readonly at: number
  readonly bytes: number
}

/** A ConsumeQueue unit as it was offloaded. */
export interface FrameUnit {
  /** Where the record begins in the frame, and its bytes. */
  readonly at: number
  readonly size: number
  readonly tagsCode: number
  readonly groupHash: number
  /** Where the record lay in the CommitLog. */
  readonly physicalOffset: number
}

export const frameBytes = (recordBytes: number, count: number): number =>
  recordBytes + count * FRAME_UNIT_BYTES + FRAME_TRAILER_BYTES

export const putFrameUnit = (bytes: Buffer, position: number, unit: FrameUnit): void => {
  bytes.writeUInt32BE(unit.at, position)
  bytes.writeUInt32BE(unit.size, position + 4)
  bytes.writeUInt32BE(unit.tagsCode, position + 8)
  bytes.writeUInt32BE(unit.groupHash, position + 12)
  putUInt48(bytes, position + 16, unit.physicalOffset)
}

type Sealing = Omit<FrameSummary, 'crc'> & { readonly recordBytes: number }

/** Writes trailer and checksum behind the units. Returns the checksum. */
export const sealFrame = (frame: Buffer, summary: Sealing): number => {
  const at = frame.length - FRAME_TRAILER_BYTES
  putHead(frame, at, 'frame')
  frame.writeUInt16BE(summary.queueId, at + 6)
  putUInt48(frame, at + 8, summary.from)
  frame.writeUInt32BE(summary.count, at + 14)
  putUInt48(frame, at + 18, summary.firstMs)
  putUInt48(frame, at + 24, summary.lastMs)
  frame.writeUInt32BE(summary.recordBytes, at + 30)
  const crc = crc32(frame.subarray(0, frame.length - CRC_BYTES))
  frame.writeUInt32BE(crc, frame.length - CRC_BYTES)
  return crc
}

/** The checksum of a section that goes on with a frame of this checksum; 0 before the first. */
export const foldChecksum = (checksum: number, frameCrc: number): number => {
  const bytes = Buffer.allocUnsafe(CRC_BYTES)
  bytes.writeUInt32BE(frameCrc)
  return crc32(bytes, checksum)
}

/** The frame that ends here, by its own trailer. */
export const frameEndingAt = (object: Buffer, end: number): FrameEntry => {
  const at = end - FRAME_TRAILER_BYTES
  const count = object.readUInt32BE(at + 14)
  const bytes = frameBytes(object.readUInt32BE(at + 30), count)
  return {
    queueId: object.readUInt16BE(at + 6),
    from: uInt48At(object, at + 8),
    count,
    firstMs: uInt48At(object, at + 18),
    lastMs: uInt48At(object, at + 24),
    crc: object.readUInt32BE(at + 34),
    at: end - bytes,
    bytes,
  }
}

/** Checks the bytes of a frame, which it then shares. Throws `CORRUPT`. */
export const readFrame = (bytes: Buffer, expected: FrameEntry, key: string): Frame => {
  const check = checking(key, expected.at)
  const bytesMin = FRAME_TRAILER_BYTES - CRC_BYTES
  checkPart(bytes, { part: 'frame', headAt: bytes.length - FRAME_TRAILER_BYTES, bytesMin }, check)
  const found = frameEndingAt(bytes, bytes.length)
  check(found.bytes === bytes.length, 'the frame is longer or shorter than it says')
  const isExpected =
    found.bytes === expected.bytes &&
    found.queueId === expected.queueId &&
    found.from === expected.from &&
    found.count === expected.count &&
    found.firstMs === expected.firstMs &&
    found.lastMs === expected.lastMs &&
    found.crc === expected.crc
  check(isExpected, 'the frame is not the one of the index')
  return new Frame(bytes, expected, key)
}

/** A checked frame. What it gives shares its memory. */
export class Frame {
  readonly entry: FrameEntry
  /** First queue offset, and one past the last. */
  readonly from: number
  readonly to: number
  readonly #bytes: Buffer
  readonly #records: Buffer
  readonly #key: string

  constructor(bytes: Buffer, entry: FrameEntry, key: string) {
    this.entry = entry
    this.from = entry.from
    this.to = entry.from + entry.count
    this.#bytes = bytes
    this.#records = bytes.subarray(0, bytes.length - frameBytes(0, entry.count))
    this.#key = key
  }

  /** Memory that it holds on to. */
  get bytes(): number {
    return this.#bytes.length
  }

  unit(offset: number): FrameUnit {
    const at = this.#unitAt(offset)
    return {
      at: this.#bytes.readUInt32BE(at),
      size: this.#bytes.readUInt32BE(at + 4),
      tagsCode: this.#bytes.readUInt32BE(at + 8),
      groupHash: this.#bytes.readUInt32BE(at + 12),
      physicalOffset: uInt48At(this.#bytes, at + 16),
    }
  }

  /** The message's record, as `recordAt` gives it. */
  record(offset: number): RecordView {
    const unitAt = this.#unitAt(offset)
    const at = this.#bytes.readUInt32BE(unitAt)
    const size = this.#bytes.readUInt32BE(unitAt + 4)
    const check = this.#checkAt(at)
    check(at + size <= this.#records.length, 'the unit points beyond the records')
    const record = recordAt(this.#records, this.entry.at, at, this.#key)
    check(record.size === size, 'the record is longer or shorter than its unit says')
    check(isMessage(record.type), `a record of type ${record.type} is no message`)
    return record
  }

  /** Wall ms. */
  storeAtMs(offset: number): number {
    const { type, payload } = this.record(offset)
    return readMessage(type, payload).storeAtMs
  }

  #unitAt(offset: number): number {
    if (!(offset >= this.from && offset < this.to))
      throw new RangeError(`offset ${offset} is not in the frame [${this.from}, ${this.to})`)
    return this.#records.length + (offset - this.from) * FRAME_UNIT_BYTES
  }

  #checkAt(at: number): Check {
    return checking(this.#key, this.entry.at + at)
  }
}
