import { textSize } from '../wire/text.ts'
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
  /** Assigned when missing. Never used to remove duplicates. */
  readonly messageId?: string
}

export interface DraftContext {
  readonly messageId: string
  readonly bornAtMs: number
  readonly bornHost: string
}

const NO_KEYS: readonly string[] = []
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
  const system = encodeSystem({
    messageId,
    tag,
    keys,
    messageGroup,
    bornAtMs,
    bornHost,
    traceContext,
  })
  const properties = checkedProperties(draft.properties, named)
  const type: MessageType = messageGroup === '' ? 'NORMAL' : 'FIFO'
  return { type, messageId, tag, messageGroup, keys, system, properties, body }
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
