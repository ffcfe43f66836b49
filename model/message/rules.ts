import { BrokerError } from '../errors.ts'
import { textSize } from '../wire/text.ts'

/** Limits of the reference proxy (`reference/grpc` section 7). */
export const messageLimits = {
  bodyBytesMax: 4_194_304,
  propertiesMax: 128,
  propertyBytesMax: 16_384,
  messageGroupBytesEnd: 64,
} as const

/** Property names that RocketMQ uses itself; a user property may not take them. */
const reservedKeys: ReadonlySet<string> = new Set(
  (
    'KEYS TAGS WAIT DELAY RETRY_TOPIC REAL_TOPIC REAL_QID TRAN_MSG PGROUP MIN_OFFSET MAX_OFFSET ' +
    'BUYER_ID ORIGIN_MESSAGE_ID TRANSFER_FLAG CORRECTION_FLAG MQ2_FLAG RECONSUME_TIME MSG_REGION ' +
    'TRACE_ON UNIQ_KEY EXTEND_UNIQ_INFO MAX_RECONSUME_TIMES CONSUME_START_TIME DUP_INFO ' +
    'TRAN_PREPARED_QUEUE_OFFSET INSTANCE_ID CORRELATION_ID REPLY_TO_CLIENT TTL ARRIVE_TIME ' +
    'PUSH_REPLY_TIME CLUSTER MSG_TYPE POP_CK POP_CK_OFFSET 1ST_POP_TIME INNER_MULTI_QUEUE_OFFSET ' +
    'TIMER_DELAY_MS TIMER_DELAY_SEC TIMER_DELIVER_MS TIMER_ENQUEUE_MS TIMER_DEQUEUE_MS ' +
    'TIMER_ROLL_TIMES TIMER_OUT_MS TIMER_DEL_UNIQKEY TIMER_DELAY_LEVEL __BORNHOST BORN_TIMESTAMP ' +
    'DLQ_ORIGIN_TOPIC DLQ_ORIGIN_MESSAGE_ID __CRC32#'
  ).split(' '),
)

/** ISO control characters: U+0000–1F and U+007F–9F. */
const hasControlCharacter = (text: string): boolean => {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return true
  }
  return false
}

export const checkBody = (size: number): void => {
  if (size === 0) throw new BrokerError('MESSAGE_BODY_EMPTY', {})
  if (size > messageLimits.bodyBytesMax)
    throw new BrokerError('MESSAGE_BODY_TOO_LARGE', { size, max: messageLimits.bodyBytesMax })
}

export const checkMessageId = (messageId: string): void => {
  if (messageId.trim() === '') throw new BrokerError('MESSAGE_ID_ILLEGAL', {})
}

export const checkTag = (tag: string): void => {
  if (tag === '') return
  if (tag.trim() === '') throw new BrokerError('MESSAGE_TAG_ILLEGAL', { reason: 'it is blank' })
  if (tag.includes('|')) throw new BrokerError('MESSAGE_TAG_ILLEGAL', { reason: "it contains '|'" })
  if (hasControlCharacter(tag))
    throw new BrokerError('MESSAGE_TAG_ILLEGAL', { reason: 'it has a control character' })
}

export const checkKey = (key: string): void => {
  if (key === '') return
  if (key.trim() === '') throw new BrokerError('MESSAGE_KEY_ILLEGAL', { reason: 'it is blank' })
  if (hasControlCharacter(key))
    throw new BrokerError('MESSAGE_KEY_ILLEGAL', { reason: 'it has a control character' })
}

export const checkMessageGroup = (group: string): void => {
  if (group === '') return
  const refuse = (reason: string) => new BrokerError('MESSAGE_GROUP_ILLEGAL', { reason })
  if (group.trim() === '') throw refuse('it is blank')
  if (textSize(group) >= messageLimits.messageGroupBytesEnd)
    throw refuse(`it has ${messageLimits.messageGroupBytesEnd} bytes or more`)
  if (hasControlCharacter(group)) throw refuse('it has a control character')
}

export const checkPropertyEntry = (key: string, value: string): void => {
  const refuse = (reason: string) =>
    new BrokerError('MESSAGE_PROPERTY_KEY_ILLEGAL', { name: key, reason })
  if (reservedKeys.has(key)) throw refuse('the name is reserved')
  if (hasControlCharacter(key)) throw refuse('the key has a control character')
  if (hasControlCharacter(value)) throw refuse('the value has a control character')
}

/** `bytes`: UTF-8 bytes of all user keys and values, the tag and all keys together. */
export const checkPropertySizes = (entries: number, bytes: number): void => {
  if (entries > messageLimits.propertiesMax)
    throw new BrokerError('MESSAGE_PROPERTIES_TOO_LARGE', {
      what: 'user properties',
      size: entries,
      max: messageLimits.propertiesMax,
    })
  if (bytes > messageLimits.propertyBytesMax)
    throw new BrokerError('MESSAGE_PROPERTIES_TOO_LARGE', {
      what: 'bytes of properties, tag and keys',
      size: bytes,
      max: messageLimits.propertyBytesMax,
    })
}
