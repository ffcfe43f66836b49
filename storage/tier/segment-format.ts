import { crc32 } from 'node:zlib'
import { BrokerError } from '../../model/errors.ts'

/**
 * What the parts of a segment object have in common (docs/formats/segment.md). All numbers are
 * big endian; positions and sizes within an object are u32, offsets and times u48.
 */
const SEGMENT_FORMAT = 1

/** The first four bytes of each part, of frames those of their trailer: `GP`, a letter, `1`. */
const segmentMagic = {
  header: 0x47505331,
  frame: 0x47504631,
  names: 0x47504e31,
  index: 0x47505831,
  footer: 0x47505431,
  trailer: 0x47505a31,
} as const

export const OBJECT_BYTES_MAX = 0xffff_ffff
export const CRC_BYTES = 4

/** Whose an object is. The token names the attempt that wrote it. */
export interface SegmentIdentity {
  /** 32 hex digits. */
  readonly token: string
  /** 16 hex digits. */
  readonly namespace: string
  readonly topicId: number
  readonly topic: string
}

const TOKEN_BYTES = 16
const NAMESPACE_BYTES = 8
/** Token 16, namespace 8, topic id 4, bytes of the name 2. */
const IDENTITY_FIXED_BYTES = TOKEN_BYTES + NAMESPACE_BYTES + 6
const HEAD_BYTES = 6
/** Names have 127 characters of ASCII at most. */
const TOPIC_BYTES_MAX = 127

export const identityBytes = ({ topic }: Pick<SegmentIdentity, 'topic'>): number =>
  IDENTITY_FIXED_BYTES + Buffer.byteLength(topic)

export const IDENTITY_BYTES_MAX = IDENTITY_FIXED_BYTES + TOPIC_BYTES_MAX

/** Magic and format. Returns where the rest goes. */
export const putHead = (bytes: Buffer, at: number, part: keyof typeof segmentMagic): number => {
  bytes.writeUInt32BE(segmentMagic[part], at)
  return bytes.writeUInt16BE(SEGMENT_FORMAT, at + 4)
}

/** An identity that cannot be written as it is, is a mistake of the caller. */
export const checkIdentity = ({ token, namespace, topicId, topic }: SegmentIdentity): void => {
  const isWritable =
    /^[0-9a-f]{32}$/.test(token) &&
    /^[0-9a-f]{16}$/.test(namespace) &&
    topicId <= 0xffff_ffff &&
    Buffer.byteLength(topic) <= TOPIC_BYTES_MAX
  if (!isWritable) throw new RangeError(`no identity: ${token} ${namespace} ${topicId} ${topic}`)
}

export const putIdentity = (bytes: Buffer, at: number, identity: SegmentIdentity): number => {
  const { token, namespace, topicId, topic } = identity
  bytes.write(token, at, 'hex')
  bytes.write(namespace, at + TOKEN_BYTES, 'hex')
  const position = bytes.writeUInt32BE(topicId, at + TOKEN_BYTES + NAMESPACE_BYTES)
  const end = position + 2 + bytes.write(topic, position + 2, 'utf8')
  bytes.writeUInt16BE(end - position - 2, position)
  return end
}

/** Reads from where an identity begins; it is `identityBytes` long. */
export const readIdentity = (bytes: Buffer, at: number): SegmentIdentity => {
  const namespaceAt = at + TOKEN_BYTES
  const topicIdAt = namespaceAt + NAMESPACE_BYTES
  const topicAt = at + IDENTITY_FIXED_BYTES
  return {
    token: bytes.toString('hex', at, namespaceAt),
    namespace: bytes.toString('hex', namespaceAt, topicIdAt),
    topicId: bytes.readUInt32BE(topicIdAt),
    topic: bytes.toString('utf8', topicAt, topicAt + bytes.readUInt16BE(topicAt - 2)),
  }
}

/** Throws `CORRUPT` with the reason unless it is so. */
export type Check = (isSo: boolean, reason: string) => void

/** `position` is where the checked part begins in the object. */
export const checking =
  (key: string, position: number): Check =>
  (isSo, reason) => {
    if (!isSo) throw new BrokerError('CORRUPT', { store: key, position, reason })
  }

interface Part {
  readonly part: keyof typeof segmentMagic
  /** Where its magic is; 0 but for frames. */
  readonly headAt?: number
  /** Of all but its checksum, which is last. */
  readonly bytesMin: number
  /** The checksum, of parts that do not end with it. */
  readonly crc?: number
}

/** Checks that these bytes are such a part, of a known format, as it was written. */
export const checkPart = (
  bytes: Buffer,
  { part, headAt = 0, bytesMin, crc }: Part,
  check: Check,
): void => {
  check(bytes.length >= bytesMin + CRC_BYTES && headAt >= 0, `the ${part} is cut short`)
  check(bytes.readUInt32BE(headAt) === segmentMagic[part], `this is no ${part} of a segment`)
  const format = bytes.readUInt16BE(headAt + 4)
  check(format === SEGMENT_FORMAT, `format ${format} of the ${part} is unknown`)
  const isWhole = crc === undefined ? isSealed(bytes) : crc32(bytes) === crc
  check(isWhole, `the checksum of the ${part} does not match`)
}

const isSealed = (bytes: Buffer): boolean => {
  const end = bytes.length - CRC_BYTES
  return crc32(bytes.subarray(0, end)) === bytes.readUInt32BE(end)
}

/** Ends the part that began at `from` with its checksum. Returns where the next begins. */
export const seal = (bytes: Buffer, from: number, to: number): number =>
  bytes.writeUInt32BE(crc32(bytes.subarray(from, to)), to)

export const headerBytes = (identity: Pick<SegmentIdentity, 'topic'>): number =>
  HEAD_BYTES + identityBytes(identity) + CRC_BYTES

export const HEADER_BYTES_MAX = HEAD_BYTES + IDENTITY_BYTES_MAX + CRC_BYTES

/** An object's first part: says what the bytes are to whoever finds them. */
export const putHeader = (bytes: Buffer, identity: SegmentIdentity): number =>
  seal(bytes, 0, putIdentity(bytes, putHead(bytes, 0, 'header'), identity))

/** Reads the first bytes of an object, which may go on behind the header. */
export const readHeader = (bytes: Buffer, key: string): SegmentIdentity => {
  const check = checking(key, 0)
  const fixed = HEAD_BYTES + IDENTITY_FIXED_BYTES
  check(bytes.length >= fixed + CRC_BYTES, 'the header is cut short')
  const end = fixed + bytes.readUInt16BE(fixed - 2) + CRC_BYTES
  checkPart(bytes.subarray(0, end), { part: 'header', bytesMin: end - CRC_BYTES }, check)
  return readIdentity(bytes, HEAD_BYTES)
}

export const putUInt48 = (bytes: Buffer, at: number, value: number): number =>
  bytes.writeUIntBE(value, at, 6)

export const uInt48At = (bytes: Buffer, at: number): number => bytes.readUIntBE(at, 6)
