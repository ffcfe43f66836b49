import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { messageTypes, type StoredMessage } from '../../../model/message/message.ts'
import { encodeSystem } from '../../../model/message/system-block.ts'
import type { Delivery } from '../../../model/ports.ts'
import { Cursor } from '../../../model/wire/varint.ts'
import { deliveryHeads, encodeDelivery } from '../../../protocols/grpc/wire/delivered-message.ts'
import { decodeSendMessage } from '../../../protocols/grpc/wire/send-message.ts'
import { holds } from '../../support/property.ts'
import { aSentMessage, officialMessage, type SentMessage } from './support/arbitraries.ts'
import { bytesOf, definition, service } from './support/official.ts'
import { bounds, plain } from './support/sending.ts'

const Delivered = suite('a delivered message')

/** What the broker decides about a message. */
const aPlace = fc.record({
  queueId: fc.nat({ max: 1_023 }),
  queueOffset: fc.nat({ max: 2 ** 50 }),
  storeAtMs: fc.integer({ min: 0, max: 2 ** 41 }),
  attempt: fc.integer({ min: 1, max: 1_000 }),
  type: fc.constantFrom(...messageTypes),
  handle: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 }),
  invisibleMs: fc.integer({ min: 0, max: 43_200_000 }),
  topic: fc.stringMatching(/^[%a-zA-Z0-9_-]{1,127}$/),
  storeHost: fc.constantFrom('127.0.0.1:8081', '[::1]:1', 'broker.example.com:65535'),
})
type Place = typeof aPlace extends fc.Arbitrary<infer T> ? T : never

const deliver = (sent: SentMessage, place: Place): Buffer => {
  const bytes = bytesOf(new service.SendMessageRequest().setMessagesList([officialMessage(sent)]))
  const [encoded] = decodeSendMessage(bytes, bounds).messages
  if (encoded === undefined) throw new Error('nothing was decoded')
  return deliverStored(encoded, place)
}

const deliverStored = (
  { system, properties, body }: Pick<StoredMessage, 'system' | 'properties' | 'body'>,
  place: Place,
): Buffer => {
  const { topic, queueId, queueOffset, storeAtMs, attempt, type } = place
  const at = { topic, topicId: 1, queueId, queueOffset, physicalOffset: 0, storeAtMs, type }
  const handle = {
    ...at,
    groupId: 1,
    generation: 0,
    invisibleUntilMs: 0,
    epoch: 1,
    resets: 0,
    attempt,
  }
  const message: StoredMessage = { ...at, system, properties, body }
  const delivery: Delivery = { message, handle, attempt, cause: 'first' }
  return encodeDelivery(delivery, place.handle, deliveryHeads(place))
}

const readMessage = (frame: Uint8Array) => {
  const response = service.ReceiveMessageResponse.deserializeBinary(frame)
  const message = response.getMessage()
  const system = message?.getSystemProperties()
  if (message === undefined || system === undefined) throw new Error('no message in the frame')
  return { message, system }
}

const msOf = (parts: { getSeconds(): number; getNanos(): number } | undefined) =>
  parts === undefined ? undefined : parts.getSeconds() * 1000 + parts.getNanos() / 1_000_000

Delivered('means to the official classes what was sent', () =>
  holds(
    fc.property(aSentMessage, aPlace, (sent, place) => {
      const { message, system } = readMessage(deliver(sent, place))
      assert.equal(Buffer.from(message.getBody_asU8()), Buffer.from(sent.body))
      const properties = message.getUserPropertiesMap()
      assert.equal(new Map(properties.toArray()), new Map(sent.properties))
      assert.is(system.getMessageId(), sent.messageId)
      assert.is(system.getTag(), sent.tag ?? '')
      assert.equal(system.getKeysList(), sent.keys)
      assert.is(system.getMessageGroup(), sent.messageGroup ?? '')
      assert.is(system.getTraceContext(), sent.traceContext ?? '')
      assert.is(system.getBornHost(), sent.bornHost)
      assert.is(msOf(system.getBornTimestamp()) ?? 0, sent.bornAtMs)
    }),
    { runs: 500 },
  ),
)

Delivered('says what the broker decided', () =>
  holds(
    fc.property(aSentMessage, aPlace, (sent, place) => {
      const { message, system } = readMessage(deliver(sent, place))
      assert.is(message.getTopic()?.getName(), place.topic)
      assert.is(system.getQueueId(), place.queueId)
      assert.ok(system.hasQueueOffset())
      assert.is(system.getQueueOffset(), place.queueOffset)
      assert.is(system.getReceiptHandle(), place.handle)
      assert.is(system.getDeliveryAttempt(), place.attempt)
      assert.is(msOf(system.getStoreTimestamp()), place.storeAtMs)
      assert.is(system.getStoreHost(), place.storeHost)
      assert.is(msOf(system.getInvisibleDuration()), place.invisibleMs)
      assert.is(system.getMessageType(), definition.MessageType[place.type])
      assert.not(system.hasDeliveryTimestamp())
    }),
    { runs: 500 },
  ),
)

Delivered('always has a digest, MD5 in upper-case hex, and an encoding of 1', () =>
  holds(
    fc.property(aSentMessage, aPlace, (sent, place) => {
      const { system } = readMessage(deliver(sent, place))
      const expected = createHash('md5').update(sent.body).digest('hex').toUpperCase()
      assert.equal(system.getBodyDigest()?.toObject(), { type: 2, checksum: expected })
      assert.is(system.getBodyEncoding(), definition.Encoding.IDENTITY)
    }),
  ),
)

Delivered('whose producer compressed the body says so', () => {
  const sent = {
    body: Buffer.from('gzip'),
    messageId: '1',
    bornAtMs: 1,
    bornHost: '',
    keys: [],
    properties: [],
    tag: undefined,
    messageGroup: undefined,
    traceContext: undefined,
  }
  const message = officialMessage(sent)
  message.getSystemProperties()?.setBodyEncoding(definition.Encoding.GZIP)
  const bytes = bytesOf(new service.SendMessageRequest().setMessagesList([message]))
  const [encoded] = decodeSendMessage(bytes, bounds).messages
  if (encoded === undefined) throw new Error('nothing was decoded')
  const [place] = fc.sample(aPlace, 1)
  if (place === undefined) throw new Error('no place')
  const { system } = readMessage(deliverStored(encoded, place))
  assert.is(system.getBodyEncoding(), definition.Encoding.GZIP)
})

Delivered('has one field of system properties: the Node client keeps only the last', () =>
  holds(
    fc.property(aSentMessage, aPlace, (sent, place) => {
      const response = new Cursor(deliver(sent, place))
      assert.is(response.varint(), (2 << 3) | 2)
      const message = new Cursor(response.take(response.varint()))
      assert.ok(response.done)
      const fields: number[] = []
      while (!message.done) {
        const tag = message.varint()
        fields.push(tag >>> 3)
        message.skip(tag & 7)
      }
      const [topic, system, body] = [1, 3, 4]
      assert.equal(fields, [topic, ...sent.properties.map(() => 2), system, body])
    }),
  ),
)

Delivered('from the dead letters says where it came from', () => {
  const [place] = fc.sample(aPlace, 1)
  if (place === undefined) throw new Error('no place')
  const system = encodeSystem({
    messageId: 'id',
    tag: '',
    keys: [],
    messageGroup: '',
    bornAtMs: 0,
    bornHost: '',
    traceContext: '',
    origin: { topic: 'orders', messageId: 'first' },
  })
  const stored = { system, properties: Buffer.alloc(0), body: Buffer.from('b') }
  const read = readMessage(deliverStored(stored, place)).system
  assert.equal(read.getDeadLetterQueue()?.toObject(), { topic: 'orders', messageId: 'first' })
})

Delivered('after a delay says when it was due', () => {
  const sent = officialMessage({ ...plain, bornAtMs: 1_500 })
  const [place] = fc.sample(aPlace, 1)
  const system = sent.getSystemProperties()
  system?.setDeliveryTimestamp(system.getBornTimestamp()?.clone())
  const [encoded] = decodeSendMessage(
    bytesOf(new service.SendMessageRequest().setMessagesList([sent])),
    bounds,
  ).messages
  if (encoded === undefined || place === undefined) throw new Error('nothing was decoded')
  const read = readMessage(deliverStored(encoded, place)).system
  assert.is(msOf(read.getDeliveryTimestamp()), 1_500)
})

Delivered.run()
