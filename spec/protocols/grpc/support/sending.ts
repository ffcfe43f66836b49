import { type BrokerErrorCode, isBrokerError } from '../../../../model/errors.ts'
import type { EncodedMessage } from '../../../../model/message/message.ts'
import { decoded } from '../../../../protocols/grpc/wire/primitives.ts'
import { decodeSendMessage } from '../../../../protocols/grpc/wire/send-message.ts'
import { officialMessage, type SentMessage } from './arbitraries.ts'
import { bytesOf, service } from './official.ts'

/** Sent messages through our decoder: official ones, and ones no official class would write. */

export const NOW_MS = Date.UTC(2026, 0, 1)
export const DAY_MS = 24 * 3_600_000
export const bounds = { nowMs: NOW_MS, aheadMsMax: DAY_MS }

type Official = ReturnType<typeof officialMessage>

export const decodeAll = (...messages: Official[]) =>
  decoded(
    (bytes) => decodeSendMessage(bytes, bounds),
    bytesOf(new service.SendMessageRequest().setMessagesList(messages)),
  )

export const decodeOne = (message: Official): EncodedMessage => {
  const [first] = decodeAll(message).messages
  if (first === undefined) throw new Error('nothing was decoded')
  return first
}

export const plain: SentMessage = {
  body: Buffer.from('body'),
  messageId: '01',
  bornAtMs: 0,
  bornHost: '',
  keys: [],
  properties: [],
  tag: undefined,
  messageGroup: undefined,
  traceContext: undefined,
}

/** The code with which decoding refuses, or `accepted`. */
export const codeOf = (decode: () => unknown): BrokerErrorCode | 'accepted' => {
  try {
    decode()
    return 'accepted'
  } catch (error) {
    if (isBrokerError(error)) return error.code
    throw error
  }
}

export const refusalOf = (change: Partial<SentMessage>) => {
  return codeOf(() => decodeOne(officialMessage({ ...plain, ...change })))
}

/** A length-delimited field, for what the official classes cannot write. */
export const field = (number: number, value: Uint8Array): Buffer =>
  Buffer.concat([lengthPrefixed((number << 3) | 2), lengthPrefixed(value.length), value])

export const lengthPrefixed = (value: number): Buffer => {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  return Buffer.from([...bytes, rest])
}

export const requestOf = (message: Uint8Array): Buffer => field(1, message)

/** A request of one message in its raw bytes. */
export const decodeRaw = (...pieces: Uint8Array[]): EncodedMessage => {
  const request = requestOf(Buffer.concat(pieces))
  const [first] = decoded((bytes) => decodeSendMessage(bytes, bounds), request).messages
  if (first === undefined) throw new Error('nothing was decoded')
  return first
}

/** What becomes of a legal message with more system properties, as another library might write. */
export const withSystem = (system: Uint8Array): string =>
  codeOf(() => decodeRaw(bytesOf(officialMessage(plain)), field(3, system)))

export const timestamp = (ms: number): Buffer =>
  Buffer.concat([
    Buffer.from([8]),
    lengthPrefixed(Math.floor(ms / 1000)),
    Buffer.from([16]),
    lengthPrefixed((ms % 1000) * 1_000_000),
  ])
