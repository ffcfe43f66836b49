import { BrokerError } from '../../../model/errors.ts'
import type { EncodedMessage } from '../../../model/message/message.ts'
import type { Status } from './common.ts'
import { status } from './common.ts'
import {
  integerField,
  listField,
  message,
  messageField,
  textField,
  type ValueOf,
} from './fields.ts'
import { decodeMessage, type DeliveryBounds } from './sent-message.ts'
import { Walk } from './walk.ts'

// message SendMessageRequest { repeated Message messages = 1; }
export interface SendMessageRequest {
  readonly topic: string
  readonly messages: readonly EncodedMessage[]
}

const MESSAGES = (1 << 3) | 2
const MESSAGES_MAX = 1_024

const refuse = (reason: string) => new BrokerError('MESSAGE_CORRUPTED', { reason })

/**
 * Decodes and validates a whole request, or refuses it whole with the code of the first offence:
 * of a batch with one bad message nothing is stored (RocketMQ gRPC 4.4, 7). Bodies and user
 * properties are slices of the request, not copies.
 */
export const decodeSendMessage = (bytes: Buffer, bounds: DeliveryBounds): SendMessageRequest => {
  const messages: EncodedMessage[] = []
  let topic = ''
  const walk = new Walk(bytes)
  while (!walk.done) {
    const tag = walk.tag()
    if (tag !== MESSAGES) {
      walk.skip(tag & 7)
      continue
    }
    if (messages.length >= MESSAGES_MAX) throw refuse(`more than ${MESSAGES_MAX} messages`)
    const outer = walk.enter()
    const sent = decodeMessage(walk, bounds)
    walk.leave(outer)
    if (messages.length === 0) topic = sent.topic
    else if (sent.topic !== topic) throw refuse('its messages go to different topics')
    messages.push(sent.message)
  }
  if (messages.length === 0) throw refuse('it holds no message')
  return { topic, messages }
}

// message SendResultEntry { Status status = 1; string message_id = 2; string transaction_id = 3;
//   int64 offset = 4; string recall_handle = 5; }
const sendResultEntry = message<{
  status: Status | undefined
  messageId: string
  transactionId: string
  offset: number
  recallHandle: string
}>({
  status: messageField(1, status),
  messageId: textField(2),
  transactionId: textField(3),
  offset: integerField(4),
  recallHandle: textField(5),
})
export type SendResultEntry = ValueOf<typeof sendResultEntry>

// message SendMessageResponse { Status status = 1; repeated SendResultEntry entries = 2; }
export const sendMessageResponse = message<{
  status: Status | undefined
  entries: readonly SendResultEntry[]
}>({
  status: messageField(1, status),
  entries: listField(2, sendResultEntry),
})
export type SendMessageResponse = ValueOf<typeof sendMessageResponse>
