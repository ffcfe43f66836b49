import { checkTopicName } from '../../../model/addressing/names.ts'
import { BrokerError } from '../../../model/errors.ts'
import type { EncodedMessage, MessageType } from '../../../model/message/message.ts'
import {
  checkBody,
  checkKey,
  checkMessageGroup,
  checkMessageId,
  checkPropertySizes,
  checkTag,
} from '../../../model/message/rules.ts'
import { systemField } from '../../../model/message/system-block.ts'
import { messageTypeNumbers } from './common.ts'
import { readInt64 } from './primitives.ts'
import { BODY_ENCODING, SystemSpans } from './system-spans.ts'
import { UserProperties } from './user-properties.ts'
import type { Walk } from './walk.ts'

// message Message { Resource topic = 1; map<string, string> user_properties = 2;
//   SystemProperties system_properties = 3; bytes body = 4; }
const TOPIC = (1 << 3) | 2
const USER_PROPERTIES = (2 << 3) | 2
const SYSTEM_PROPERTIES = (3 << 3) | 2
const BODY = (4 << 3) | 2

// message Resource { string resource_namespace = 1; string name = 2; }
const RESOURCE_NAME = (2 << 3) | 2

// message SystemProperties, what a producer says of it: optional string tag = 1;
//   repeated string keys = 2; string message_id = 3; Encoding body_encoding = 5;
//   MessageType message_type = 6; Timestamp born_timestamp = 7; string born_host = 8;
//   optional Timestamp delivery_timestamp = 11; optional string message_group = 17;
//   optional string trace_context = 18;
//   optional Duration orphaned_transaction_recovery_duration = 19; optional string lite_topic = 21;
//   optional int32 priority = 22. Its queue_id is ignored (RocketMQ gRPC 4.4).
const MESSAGE_TYPE = 6
const RECOVERY_DURATION = 19
const LITE_TOPIC = 21
const PRIORITY = 22

const RECOVERY_SECONDS_MAX = 3_600
const HOUR_MS = 3_600_000
/** The last second of the year 9999, where protobuf's Timestamp ends. */
const TIMESTAMP_SECONDS_MAX = 253_402_300_799

type Schedule = Pick<EncodedMessage, 'deliverAtMs'>
type Check = Pick<EncodedMessage, 'checkAfterMs'>
const AT_ONCE: Schedule = {}
const NO_CHECK: Check = {}

/** One message on its way through the walk. */
interface Draft {
  topic: string
  tag: string
  readonly keys: string[]
  messageId: string
  messageGroup: string
  /** UTF-8 bytes of tag and keys, which count against the limit of the properties. */
  textBytes: number
  messageType: number
  deliverAtMs: number | undefined
  recoverySeconds: number
  lite: boolean
  priority: boolean
  bodyStart: number
  bodyEnd: number
  readonly spans: SystemSpans
  readonly properties: UserProperties
}

const emptyDraft = (): Draft => ({
  topic: '',
  tag: '',
  keys: [],
  messageId: '',
  messageGroup: '',
  textBytes: 0,
  messageType: 0,
  deliverAtMs: undefined,
  recoverySeconds: 0,
  lite: false,
  priority: false,
  bodyStart: 0,
  bodyEnd: 0,
  spans: new SystemSpans(),
  properties: new UserProperties(),
})

const readTopic = (walk: Walk): string => {
  let name = ''
  while (walk.at < walk.end) {
    const tag = walk.tag()
    if (tag === RESOURCE_NAME) name = walk.text(walk.valueEnd())
    else walk.skip(tag & 7)
  }
  return name
}

/**
 * Milliseconds of a Timestamp, rounded up, so that nothing becomes due early. Checks the range
 * that parsers check.
 */
const readTimestamp = (walk: Walk): number => {
  let seconds = 0
  let nanos = 0
  while (walk.at < walk.end) {
    const tag = walk.tag()
    if (tag === 8) seconds = readInt64(walk)
    else if (tag === 16) nanos = readInt64(walk)
    else throw new RangeError('a timestamp has an unknown field')
  }
  if (Math.abs(seconds) > TIMESTAMP_SECONDS_MAX || nanos < 0 || nanos > 999_999_999)
    throw new RangeError('a timestamp is out of range')
  return seconds * 1000 + Math.ceil(nanos / 1_000_000)
}

const readSeconds = (walk: Walk): number => {
  let seconds = 0
  while (walk.at < walk.end) {
    const tag = walk.tag()
    if (tag === 8) seconds = readInt64(walk)
    else if (tag === 16) seconds += readInt64(walk) > 0 ? 1 : 0
    else walk.skip(tag & 7)
  }
  return seconds
}

const readNumber = (draft: Draft, field: number, walk: Walk): void => {
  const value = readInt64(walk)
  if (field === MESSAGE_TYPE) draft.messageType = value
  else if (field === BODY_ENCODING) draft.spans.encoding(value)
  else if (field === PRIORITY) draft.priority = true
}

const readKey = (draft: Draft, walk: Walk): void => {
  const { at: start, end } = walk
  // RocketMQ keeps keys as one text joined by spaces, so an empty key has never existed.
  if (start === end) return
  draft.textBytes += end - start
  checkPropertySizes(0, draft.textBytes)
  const key = walk.text(end)
  checkKey(key)
  draft.keys.push(key)
  draft.spans.add(systemField.key, start, end)
}

/** One length-delimited field of the system properties, which the walk has entered. */
const readValue = (draft: Draft, field: number, walk: Walk): void => {
  const { at: start, end } = walk
  switch (field) {
    case systemField.tag:
      draft.tag = walk.text(end)
      break
    case systemField.key:
      readKey(draft, walk)
      return
    case systemField.messageId:
      draft.messageId = walk.text(end)
      break
    case systemField.bornAt:
      readTimestamp(walk)
      break
    case systemField.messageGroup:
      draft.messageGroup = walk.text(end)
      break
    case systemField.bornHost:
    case systemField.traceContext:
      walk.skipText(end)
      break
    case systemField.deliverAt:
      draft.deliverAtMs = readTimestamp(walk)
      break
    case RECOVERY_DURATION:
      draft.recoverySeconds = readSeconds(walk)
      return
    case LITE_TOPIC:
      draft.lite = true
      return
    default:
      return
  }
  draft.spans.add(field, start, end)
}

const readSystem = (draft: Draft, walk: Walk): void => {
  while (walk.at < walk.end) {
    const tag = walk.tag()
    if ((tag & 7) === 2) {
      const outer = walk.enter()
      readValue(draft, tag >>> 3, walk)
      walk.at = walk.end
      walk.leave(outer)
    } else if ((tag & 7) === 0) readNumber(draft, tag >>> 3, walk)
    else walk.skip(tag & 7)
  }
}

const notBuilt = (what: string) => new BrokerError('NOT_BUILT', { what })

/** The type is derived, not believed (RocketMQ gRPC 4.4); what is not built is refused. */
const typeOf = ({ messageType, lite, priority, deliverAtMs, messageGroup }: Draft): MessageType => {
  if (lite || messageType === messageTypeNumbers.LITE) throw notBuilt('a lite topic')
  if (priority || messageType === messageTypeNumbers.PRIORITY) throw notBuilt('a message priority')
  if (messageType === messageTypeNumbers.TRANSACTION) return 'TRANSACTION'
  if (deliverAtMs !== undefined) return 'DELAY'
  return messageGroup === '' ? 'NORMAL' : 'FIFO'
}

/** The wall clock, and how far ahead of it a delivery time may be, both in ms. */
export interface DeliveryBounds {
  readonly nowMs: number
  readonly aheadMsMax: number
}

/** A time that has passed means: deliver at once. It is a DELAY message all the same. */
const scheduleOf = ({ deliverAtMs }: Draft, bounds: DeliveryBounds): Schedule => {
  if (deliverAtMs === undefined || deliverAtMs <= bounds.nowMs) return AT_ONCE
  const { aheadMsMax } = bounds
  if (deliverAtMs > bounds.nowMs + aheadMsMax)
    throw new BrokerError('DELIVERY_TIME_ILLEGAL', {
      reason: `it is more than ${aheadMsMax / HOUR_MS} hours ahead`,
    })
  return { deliverAtMs }
}

const checkOf = ({ recoverySeconds }: Draft, type: MessageType): Check => {
  if (recoverySeconds > RECOVERY_SECONDS_MAX)
    throw new BrokerError('TRANSACTION_RECOVERY_TOO_LONG', {
      size: recoverySeconds,
      max: RECOVERY_SECONDS_MAX,
    })
  return type === 'TRANSACTION' && recoverySeconds > 0
    ? { checkAfterMs: recoverySeconds * 1_000 }
    : NO_CHECK
}

/** Reads one field of a message whose value the walk has entered. */
const readField = (draft: Draft, tag: number, fieldStart: number, walk: Walk): void => {
  if (tag === USER_PROPERTIES) draft.properties.read(walk, fieldStart)
  else if (tag === SYSTEM_PROPERTIES) readSystem(draft, walk)
  else if (tag === TOPIC) draft.topic = readTopic(walk)
  else if (tag === BODY) {
    draft.bodyStart = walk.at
    draft.bodyEnd = walk.end
  }
}

/** Walks one message, checks it by the rules of RocketMQ gRPC 7, and encodes it for storage. */
export const decodeMessage = (
  walk: Walk,
  bounds: DeliveryBounds,
): { topic: string; message: EncodedMessage } => {
  const draft = emptyDraft()
  while (walk.at < walk.end) {
    const fieldStart = walk.at
    const tag = walk.tag()
    if ((tag & 7) !== 2) {
      walk.skip(tag & 7)
      continue
    }
    const outer = walk.enter()
    readField(draft, tag, fieldStart, walk)
    walk.at = walk.end
    walk.leave(outer)
  }
  const topic = checkTopicName(draft.topic)
  return { topic, message: messageOf(draft, walk.bytes, bounds) }
}

const messageOf = (draft: Draft, bytes: Buffer, bounds: DeliveryBounds): EncodedMessage => {
  const { tag, keys, messageId, messageGroup, properties } = draft
  checkBody(draft.bodyEnd - draft.bodyStart)
  checkTag(tag)
  const tagBytes = tag === '' ? 0 : Buffer.byteLength(tag)
  checkPropertySizes(properties.count, properties.bytes + draft.textBytes + tagBytes)
  checkMessageId(messageId)
  checkMessageGroup(messageGroup)
  const type = typeOf(draft)
  const schedule = scheduleOf(draft, bounds)
  const check = checkOf(draft, type)
  const message = {
    type,
    messageId,
    tag,
    messageGroup,
    keys,
    system: draft.spans.block(bytes),
    properties: properties.block(bytes),
    body: bytes.subarray(draft.bodyStart, draft.bodyEnd),
  }
  // Nearly every message is for now: no second object for those.
  return schedule === AT_ONCE && check === NO_CHECK
    ? message
    : { ...message, ...schedule, ...check }
}
