import { crc32 } from 'node:zlib'
import type { TierSection } from '../../model/tier/tier-objects.ts'
import { sectionAt } from './segment-index.ts'
import {
  type Check,
  checking,
  checkPart,
  CRC_BYTES,
  headerBytes,
  IDENTITY_BYTES_MAX,
  identityBytes,
  putHead,
  putIdentity,
  putUInt48,
  readIdentity,
  seal,
  type SegmentIdentity,
  uInt48At,
} from './segment-format.ts'

/**
 * What an object holds, at its end, so that one read of a suffix opens it.
 *
 * ```
 * footer   0 magic u32 · 4 format u16 · 6 sections u16 · identity as in the header · sections
 * section  0 queue u16 · 2 from u48 · 8 to u48 · 14 first store time u48 · 20 last store time u48
 *         26 index position u32 · 30 index bytes u32 · 34 names position u32 · 38 names bytes u32
 *         42 bytes of the section u32 · 46 checksum u32
 * trailer  0 magic u32 · 4 format u16 · 6 footer position u32 · 10 footer bytes u32
 *         14 footer crc u32 · 18 bytes of the object u32 · 22 crc u32
 * ```
 */
const TRAILER_BYTES = 26
/** Holds the trailer and the footer of some eighty sections. */
export const SUFFIX_BYTES = 4096

const HEAD_BYTES = 8
const SECTION_BYTES = 50

export interface SegmentFooter extends SegmentIdentity {
  /** Ascending by queue. */
  readonly sections: readonly TierSection[]
  /** Of each section: crc32 over the checksums of all of its frames, in their order. */
  readonly checksums: readonly number[]
}

/** Where the footer lies. */
export interface SegmentTrailer {
  readonly footerAt: number
  readonly footerBytes: number
  readonly footerCrc: number
  /** Of the whole object. */
  readonly objectBytes: number
}

/** Bytes of footer and trailer. */
export const endingBytes = (identity: Pick<SegmentIdentity, 'topic'>, sections: number): number =>
  HEAD_BYTES + identityBytes(identity) + sections * SECTION_BYTES + TRAILER_BYTES

/** The same for one section and the longest name of a topic. */
export const ENDING_BYTES_MAX = HEAD_BYTES + IDENTITY_BYTES_MAX + SECTION_BYTES + TRAILER_BYTES

/** Ends an object with footer and trailer. Returns where it ends. */
export const putEnding = (object: Buffer, at: number, footer: SegmentFooter): number => {
  putHead(object, at, 'footer')
  object.writeUInt16BE(footer.sections.length, at + 6)
  let position = putIdentity(object, at + HEAD_BYTES, footer)
  for (const [index, section] of footer.sections.entries())
    position = putSection(object, position, section, footer.checksums[index] as number)
  return putTrailer(object, position, {
    footerAt: at,
    footerBytes: position - at,
    footerCrc: crc32(object.subarray(at, position)),
    objectBytes: position + TRAILER_BYTES,
  })
}

const putSection = (bytes: Buffer, at: number, section: TierSection, checksum: number): number => {
  bytes.writeUInt16BE(section.queueId, at)
  putUInt48(bytes, at + 2, section.from)
  putUInt48(bytes, at + 8, section.to)
  putUInt48(bytes, at + 14, section.firstMs)
  putUInt48(bytes, at + 20, section.lastMs)
  bytes.writeUInt32BE(section.indexAt, at + 26)
  bytes.writeUInt32BE(section.indexBytes, at + 30)
  bytes.writeUInt32BE(section.namesAt, at + 34)
  bytes.writeUInt32BE(section.namesBytes, at + 38)
  bytes.writeUInt32BE(section.bytes, at + 42)
  return bytes.writeUInt32BE(checksum, at + 46)
}

const putTrailer = (bytes: Buffer, at: number, trailer: SegmentTrailer): number => {
  putHead(bytes, at, 'trailer')
  bytes.writeUInt32BE(trailer.footerAt, at + 6)
  bytes.writeUInt32BE(trailer.footerBytes, at + 10)
  bytes.writeUInt32BE(trailer.footerCrc, at + 14)
  const end = bytes.writeUInt32BE(trailer.objectBytes, at + 18)
  return seal(bytes, at, end)
}

interface Opened {
  readonly key: string
  /** As the store says. */
  readonly objectBytes: number
}

/** Reads the trailer at the end of an object's last bytes. Throws `CORRUPT`. */
export const readTrailer = (suffix: Buffer, { key, objectBytes }: Opened): SegmentTrailer => {
  const at = Math.max(0, suffix.length - TRAILER_BYTES)
  const bytes = suffix.subarray(at)
  const check = checking(key, Math.max(0, objectBytes - TRAILER_BYTES))
  checkPart(bytes, { part: 'trailer', bytesMin: TRAILER_BYTES - CRC_BYTES }, check)
  const trailer: SegmentTrailer = {
    footerAt: bytes.readUInt32BE(6),
    footerBytes: bytes.readUInt32BE(10),
    footerCrc: bytes.readUInt32BE(14),
    objectBytes: bytes.readUInt32BE(18),
  }
  const { footerAt, footerBytes } = trailer
  const isWhole =
    trailer.objectBytes === objectBytes && footerAt + footerBytes + TRAILER_BYTES === objectBytes
  check(isWhole, `the object has ${objectBytes} bytes, its trailer says ${trailer.objectBytes}`)
  return trailer
}

/** The footer's bytes in an object's last bytes; undefined when it begins before them. */
export const footerIn = (suffix: Buffer, trailer: SegmentTrailer): Buffer | undefined => {
  const at = suffix.length - TRAILER_BYTES - trailer.footerBytes
  return at < 0 ? undefined : suffix.subarray(at, at + trailer.footerBytes)
}

/** Reads the bytes of a footer, and keeps none of them. Throws `CORRUPT`. */
export const readFooter = (bytes: Buffer, trailer: SegmentTrailer, key: string): SegmentFooter => {
  const check = checking(key, trailer.footerAt)
  const fixed = HEAD_BYTES + identityBytes({ topic: '' })
  checkPart(bytes, { part: 'footer', bytesMin: fixed, crc: trailer.footerCrc }, check)
  const count = bytes.readUInt16BE(6)
  const identity = readIdentity(bytes, HEAD_BYTES)
  const sectionsAt = HEAD_BYTES + identityBytes(identity)
  const isWhole = bytes.length === sectionsAt + count * SECTION_BYTES
  check(isWhole, 'the footer is longer or shorter than it says')
  const places = Array.from({ length: count }, (_, index) => sectionsAt + index * SECTION_BYTES)
  const sections = places.map((at) => readSection(bytes, at))
  const checksums = places.map((at) => bytes.readUInt32BE(at + 46))
  const footer = { ...identity, sections, checksums }
  checkSections(footer, trailer, check)
  return footer
}

const readSection = (bytes: Buffer, at: number): TierSection => ({
  queueId: bytes.readUInt16BE(at),
  from: uInt48At(bytes, at + 2),
  to: uInt48At(bytes, at + 8),
  firstMs: uInt48At(bytes, at + 14),
  lastMs: uInt48At(bytes, at + 20),
  indexAt: bytes.readUInt32BE(at + 26),
  indexBytes: bytes.readUInt32BE(at + 30),
  namesAt: bytes.readUInt32BE(at + 34),
  namesBytes: bytes.readUInt32BE(at + 38),
  bytes: bytes.readUInt32BE(at + 42),
})

/** Sections fill what is between header and footer, in any order. */
const checkSections = (footer: SegmentFooter, trailer: SegmentTrailer, check: Check): void => {
  let at = headerBytes(footer)
  for (const section of [...footer.sections].sort((a, b) => a.indexAt - b.indexAt)) {
    const isInPlace = sectionAt(section) === at && section.to > section.from
    check(isInPlace, `the section of queue ${section.queueId} is not where it should be`)
    const isInOrder =
      section.namesAt > at && section.namesAt + section.namesBytes === section.indexAt
    check(isInOrder, `the parts of queue ${section.queueId} are not where they should be`)
    at += section.bytes
  }
  check(at === trailer.footerAt, 'there are bytes that belong to no section')
  const isAscending = footer.sections.every(
    ({ queueId }, index, all) => index === 0 || (all[index - 1] as TierSection).queueId < queueId,
  )
  check(isAscending, 'the sections are not in the order of their queues')
}

const sectionFields = [
  'queueId',
  'from',
  'to',
  'firstMs',
  'lastMs',
  'indexAt',
  'indexBytes',
  'namesAt',
  'namesBytes',
  'bytes',
] as const satisfies readonly (keyof TierSection)[]

/**
 * Whether two objects hold the same messages in the same places, whoever wrote them: how the upload
 * of an earlier life is recognised. The token is of the attempt, so it does not count.
 */
export const sameContent = (one: SegmentFooter, other: SegmentFooter): boolean =>
  one.namespace === other.namespace &&
  one.topicId === other.topicId &&
  one.topic === other.topic &&
  one.sections.length === other.sections.length &&
  one.sections.every((section, index) => {
    const counterpart = other.sections[index] as TierSection
    return (
      one.checksums[index] === other.checksums[index] &&
      sectionFields.every((field) => section[field] === counterpart[field])
    )
  })
