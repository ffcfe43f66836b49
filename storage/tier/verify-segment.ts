import type { TierSection } from '../../model/tier/tier-objects.ts'
import { Cursor } from '../../model/wire/varint.ts'
import { type MessageFact, readMessage } from '../codec/message-fact.ts'
import { collectRecordNames } from '../codec/message-names.ts'
import type { RecordView } from '../codec/record.ts'
import { footerIn, readFooter, readTrailer, type SegmentFooter } from './segment-footer.ts'
import { type Check, checking, readHeader } from './segment-format.ts'
import { foldChecksum, type Frame, frameBytes, readFrame } from './segment-frame.ts'
import { readIndex } from './segment-index.ts'
import { NamesTail, readNames } from './segment-names.ts'

export interface VerifiedSegment {
  readonly footer: SegmentFooter
  readonly frames: number
  readonly messages: number
}

/**
 * Compares all of an object with itself: every byte is covered by a checksum, every message is
 * where index and names say, and belongs to the topic of the header. Throws `CORRUPT` at the first
 * thing that is not so.
 */
export const verifySegment = (bytes: Buffer, key: string): VerifiedSegment => {
  const verifying = verifyingSegment(bytes, key)
  for (;;) {
    const step = verifying.next()
    if (step.done === true) return step.value
  }
}

/** The same in steps of a frame, so that somebody else may have a turn. */
export function* verifyingSegment(bytes: Buffer, key: string): Generator<void, VerifiedSegment> {
  const trailer = readTrailer(bytes, { key, objectBytes: bytes.length })
  const footer = readFooter(footerIn(bytes, trailer) ?? bytes, trailer, key)
  const { sections, checksums, ...identity } = footer
  const check = checking(key, 0)
  for (const [field, value] of Object.entries(readHeader(bytes, key)))
    check(value === identity[field as keyof typeof identity], `header and footer differ: ${field}`)
  const object = { bytes, key, topicId: footer.topicId }
  let frames = 0
  let messages = 0
  for (const [index, section] of sections.entries()) {
    frames += yield* verifySection(object, section, checksums[index] as number)
    messages += section.to - section.from
  }
  return { footer, frames, messages }
}

interface Verifying {
  readonly bytes: Buffer
  readonly key: string
  readonly topicId: number
}

/** Frames of the section. */
function* verifySection(
  object: Verifying,
  section: TierSection,
  checksum: number,
): Generator<void, number> {
  const { bytes, key } = object
  const { indexAt, namesAt } = section
  const index = readIndex(bytes.subarray(indexAt, indexAt + section.indexBytes), section, key)
  const stored = bytes.subarray(namesAt, namesAt + section.namesBytes)
  const { count } = readNames(stored, section, key)
  const checkNames = checking(key, namesAt)
  const rebuilt = Buffer.alloc(section.namesBytes)
  const names = new NamesTail(rebuilt)
  const onName = (offset: number, hash: number): void => {
    checkNames(names.count < count, 'there are names missing')
    names.put(0, hash, offset - section.from)
    names.count++
  }
  let folded = 0
  for (const entry of index.frames()) {
    const frame = readFrame(bytes.subarray(entry.at, entry.at + entry.bytes), entry, key)
    verifyFrame(frame, { ...object, onName })
    folded = foldChecksum(folded, entry.crc)
    yield
  }
  yield* names.sorting()
  const end = names.take(0, section.queueId)
  checkNames(stored.equals(rebuilt.subarray(0, end)), 'the names are not those of the messages')
  checking(key, indexAt)(folded === checksum, 'the footer has another checksum of the frames')
  const isTimely =
    section.firstMs === index.frame(0).firstMs &&
    section.lastMs === index.frame(index.count - 1).lastMs
  checking(key, indexAt)(isTimely, 'the footer has other store times')
  return index.count
}

interface VerifyingFrame extends Verifying {
  readonly onName: (offset: number, hash: number) => void
}

const verifyFrame = (frame: Frame, { key, topicId, onName }: VerifyingFrame): void => {
  const { entry } = frame
  let at = 0
  for (let offset = frame.from; offset < frame.to; offset++) {
    const check = checking(key, entry.at + at)
    const unit = frame.unit(offset)
    check(unit.at === at, 'the record is not behind the one before')
    const record = frame.record(offset)
    const message = messageOf(record, check)
    const isIn =
      message.topicId === topicId &&
      message.queueId === entry.queueId &&
      message.queueOffset === offset
    check(isIn, `this is not the message at offset ${offset} of queue ${entry.queueId}`)
    const isOfUnit = message.tagsCode === unit.tagsCode && message.groupHash === unit.groupHash
    check(isOfUnit, 'the message is not the one of its unit')
    check(offset > frame.from || message.storeAtMs === entry.firstMs, 'the first time is another')
    check(offset < frame.to - 1 || message.storeAtMs === entry.lastMs, 'the last time is another')
    const { bytes } = record.payload
    collectRecordNames(new Cursor(bytes, unit.at), 0, {
      message: () => {},
      name: (hash) => onName(offset, hash),
    })
    at += unit.size
  }
  const recordBytes = entry.bytes - frameBytes(0, entry.count)
  checking(key, entry.at + at)(at === recordBytes, 'there are bytes behind the last record')
}

const messageOf = ({ type, payload }: RecordView, check: Check): MessageFact => {
  try {
    return readMessage(type, new Cursor(payload.bytes, payload.at, payload.end))
  } catch (error) {
    check(false, `the message cannot be read: ${(error as Error).message}`)
    throw error
  }
}
