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

/** Validates a draft and encodes it for storage. Throws the coded refusals of `rules.ts`. */
export const encodeDraft = (draft: MessageDraft, context: DraftContext): EncodedMessage => {
  const body = typeof draft.body === 'string' ? Buffer.from(draft.body, 'utf8') : draft.body
  const { tag = '', keys = [], properties = {}, messageGroup = '' } = draft
  const messageId = draft.messageId ?? context.messageId
  checkBody(body.length)
  checkMessageId(messageId)
  checkTag(tag)
  keys.forEach(checkKey)
  checkMessageGroup(messageGroup)
  const entries = Object.entries(properties)
  let bytes = textSize(tag) + keys.reduce((sum, key) => sum + textSize(key), 0)
  for (const [key, value] of entries) {
    checkPropertyEntry(key, value)
    bytes += textSize(key) + textSize(value)
  }
  checkPropertySizes(entries.length, bytes)
  const type: MessageType = messageGroup === '' ? 'NORMAL' : 'FIFO'
  return {
    type,
    messageId,
    tag,
    messageGroup,
    keys,
    system: encodeSystem({
      messageId,
      tag,
      keys,
      messageGroup,
      bornAtMs: context.bornAtMs,
      bornHost: context.bornHost,
      traceContext: '',
    }),
    properties: encodeProperties(properties),
    body,
  }
}
