import type { TierSection } from '../../model/tier/tier-objects.ts'
import { Cursor } from '../../model/wire/varint.ts'
import { isMessage } from '../codec/fact-type.ts'
import { collectRecordNames, type NameSink } from '../codec/message-names.ts'
import { recordAt } from '../codec/record.ts'
import type { Unit } from '../codec/unit-block.ts'
import { ENDING_BYTES_MAX, endingBytes, putEnding, type SegmentFooter } from './segment-footer.ts'
import {
  checkIdentity,
  HEADER_BYTES_MAX,
  OBJECT_BYTES_MAX,
  putHeader,
  type SegmentIdentity,
} from './segment-format.ts'
import {
  FRAME_RECORD_BYTES,
  FRAME_RECORDS_MAX,
  FRAME_UNIT_BYTES,
  foldChecksum,
  frameBytes,
  putFrameUnit,
  sealFrame,
} from './segment-frame.ts'
import { indexBytes, putIndex } from './segment-index.ts'
import { NAME_BYTES, NamesTail, namesBytes } from './segment-names.ts'

export interface WrittenSegment {
  /** The object: a view of the writer's buffer. */
  readonly bytes: Buffer
  readonly footer: SegmentFooter
}

interface OpenSection {
  readonly queueId: number
  /** First queue offset. */
  readonly from: number
  /** Where its first frame begins. */
  readonly at: number
  firstMs: number
  lastMs: number
  /** Messages in all of its frames. */
  count: number
  /** Closed frames, and the checksum of their checksums. */
  frames: number
  checksum: number
}

interface OpenFrame {
  at: number
  /** Messages, and bytes of their records. */
  count: number
  recordBytes: number
  firstMs: number
}

/**
 * Writes a segment object into a buffer, front to back: `beginSection`, `add` for each message in
 * the order of the queue, `endSection`; when all is in, `finish`. What is given in the same order
 * gives the same bytes but for the token.
 *
 * The buffer holds all but the units of one frame ({@link SegmentWriter.ownBytes}) until `finish`.
 * `add` takes a checksum of a frame at most, `endSection` the sorting of the section's names.
 */
export class SegmentWriter {
  /** Memory that a writer has beside its buffer. */
  static readonly ownBytes = FRAME_RECORDS_MAX * FRAME_UNIT_BYTES

  readonly #buffer: Buffer
  readonly #identity: SegmentIdentity
  readonly #units = Buffer.allocUnsafe(SegmentWriter.ownBytes)
  readonly #names: NamesTail
  readonly #done: { readonly section: TierSection; readonly checksum: number }[] = []
  #section: OpenSection | undefined
  readonly #frame: OpenFrame = { at: 0, count: 0, recordBytes: 0, firstMs: 0 }
  /** Where the next section begins. */
  #at: number

  constructor(buffer: Buffer, identity: SegmentIdentity) {
    checkIdentity(identity)
    if (buffer.length < HEADER_BYTES_MAX || buffer.length > OBJECT_BYTES_MAX)
      throw new RangeError(`a buffer of ${buffer.length} bytes cannot hold a segment`)
    this.#buffer = buffer
    this.#identity = identity
    this.#names = new NamesTail(buffer)
    this.#at = putHeader(buffer, identity)
  }

  /** Bytes of a buffer in which one message of so many names surely fits, whatever its topic. */
  static bytesFor(recordBytes: number, names: number): number {
    const frame = frameBytes(recordBytes, 1)
    return HEADER_BYTES_MAX + frame + namesBytes(names) + indexBytes(1) + ENDING_BYTES_MAX
  }

  /**
   * `from` is the offset of the message that is added first. A queue has one section at most; an
   * open one into which nothing fitted is forgotten.
   */
  beginSection(queueId: number, from: number): void {
    this.#forgetEmpty()
    if (this.#section !== undefined) throw new RangeError('the section before has not ended')
    if (this.#done.some(({ section }) => section.queueId === queueId))
      throw new RangeError(`queue ${queueId} has a section already`)
    const at = this.#at
    const nothing = { firstMs: 0, lastMs: 0, count: 0, frames: 0, checksum: 0 }
    this.#section = { queueId, from, at, ...nothing }
    this.#beginFrame(at)
  }

  /**
   * Adds the next message: its unit, its whole record as it lies in the CommitLog, its store time.
   * False when there is no room for it, and then nothing has changed; a smaller one may fit.
   */
  add(unit: Unit, record: Uint8Array, storeAtMs: number): boolean {
    const section = this.#opened()
    checkRecord(unit, record)
    const isNewFrame = !this.#fitsFrame(record.length)
    const room = Math.floor(
      (this.#buffer.length - this.#bytesWith(record, isNewFrame)) / NAME_BYTES,
    )
    if (room < 0) return false
    const names = this.#putNames(record, section.count, room)
    if (names > room) return false
    this.#names.count += names
    if (isNewFrame) this.#closeFrame(section)
    this.#put(unit, record, storeAtMs)
    if (section.count === 0) section.firstMs = storeAtMs
    section.lastMs = storeAtMs
    section.count++
    return true
  }

  /** Sorts its names and writes its index. A section of nothing is refused. */
  endSection(): TierSection {
    const ending = this.endingSection()
    for (;;) {
      const step = ending.next()
      if (step.done === true) return step.value
    }
  }

  /**
   * The same in steps of a few ms, for sections of very many names. The writer is not to be called
   * until the last has been done.
   */
  *endingSection(): Generator<void, TierSection> {
    const section = this.#opened()
    if (section.count === 0)
      throw new RangeError(`the section of queue ${section.queueId} is empty`)
    this.#closeFrame(section)
    const { queueId, from, at, firstMs, lastMs, frames } = section
    const namesAt = this.#frame.at
    yield* this.#names.sorting()
    const indexAt = this.#names.take(namesAt, queueId)
    const end = putIndex(this.#buffer, indexAt, { queueId, end: namesAt, count: frames })
    const ended: TierSection = {
      queueId,
      from,
      to: from + section.count,
      firstMs,
      lastMs,
      indexAt,
      indexBytes: end - indexAt,
      namesAt,
      namesBytes: indexAt - namesAt,
      bytes: end - at,
    }
    this.#done.push({ section: ended, checksum: section.checksum })
    this.#section = undefined
    this.#at = end
    return ended
  }

  /** The whole object. The writer is of no use afterwards. */
  finish(): WrittenSegment {
    this.#forgetEmpty()
    if (this.#section !== undefined) throw new RangeError('the last section has not ended')
    if (this.#done.length === 0) throw new RangeError('the segment is empty')
    const ascending = [...this.#done].sort((a, b) => a.section.queueId - b.section.queueId)
    const footer: SegmentFooter = {
      ...this.#identity,
      sections: ascending.map(({ section }) => section),
      checksums: ascending.map(({ checksum }) => checksum),
    }
    return { bytes: this.#buffer.subarray(0, putEnding(this.#buffer, this.#at, footer)), footer }
  }

  #opened(): OpenSection {
    if (this.#section === undefined) throw new RangeError('no section has begun')
    return this.#section
  }

  #forgetEmpty(): void {
    if (this.#section?.count === 0) this.#section = undefined
  }

  #fitsFrame(bytes: number): boolean {
    const { count, recordBytes } = this.#frame
    return count === 0 || (count < FRAME_RECORDS_MAX && recordBytes + bytes <= FRAME_RECORD_BYTES)
  }

  /** Bytes of the object if it ended with this record, not counting the record's names. */
  #bytesWith(record: Uint8Array, isNewFrame: boolean): number {
    const { at, count, recordBytes } = this.#frame
    const end = isNewFrame
      ? at + frameBytes(recordBytes, count) + frameBytes(record.length, 1)
      : at + frameBytes(recordBytes + record.length, count + 1)
    const frames = this.#opened().frames + (isNewFrame ? 2 : 1)
    const parts = namesBytes(this.#names.count) + indexBytes(frames)
    return end + parts + endingBytes(this.#identity, this.#done.length + 1)
  }

  /** Puts the record's names ahead of those that count, as many as there is room for. */
  #putNames(record: Uint8Array, distance: number, room: number): number {
    let found = 0
    const sink: NameSink = {
      message: () => {},
      name: (hash) => {
        if (found < room) this.#names.put(found, hash, distance)
        found++
      },
    }
    collectRecordNames(new Cursor(record), 0, sink)
    return found
  }

  #put(unit: Unit, record: Uint8Array, storeAtMs: number): void {
    const frame = this.#frame
    putFrameUnit(this.#units, frame.count * FRAME_UNIT_BYTES, {
      at: frame.recordBytes,
      size: record.length,
      tagsCode: unit.tagsCode,
      groupHash: unit.groupHash,
      physicalOffset: unit.chunk + unit.at,
    })
    this.#buffer.set(record, frame.at + frame.recordBytes)
    if (frame.count === 0) frame.firstMs = storeAtMs
    frame.count++
    frame.recordBytes += record.length
  }

  #beginFrame(at: number): void {
    Object.assign(this.#frame, { at, count: 0, recordBytes: 0, firstMs: 0 })
  }

  /** Ends the open frame, which has records; the next begins behind it. */
  #closeFrame(section: OpenSection): void {
    const { at, count, recordBytes, firstMs } = this.#frame
    const end = at + frameBytes(recordBytes, count)
    this.#units.copy(this.#buffer, at + recordBytes, 0, count * FRAME_UNIT_BYTES)
    const crc = sealFrame(this.#buffer.subarray(at, end), {
      queueId: section.queueId,
      from: section.from + section.count - count,
      count,
      firstMs,
      lastMs: section.lastMs,
      recordBytes,
    })
    section.checksum = foldChecksum(section.checksum, crc)
    section.frames++
    this.#beginFrame(end)
  }
}

const checkRecord = (unit: Unit, record: Uint8Array): void => {
  const { type, size } = recordAt(record, unit.chunk + unit.at, 0)
  if (size !== record.length || size !== unit.size || !isMessage(type))
    throw new RangeError(`the record at ${unit.chunk + unit.at} is not the message of its unit`)
}
