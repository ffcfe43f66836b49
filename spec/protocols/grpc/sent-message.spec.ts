import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BrokerError } from '../../../model/errors.ts'
import {
  decodeProperties,
  encodeProperties,
  readEntry,
} from '../../../model/message/properties-block.ts'
import { decodeSystem, tagBytesOf } from '../../../model/message/system-block.ts'
import { Cursor, varintSize } from '../../../model/wire/varint.ts'
import { decoded } from '../../../protocols/grpc/wire/primitives.ts'
import { decodeSendMessage } from '../../../protocols/grpc/wire/send-message.ts'
import { holds } from '../../support/property.ts'
import { aSentMessage, aText, officialMessage } from './support/arbitraries.ts'
import { bytesOf, definition, service } from './support/official.ts'
import { decodeOne, decodeRaw, field, bounds, plain, requestOf } from './support/sending.ts'

const Sent = suite('a sent message')

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
  const [message] = decodeSendMessage(bytes, bounds).messages
  assert.is(message?.body.buffer, bytes.buffer)
  assert.is(message?.properties.buffer, bytes.buffer)
})

/** A block holds entries in the usual form and nothing else, or consumers would see more. */
const assertUsual = (block: Uint8Array): void => {
  const cursor = new Cursor(block)
  while (!cursor.done) {
    assert.is(cursor.varint(), (2 << 3) | 2)
    const size = cursor.varint()
    const { key, value } = readEntry(cursor.take(size))
    assert.is(encodeProperties({ [key]: value }).length - 1 - varintSize(size), size)
  }
}

Sent('may come in pieces, in any order, said twice: the last word counts', () =>
  holds(
    fc.property(aSentMessage, aSentMessage, (first, second) => {
      // Protobuf merges concatenated messages, and so does the official decoder.
      const pieces = [first, second].map((sent) => bytesOf(officialMessage(sent)))
      const message = decodeRaw(...pieces)
      assertUsual(message.properties)
      assert.equal(
        decodeProperties(message.properties),
        Object.fromEntries([...first.properties, ...second.properties]),
      )
      assert.equal(message.keys, [...first.keys, ...second.keys])
      assert.equal(Buffer.from(message.body), Buffer.from(second.body))
      const said = decodeSystem(message.system)
      assert.is(said.messageId, second.messageId)
      assert.is(said.tag, second.tag ?? first.tag ?? '')
      assert.is(message.tag, said.tag)
    }),
  ),
)

Sent('keeps properties that come in an unusual form, and writes them in the usual one', () => {
  const [key, value] = [field(1, Buffer.from('k')), field(2, Buffer.from('v'))]
  const entry = Buffer.concat([key, value])
  const forms = [
    field(2, Buffer.concat([value, key])),
    field(2, Buffer.concat([field(1, Buffer.from('x')), key, value])),
    field(2, Buffer.concat([key, value, field(9, Buffer.from('?'))])),
    field(2, Buffer.concat([Buffer.from([10, 0x81, 0x00]), Buffer.from('k'), value])),
    Buffer.concat([Buffer.from([(2 << 3) | 2, entry.length | 0x80, 0]), entry]),
  ]
  const base = bytesOf(officialMessage(plain))
  for (const form of forms)
    assert.equal(String(decodeRaw(base, form).properties), String(field(2, entry)))
  assert.equal(decodeProperties(decodeRaw(base, field(2, key)).properties), { k: '' })
})

Sent('keeps a property called __proto__', () => {
  const [key, value] = [field(1, Buffer.from('__proto__')), field(2, Buffer.from('v'))]
  const odd = field(2, Buffer.concat([value, key]))
  const { properties } = decodeRaw(bytesOf(officialMessage(plain)), odd)
  assert.equal(Object.entries(decodeProperties(properties)), [['__proto__', 'v']])
})

Sent('whose id begins with a byte order mark keeps it', () => {
  const message = decodeOne(officialMessage({ ...plain, messageId: '\ufeffid' }))
  assert.is(message.messageId, '\ufeffid')
  assert.is(decodeSystem(message.system).messageId, '\ufeffid')
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
          const { messages } = decoded((raw) => decodeSendMessage(raw, bounds), bytes)
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

Sent('says the same about its tag in its text, in its bytes, and to filters', () =>
  holds(
    fc.property(aText, aText, (first, second) => {
      const tags = Buffer.concat([field(1, Buffer.from(first)), field(1, Buffer.from(second))])
      const message = decodeRaw(bytesOf(officialMessage(plain)), field(3, tags))
      assert.is(message.tag, second)
      assert.is(decodeSystem(message.system).tag, second)
      assert.is(String(tagBytesOf(message.system)), second)
    }),
  ),
)

Sent.run()
