import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeSystem } from '../../../model/message/system-block.ts'
import { officialMessage, type SentMessage } from './support/arbitraries.ts'
import { bytesOf, definition } from './support/official.ts'
import {
  codeOf,
  DAY_MS,
  decodeAll,
  decodeOne,
  decodeRaw,
  field,
  lengthPrefixed,
  NOW_MS,
  plain,
  refusalOf,
  timestamp,
  withSystem,
} from './support/sending.ts'

const Rules = suite('the rules of a sent message')

const limits: readonly (readonly [string, () => string, string])[] = [
  ['an empty body', () => refusalOf({ body: new Uint8Array(0) }), 'MESSAGE_BODY_EMPTY'],
  ['4 MiB', () => refusalOf({ body: new Uint8Array(4_194_304) }), 'accepted'],
  [
    'a byte more than 4 MiB',
    () => refusalOf({ body: new Uint8Array(4_194_305) }),
    'MESSAGE_BODY_TOO_LARGE',
  ],
  ['128 properties', () => refusalOf({ properties: someProperties(128) }), 'accepted'],
  [
    '129 properties',
    () => refusalOf({ properties: someProperties(129) }),
    'MESSAGE_PROPERTIES_TOO_LARGE',
  ],
  ['16384 bytes of text', () => refusalOf(textOfBytes(16_384)), 'accepted'],
  ['16385 bytes of text', () => refusalOf(textOfBytes(16_385)), 'MESSAGE_PROPERTIES_TOO_LARGE'],
  [
    'keys of 16385 bytes',
    () => refusalOf({ keys: ['k'.repeat(16_385)] }),
    'MESSAGE_PROPERTIES_TOO_LARGE',
  ],
  [
    'a reserved property',
    () => refusalOf({ properties: [['TAGS', 'a']] }),
    'MESSAGE_PROPERTY_KEY_ILLEGAL',
  ],
  [
    'a control character in a property key',
    () => refusalOf({ properties: [['a\u0001', 'a']] }),
    'MESSAGE_PROPERTY_KEY_ILLEGAL',
  ],
  [
    'a control character in a property value',
    () => refusalOf({ properties: [['a', '\u007f']] }),
    'MESSAGE_PROPERTY_KEY_ILLEGAL',
  ],
  [
    'a control character of two bytes in a property value',
    () => refusalOf({ properties: [['a', 'é\u0085']] }),
    'MESSAGE_PROPERTY_KEY_ILLEGAL',
  ],
  ['a blank tag', () => refusalOf({ tag: ' ' }), 'MESSAGE_TAG_ILLEGAL'],
  ['a tag with |', () => refusalOf({ tag: 'a|b' }), 'MESSAGE_TAG_ILLEGAL'],
  ['a tag with a control character', () => refusalOf({ tag: 'a\n' }), 'MESSAGE_TAG_ILLEGAL'],
  ['an empty tag', () => refusalOf({ tag: '' }), 'accepted'],
  ['a blank key', () => refusalOf({ keys: ['a', ' '] }), 'MESSAGE_KEY_ILLEGAL'],
  ['a key with a control character', () => refusalOf({ keys: ['\t'] }), 'MESSAGE_KEY_ILLEGAL'],
  ['an empty key', () => refusalOf({ keys: [''] }), 'accepted'],
  ['a blank message id', () => refusalOf({ messageId: ' ' }), 'MESSAGE_ID_ILLEGAL'],
  ['no message id', () => refusalOf({ messageId: '' }), 'MESSAGE_ID_ILLEGAL'],
  ['a group of 63 bytes', () => refusalOf({ messageGroup: 'g'.repeat(63) }), 'accepted'],
  [
    'a group of 64 bytes',
    () => refusalOf({ messageGroup: `${'g'.repeat(62)}é` }),
    'MESSAGE_GROUP_ILLEGAL',
  ],
  ['a blank group', () => refusalOf({ messageGroup: '  ' }), 'MESSAGE_GROUP_ILLEGAL'],
]

const someProperties = (count: number): [string, string][] =>
  Array.from({ length: count }, (_, index) => [`p${index}`, ''])

/** Tag, one key and one property, `bytes` together. */
const textOfBytes = (bytes: number): Partial<SentMessage> => ({
  tag: 'é',
  keys: ['key'],
  properties: [['name', 'v'.repeat(bytes - 2 - 3 - 4)]],
})

for (const [what, refusal, expected] of limits)
  Rules(`with ${what} is ${expected === 'accepted' ? expected : `refused: ${expected}`}`, () => {
    assert.is(refusal(), expected)
  })

Rules('of type LITE or PRIORITY is refused as not built', () => {
  const { LITE, PRIORITY } = definition.MessageType
  for (const type of [LITE, PRIORITY]) assert.is(withSystem(Buffer.from([48, type])), 'NOT_BUILT')
  assert.is(withSystem(field(21, Buffer.from('lite'))), 'NOT_BUILT', 'lite_topic')
  assert.is(withSystem(Buffer.from([0xb0, 0x01, 0])), 'NOT_BUILT', 'priority, even 0')
})

const ofSystem = (...fields: Buffer[]) =>
  decodeRaw(bytesOf(officialMessage(plain)), field(3, Buffer.concat(fields)))
const deliveryAt = (ms: number) => field(11, timestamp(ms))
const transaction = Buffer.from([48, definition.MessageType.TRANSACTION])

Rules('for later says when; a time that has passed means at once', () => {
  const scheduleOf = (ms: number) => {
    const { type, deliverAtMs } = ofSystem(deliveryAt(ms))
    return [type, deliverAtMs]
  }
  assert.equal(scheduleOf(NOW_MS + 1), ['DELAY', NOW_MS + 1])
  assert.equal(scheduleOf(NOW_MS + DAY_MS), ['DELAY', NOW_MS + DAY_MS])
  assert.equal(scheduleOf(NOW_MS), ['DELAY', undefined])
  assert.equal(scheduleOf(NOW_MS - DAY_MS), ['DELAY', undefined])
  assert.is(withSystem(deliveryAt(NOW_MS + DAY_MS + 1)), 'DELIVERY_TIME_ILLEGAL')
})

Rules('for a nanosecond later is not early by any part of a millisecond', () => {
  const nanosecondLater = Buffer.concat([timestamp(NOW_MS), Buffer.from([16, 1])])
  assert.is(ofSystem(field(11, nanosecondLater)).deliverAtMs, NOW_MS + 1)
})

Rules('for later keeps its message group, and its time for whoever reads it', () => {
  const group = field(17, Buffer.from('g'))
  const { type, messageGroup, system } = ofSystem(group, deliveryAt(NOW_MS + 5))
  assert.equal([type, messageGroup], ['DELAY', 'g'])
  assert.is(decodeSystem(system).deliverAtMs, NOW_MS + 5)
})

Rules('of a transaction is a half message, with a delivery time or without', () => {
  assert.equal(ofSystem(transaction).type, 'TRANSACTION')
  assert.equal(ofSystem(transaction, field(17, Buffer.from('g'))).type, 'TRANSACTION')
  const both = ofSystem(transaction, deliveryAt(NOW_MS + 1))
  assert.equal([both.type, both.deliverAtMs], ['TRANSACTION', NOW_MS + 1])
})

Rules('says when its transaction is first checked: within an hour, and only of one', () => {
  const recovery = (count: number) =>
    field(19, Buffer.concat([Buffer.from([8]), lengthPrefixed(count)]))
  assert.is(ofSystem(transaction, recovery(3_600)).checkAfterMs, 3_600_000)
  assert.is(ofSystem(transaction).checkAfterMs, undefined)
  assert.is(ofSystem(recovery(10)).checkAfterMs, undefined)
  assert.is(withSystem(recovery(3_601)), 'TRANSACTION_RECOVERY_TOO_LONG')
})

Rules('that is not UTF-8 is refused: it would make whole batches unreadable', () => {
  const bad = Buffer.from([0x61, 0xc3, 0x28])
  for (const number of [1, 2, 3, 8, 17, 18])
    assert.is(withSystem(field(number, bad)), 'MESSAGE_CORRUPTED', `system property ${number}`)
  const property = (entry: Buffer) =>
    codeOf(() => decodeRaw(bytesOf(officialMessage(plain)), field(2, entry)))
  assert.is(property(Buffer.concat([field(1, bad), field(2, bad)])), 'MESSAGE_CORRUPTED')
  assert.is(
    property(Buffer.concat([field(1, Buffer.from('k')), field(2, bad)])),
    'MESSAGE_CORRUPTED',
  )
})

Rules('whose parts reach beyond what holds them is refused', () => {
  const base = bytesOf(officialMessage(plain))
  const body = field(4, Buffer.from('x'))
  // A tag of three bytes in system properties of two, which would swallow the body behind them.
  const system = Buffer.from([(3 << 3) | 2, 2, 0x0a, body.length])
  assert.is(
    codeOf(() => decodeRaw(base, system, body)),
    'MESSAGE_CORRUPTED',
  )
})

Rules('has no empty keys', () => {
  assert.equal(decodeOne(officialMessage({ ...plain, keys: ['', 'a', ''] })).keys, ['a'])
})

Rules('goes to a topic with a legal name', () => {
  for (const name of ['', ' ', 'a b', 'TBW102', 'rmq_sys_x', 'a'.repeat(128)])
    assert.is(
      codeOf(() => decodeOne(officialMessage(plain, name))),
      'TOPIC_NAME_ILLEGAL',
    )
  assert.is(
    codeOf(() => decodeOne(officialMessage(plain, 'a'.repeat(127)))),
    'accepted',
  )
})

Rules('is not alone in a batch, but all go to one topic', () => {
  const to = (topic: string) => officialMessage(plain, topic)
  assert.is(decodeAll(to('a'), to('a'), to('a')).messages.length, 3)
  assert.is(
    codeOf(() => decodeAll(to('a'), to('b'))),
    'MESSAGE_CORRUPTED',
  )
  assert.is(
    codeOf(() => decodeAll()),
    'MESSAGE_CORRUPTED',
  )
})

Rules.run()
