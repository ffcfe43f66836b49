import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BrokerError, type BrokerErrorCode, isBrokerError } from '../../../model/errors.ts'
import { decodeProperties } from '../../../model/message/properties-block.ts'
import { decodeSystem } from '../../../model/message/system-block.ts'
import { decoded } from '../../../protocols/grpc/wire/primitives.ts'
import { decodeSendMessage } from '../../../protocols/grpc/wire/send-message.ts'
import { holds } from '../../support/property.ts'
import { aSentMessage, aText, officialMessage, type SentMessage } from './support/arbitraries.ts'
import { bytesOf, definition, service } from './support/official.ts'

const Sent = suite('a sent message')

const NOW_MS = Date.UTC(2026, 0, 1)
const DAY_MS = 24 * 3_600_000

type Official = ReturnType<typeof officialMessage>

const decodeAll = (...messages: Official[]) =>
  decoded(
    (bytes) => decodeSendMessage(bytes, NOW_MS),
    bytesOf(new service.SendMessageRequest().setMessagesList(messages)),
  )

const decodeOne = (message: Official) => {
  const [first] = decodeAll(message).messages
  if (first === undefined) throw new Error('nothing was decoded')
  return first
}

const plain: SentMessage = {
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

/** The code with which a message is refused. */
const codeOf = (decode: () => unknown): BrokerErrorCode | 'accepted' => {
  try {
    decode()
    return 'accepted'
  } catch (error) {
    if (isBrokerError(error)) return error.code
    throw error
  }
}

const refusalOf = (change: Partial<SentMessage>, also?: (message: Official) => void) => {
  const message = officialMessage({ ...plain, ...change })
  also?.(message)
  return codeOf(() => decodeOne(message))
}

/** A length-delimited field, for what the official classes cannot write. */
const field = (number: number, value: Uint8Array): Buffer =>
  Buffer.concat([lengthPrefixed((number << 3) | 2), lengthPrefixed(value.length), value])

const lengthPrefixed = (value: number): Buffer => {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  return Buffer.from([...bytes, rest])
}

const requestOf = (message: Uint8Array): Buffer => field(1, message)

Sent('means to us what the official classes wrote', () =>
  holds(
    fc.property(aSentMessage, (sent) => {
      const message = decodeOne(officialMessage(sent))
      const { tag = '', messageGroup = '', traceContext = '', keys, messageId } = sent
      assert.equal(Buffer.from(message.body), Buffer.from(sent.body))
      assert.equal([message.tag, message.messageGroup], [tag, messageGroup])
      assert.equal([message.messageId, message.keys], [messageId, keys])
      assert.is(message.type, messageGroup === '' ? 'NORMAL' : 'FIFO')
      assert.equal(decodeProperties(message.properties), Object.fromEntries(sent.properties))
      assert.equal(decodeSystem(message.system), {
        messageId,
        tag,
        keys,
        messageGroup,
        bornAtMs: sent.bornAtMs,
        bornHost: sent.bornHost,
        traceContext,
      })
    }),
    { runs: 500 },
  ),
)

Sent('shares the memory of its request: body and usual properties are not copied', () => {
  const bytes = bytesOf(
    new service.SendMessageRequest().setMessagesList([
      officialMessage({
        ...plain,
        properties: [
          ['a', '1'],
          ['b', '2'],
        ],
      }),
    ]),
  )
  const [message] = decodeSendMessage(bytes, NOW_MS).messages
  assert.is(message?.body.buffer, bytes.buffer)
  assert.is(message?.properties.buffer, bytes.buffer)
})

Sent('may come in pieces, in any order, said twice: the last word counts', () =>
  holds(
    fc.property(aSentMessage, aSentMessage, (first, second) => {
      // Protobuf merges concatenated messages, and so does the official decoder.
      const pieces = [first, second].map((sent) => bytesOf(officialMessage(sent)))
      const oracle = definition.Message.deserializeBinary(
        bytesOf(officialMessage({ ...second, keys: [...first.keys, ...second.keys] })),
      )
      const later = new Set(second.properties.map(([key]) => key))
      for (const [key, value] of first.properties)
        if (!later.has(key)) oracle.getUserPropertiesMap().set(key, value)
      const [message] = decodeSendMessage(requestOf(Buffer.concat(pieces)), NOW_MS).messages
      if (message === undefined) throw new Error('nothing was decoded')
      const expected = decodeOne(oracle)
      assert.equal(decodeProperties(message.properties), decodeProperties(expected.properties))
      assert.equal(message.keys, expected.keys)
      assert.equal(Buffer.from(message.body), Buffer.from(second.body))
      const said = decodeSystem(message.system)
      assert.is(said.messageId, second.messageId)
      assert.is(said.tag, second.tag ?? first.tag ?? '')
      assert.is(message.tag, said.tag)
    }),
  ),
)

Sent('keeps properties that come in an unusual form', () => {
  const [key, value] = [field(1, Buffer.from('k')), field(2, Buffer.from('v'))]
  const base = bytesOf(officialMessage(plain))
  const forms = [
    Buffer.concat([value, key]),
    Buffer.concat([field(1, Buffer.from('x')), key, value]),
    Buffer.concat([key, value, field(9, Buffer.from('?'))]),
    Buffer.concat([Buffer.from([10, 0x81, 0x00]), Buffer.from('k'), value]),
  ]
  for (const form of forms) {
    const bytes = Buffer.concat([base, field(2, form)])
    const [message] = decodeSendMessage(requestOf(bytes), NOW_MS).messages
    assert.equal(decodeProperties(message?.properties ?? Buffer.alloc(0)), { k: 'v' })
    assert.equal(message?.properties.toString(), field(2, Buffer.concat([key, value])).toString())
  }
  const half = Buffer.concat([base, field(2, key)])
  const [message] = decodeSendMessage(requestOf(half), NOW_MS).messages
  assert.equal(decodeProperties(message?.properties ?? Buffer.alloc(0)), { k: '' })
})

Sent('keeps a property called __proto__', () => {
  const bytes = Buffer.concat([
    bytesOf(officialMessage(plain)),
    field(2, Buffer.concat([field(2, Buffer.from('v')), field(1, Buffer.from('__proto__'))])),
  ])
  const [message] = decodeSendMessage(requestOf(bytes), NOW_MS).messages
  const read = decodeProperties(message?.properties ?? Buffer.alloc(0))
  assert.equal(Object.entries(read), [['__proto__', 'v']])
})

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
  Sent(`with ${what} is ${expected === 'accepted' ? expected : `refused: ${expected}`}`, () => {
    assert.is(refusal(), expected)
  })

/** Adds raw system properties, the way another client library might. */
const withSystem = (system: Uint8Array): string => {
  const bytes = Buffer.concat([bytesOf(officialMessage(plain)), field(3, system)])
  return codeOf(() => decoded((raw) => decodeSendMessage(raw, NOW_MS), requestOf(bytes)))
}
const timestamp = (ms: number): Buffer =>
  Buffer.concat([
    Buffer.from([8]),
    lengthPrefixed(Math.floor(ms / 1000)),
    Buffer.from([16]),
    lengthPrefixed((ms % 1000) * 1_000_000),
  ])

Sent('of type TRANSACTION, LITE or PRIORITY is refused as not built', () => {
  const { TRANSACTION, LITE, PRIORITY } = definition.MessageType
  for (const type of [TRANSACTION, LITE, PRIORITY])
    assert.is(withSystem(Buffer.from([48, type])), 'NOT_BUILT')
  assert.is(withSystem(field(21, Buffer.from('lite'))), 'NOT_BUILT', 'lite_topic')
  assert.is(withSystem(Buffer.from([0xb0, 0x01, 0])), 'NOT_BUILT', 'priority, even 0')
})

Sent('for later is refused, never delivered early; a time that has passed means at once', () => {
  assert.is(withSystem(field(11, timestamp(NOW_MS + 1))), 'NOT_BUILT')
  assert.is(withSystem(field(11, timestamp(NOW_MS + DAY_MS))), 'NOT_BUILT')
  assert.is(withSystem(field(11, timestamp(NOW_MS + DAY_MS + 1))), 'DELIVERY_TIME_ILLEGAL')
  // A nanosecond after now is not now.
  assert.is(
    withSystem(field(11, Buffer.concat([timestamp(NOW_MS), Buffer.from([16, 1])]))),
    'NOT_BUILT',
  )
  assert.is(withSystem(field(11, timestamp(NOW_MS))), 'accepted')
  const past = officialMessage({ ...plain, messageGroup: 'g' })
  const bytes = Buffer.concat([bytesOf(past), field(3, field(11, timestamp(NOW_MS - 1)))])
  assert.is(decodeSendMessage(requestOf(bytes), NOW_MS).messages[0]?.type, 'DELAY')
})

Sent('with a transaction recovery of more than an hour is refused', () => {
  const seconds = (count: number) => Buffer.concat([Buffer.from([8]), lengthPrefixed(count)])
  assert.is(withSystem(field(19, seconds(3_600))), 'accepted')
  assert.is(withSystem(field(19, seconds(3_601))), 'TRANSACTION_RECOVERY_TOO_LONG')
})

Sent('that is not UTF-8 is refused: it would make whole batches unreadable', () => {
  const bad = Buffer.from([0x61, 0xc3, 0x28])
  for (const number of [1, 2, 3, 8, 17, 18])
    assert.is(withSystem(field(number, bad)), 'MESSAGE_CORRUPTED', `system property ${number}`)
  const property = (entry: Buffer) =>
    codeOf(() =>
      decoded(
        (raw) => decodeSendMessage(raw, NOW_MS),
        requestOf(Buffer.concat([bytesOf(officialMessage(plain)), field(2, entry)])),
      ),
    )
  assert.is(property(Buffer.concat([field(1, bad), field(2, bad)])), 'MESSAGE_CORRUPTED')
  assert.is(
    property(Buffer.concat([field(1, Buffer.from('k')), field(2, bad)])),
    'MESSAGE_CORRUPTED',
  )
})

Sent('whose id begins with a byte order mark keeps it', () => {
  const message = decodeOne(officialMessage({ ...plain, messageId: '\ufeffid' }))
  assert.is(message.messageId, '\ufeffid')
  assert.is(decodeSystem(message.system).messageId, '\ufeffid')
})

Sent('goes to a topic with a legal name', () => {
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

Sent('is not alone in a batch, but all go to one topic', () => {
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

const aMutation = fc.record({ at: fc.nat(), byte: fc.nat(255), cut: fc.nat() })

Sent('of any bytes at all is decoded or refused with a code, and what passes is readable', () =>
  holds(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
        fc.tuple(aSentMessage, fc.array(aMutation, { maxLength: 3 })).map(([sent, mutations]) => {
          const bytes = requestOf(bytesOf(officialMessage(sent)))
          for (const { at, byte } of mutations) bytes[at % bytes.length] = byte
          return bytes.subarray(0, bytes.length - ((mutations[0]?.cut ?? 0) % 3))
        }),
      ),
      (bytes) => {
        try {
          const { messages } = decoded((raw) => decodeSendMessage(raw, NOW_MS), bytes)
          for (const { system, properties } of messages) {
            definition.SystemProperties.deserializeBinary(system)
            definition.Message.deserializeBinary(properties)
          }
        } catch (error) {
          assert.instance(error, BrokerError)
        }
      },
    ),
    { runs: 3_000 },
  ),
)

Sent('says the same about its tag in its text and in its bytes', () =>
  holds(
    fc.property(aText, aText, (first, second) => {
      const tags = Buffer.concat([field(1, Buffer.from(first)), field(1, Buffer.from(second))])
      const bytes = Buffer.concat([bytesOf(officialMessage(plain)), field(3, tags)])
      const [message] = decodeSendMessage(requestOf(bytes), NOW_MS).messages
      assert.is(message?.tag, second)
      assert.is(decodeSystem(message?.system ?? Buffer.alloc(0)).tag, second)
    }),
  ),
)

Sent.run()
