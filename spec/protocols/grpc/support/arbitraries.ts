import fc from 'fast-check'
import { definition } from './official.ts'

/** Messages as the official clients write them. */

const isLegal = (text: string): boolean => text.trim() !== '' && !/[\p{Cc}\p{Cs}|]/u.test(text)

/** Text that breaks no rule, from one byte to four per character. */
export const aText = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter((text) => isLegal(text) && Buffer.byteLength(text) < 64)

/** Not RocketMQ's own names, and not `__proto__`, which the official classes lose. */
const aKey = aText.filter((text) => !/^([A-Z_0-9]+#?|__proto__)$/.test(text))

export interface SentMessage {
  readonly body: Uint8Array
  readonly messageId: string
  readonly bornAtMs: number
  readonly bornHost: string
  readonly keys: string[]
  readonly properties: [string, string][]
  readonly tag: string | undefined
  readonly messageGroup: string | undefined
  readonly traceContext: string | undefined
}

export const aSentMessage: fc.Arbitrary<SentMessage> = fc.record({
  body: fc.uint8Array({ minLength: 1, maxLength: 300 }),
  messageId: aText,
  bornAtMs: fc.integer({ min: 0, max: 2 ** 41 }),
  bornHost: fc.oneof(fc.constant(''), aText),
  keys: fc.array(aText, { maxLength: 3 }),
  properties: fc.uniqueArray(fc.tuple(aKey, fc.oneof(fc.constant(''), aText)), {
    maxLength: 4,
    selector: ([key]) => key,
  }),
  tag: fc.option(aText, { nil: undefined }),
  messageGroup: fc.option(aText, { nil: undefined }),
  traceContext: fc.option(aText, { nil: undefined }),
})

const timestampOf = (ms: number) => {
  const seconds = Math.floor(ms / 1000)
  // The class is not exported by its package's types; the message's own decoder makes one.
  const system = definition.SystemProperties.deserializeBinary(new Uint8Array([58, 0]))
  const timestamp = system.getBornTimestamp()
  timestamp?.setSeconds(seconds)
  timestamp?.setNanos((ms - seconds * 1000) * 1_000_000)
  return timestamp
}

export const officialMessage = (sent: SentMessage, topic = 'orders') => {
  const system = new definition.SystemProperties()
    .setMessageId(sent.messageId)
    .setKeysList(sent.keys)
    .setBornTimestamp(timestampOf(sent.bornAtMs))
    .setBornHost(sent.bornHost)
    .setBodyEncoding(definition.Encoding.IDENTITY)
    .setQueueId(7)
    .setMessageType(definition.MessageType.NORMAL)
  if (sent.tag !== undefined) system.setTag(sent.tag)
  if (sent.messageGroup !== undefined) system.setMessageGroup(sent.messageGroup)
  if (sent.traceContext !== undefined) system.setTraceContext(sent.traceContext)
  const message = new definition.Message()
    .setTopic(new definition.Resource().setName(topic))
    .setBody(sent.body)
    .setSystemProperties(system)
  for (const [key, value] of sent.properties) message.getUserPropertiesMap().set(key, value)
  return message
}
