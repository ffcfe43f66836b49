import { textSize } from '../wire/text.ts'
import { BrokerError } from '../errors.ts'
import { delayOfLevel } from '../timer/delay-levels.ts'
import type { EncodedMessage, MessageType } from './message.ts'
import { encodeProperties } from './properties-block.ts'
import {
  checkBody,
  checkKey,
  checkMessageGroup,
  checkMessageId,
  checkPropertyEntry,
  checkPropertySizes,
  checkTag,
} from './rules.ts'
import { encodeSystem } from './system-block.ts'

/** A message as a program writes it. */
export interface MessageDraft {
  /** Text is stored as UTF-8. */
  readonly body: Uint8Array | string
  readonly tag?: string
  readonly keys?: readonly string[]
  readonly properties?: Readonly<Record<string, string>>
  /** Messages of one group are delivered in order, one after the other. Makes the message FIFO. */
  readonly messageGroup?: string
  /** Delivered not before this, wall clock in ms. A time that has passed means at once. */
  readonly deliverAtMs?: number
  /** Delivered so many ms from now. */
  readonly delayMs?: number
  /** One of RocketMQ's delay levels: 1 for 1 s up to 18 for 2 h; 0 is no delay. */
  readonly delayLevel?: number
  /** Assigned when missing. Never used to remove duplicates. */
  readonly messageId?: string
}

export interface DraftContext {
  readonly messageId: string
  readonly bornAtMs: number
  readonly bornHost: string
  /** Makes it a half message, which waits for its transaction. */
  readonly transaction?: {
    /** When its producer is first asked about it, in ms; at most 1 h. */
    readonly checkAfterMs?: number
  }
}

const NO_KEYS: readonly string[] = []
/** The end of the year 9999, where protobuf's Timestamp ends. */
const TIMESTAMP_MS_MAX = 253_402_300_799_000
const CHECK_AFTER_MS_MAX = 3_600_000
const NO_BYTES = Buffer.alloc(0)

/** Validates a draft and encodes it for storage. Throws the coded refusals of `rules.ts`. */
export const encodeDraft = (draft: MessageDraft, context: DraftContext): EncodedMessage => {
  const body = typeof draft.body === 'string' ? Buffer.from(draft.body, 'utf8') : draft.body
  const { tag = '', keys = NO_KEYS, messageGroup = '' } = draft
  const messageId = draft.messageId ?? context.messageId
  checkBody(body.length)
  checkMessageId(messageId)
  checkTag(tag)
  checkMessageGroup(messageGroup)
  let named = tag === '' ? 0 : textSize(tag)
  for (const key of keys) {
    checkKey(key)
    named += textSize(key)
  }
  const { bornAtMs, bornHost } = context
  const traceContext = ''
  const deliverAtMs = isDelayed(draft) ? deliverAtMsOf(draft, bornAtMs) : undefined
  const fields = { messageId, tag, keys, messageGroup, bornAtMs, bornHost, traceContext }
  const system = encodeSystem(deliverAtMs === undefined ? fields : { ...fields, deliverAtMs })
  const properties = checkedProperties(draft.properties, named)
  const type: MessageType = messageGroup === '' ? 'NORMAL' : 'FIFO'
  const encoded = { type, messageId, tag, messageGroup, keys, system, properties, body }
  return context.transaction === undefined && deliverAtMs === undefined
    ? encoded
    : deferred(encoded, context, deliverAtMs)
}

const isDelayed = ({ deliverAtMs, delayMs, delayLevel }: MessageDraft): boolean =>
  deliverAtMs !== undefined || delayMs !== undefined || delayLevel !== undefined

/** A message that waits for its time, for its transaction, or for both. */
const deferred = (
  encoded: EncodedMessage,
  { transaction, bornAtMs }: DraftContext,
  deliverAtMs: number | undefined,
): EncodedMessage => ({
  ...encoded,
  type: transaction === undefined ? 'DELAY' : 'TRANSACTION',
  ...(deliverAtMs !== undefined && deliverAtMs > bornAtMs ? { deliverAtMs } : {}),
  ...(transaction?.checkAfterMs === undefined
    ? {}
    : { checkAfterMs: checkedCheckAfterMs(transaction.checkAfterMs) }),
})

/** The delivery time that a draft asks for, wall clock; undefined when it asks for none. */
const deliverAtMsOf = (
  { deliverAtMs, delayMs, delayLevel = 0 }: MessageDraft,
  nowMs: number,
): number | undefined => {
  const refuse = (reason: string) => new BrokerError('DELIVERY_TIME_ILLEGAL', { reason })
  if (!Number.isInteger(delayLevel) || delayLevel < 0)
    throw refuse(`${delayLevel} is not a delay level`)
  const asked = [
    ...(deliverAtMs === undefined ? [] : [deliverAtMs]),
    ...(delayMs === undefined ? [] : [nowMs + delayMs]),
    ...(delayLevel === 0 ? [] : [nowMs + delayOfLevel(delayLevel)]),
  ]
  const [atMs] = asked
  if (atMs === undefined) return undefined
  if (asked.length > 1) throw refuse('give one of deliverAtMs, delayMs and delayLevel')
  if (!(atMs >= 0) || atMs > TIMESTAMP_MS_MAX) throw refuse(`${atMs} is no time`)
  return Math.ceil(atMs)
}

const checkedCheckAfterMs = (checkAfterMs: number): number => {
  if (!(checkAfterMs > 0) || checkAfterMs > CHECK_AFTER_MS_MAX)
    throw new BrokerError('TRANSACTION_RECOVERY_TOO_LONG', {
      size: checkAfterMs / 1_000,
      max: CHECK_AFTER_MS_MAX / 1_000,
    })
  return checkAfterMs
}

/** `named`: bytes of tag and keys, which count towards the same limit. */
const checkedProperties = (properties: MessageDraft['properties'], named: number): Buffer => {
  if (properties === undefined) {
    checkPropertySizes(0, named)
    return NO_BYTES
  }
  const entries = Object.entries(properties)
  let bytes = named
  for (const [key, value] of entries) {
    checkPropertyEntry(key, value)
    bytes += textSize(key) + textSize(value)
  }
  checkPropertySizes(entries.length, bytes)
  return encodeProperties(properties)
}
