import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { encodeSystem } from '../../../model/message/system-block.ts'
import { CHUNK_HEADER_BYTES } from '../../../storage/codec/chunk.ts'
import { factType } from '../../../storage/codec/fact-type.ts'
import { namePageKey, nameRangeKey, parseIndexKey } from '../../../storage/codec/index-key.ts'
import { messageRecordSize, putMessage } from '../../../storage/codec/message-fact.ts'
import { collectNames, idHash, keyHash } from '../../../storage/codec/message-names.ts'
import {
  distancesIn,
  encodeNameRange,
  NameEntries,
  pageBitsOf,
  pageOf,
  readNameRange,
} from '../../../storage/codec/name-range.ts'
import { encodeRegistryFact } from '../../../storage/codec/registry-fact.ts'
import { holds } from '../../support/property.ts'

const aText = fc.oneof(fc.string({ maxLength: 6 }), fc.string({ unit: 'grapheme', maxLength: 12 }))
const aNumber = fc.oneof(fc.nat(3), fc.nat(2 ** 31 - 1))

const aMessage = fc.record({
  type: fc.constantFrom<number>(
    factType.messageAppended,
    factType.messageCarried,
    factType.messageDeadLettered,
    factType.messageRedriven,
  ),
  prefix: fc.tuple(aNumber, aNumber, aNumber, aNumber),
  topicId: aNumber,
  queueOffset: aNumber,
  storeAtMs: fc.nat(2 ** 41),
  messageId: aText,
  keys: fc.array(aText, { maxLength: 3 }),
  tag: aText,
  messageGroup: aText,
  bornAtMs: fc.nat(2 ** 41),
})
type AMessage = typeof aMessage extends fc.Arbitrary<infer T> ? T : never

const prefixSizes: Readonly<Record<number, number>> = { 1: 0, 2: 2, 3: 4, 6: 3 }

const recordOf = (message: AMessage): Buffer => {
  const { topicId, queueOffset, storeAtMs } = message
  const place = { topicId, queueId: 1, queueOffset, storeAtMs }
  const system = encodeSystem({ ...message, bornHost: 'here', traceContext: '' })
  const content = {
    type: 'NORMAL' as const,
    tagsCode: 1,
    groupHash: 2,
    system,
    properties: Buffer.from('p'),
    body: Buffer.from('body'),
  }
  const prefix = message.prefix.slice(0, prefixSizes[message.type])
  const bytes = Buffer.alloc(messageRecordSize(place, content, prefix))
  putMessage(bytes, 0, place, content, { type: message.type, prefix })
  return bytes
}

const Names = suite('names of messages')

Names('are those of every message in a chunk, at the position of its record', async () => {
  const other = encodeRegistryFact({ type: 'topicEnded', topicId: 3 })
  await holds(
    fc.property(fc.array(fc.option(aMessage), { maxLength: 6 }), fc.nat(2 ** 40), (all, start) => {
      const records = all.map((message) => (message ? recordOf(message) : other))
      const chunk = Buffer.concat([Buffer.alloc(CHUNK_HEADER_BYTES), ...records])
      const found: unknown[] = []
      collectNames(chunk, start, {
        message: (storeAtMs) => found.push({ storeAtMs }),
        name: (hash, position) => found.push([hash, position]),
      })
      const expected: unknown[] = []
      let position = start + CHUNK_HEADER_BYTES
      for (const [index, message] of all.entries()) {
        if (message) {
          expected.push({ storeAtMs: message.storeAtMs })
          for (const key of message.keys)
            if (key !== '') expected.push([keyHash(message.topicId, key), position])
          if (message.messageId !== '') expected.push([idHash(message.messageId), position])
        }
        position += (records[index] as Buffer).length
      }
      assert.equal(found, expected)
    }),
    { runs: 300 },
  )
})

Names('are found in their pages as in an array', async () => {
  const aHash = fc.oneof(fc.nat(5), fc.integer({ min: 2 ** 32 - 3, max: 2 ** 32 - 1 }), fc.nat())
  const entries = fc.array(fc.tuple(aHash, fc.nat(2 ** 32 - 1)), { maxLength: 400 })
  await holds(
    fc.property(entries, fc.nat(4), (all, pageBits) => {
      const names = new NameEntries()
      for (const [hash, distance] of all) names.push(hash, distance)
      const pages = new Map(names.pages(pageBits).map(({ page, bytes }) => [page, bytes]))
      for (const [hash] of [...all, [77, 0] as const]) {
        const expected = all.filter(([other]) => other === hash).map(([, distance]) => distance)
        const page = pages.get(pageOf(hash, pageBits)) ?? Buffer.alloc(0)
        const ascending = [...expected].sort((a, b) => a - b)
        assert.equal(distancesIn(page, hash), ascending)
        assert.equal([...names.distancesOf(hash)], expected)
      }
    }),
  )
})

Names('share pages of about half a thousand', () => {
  assert.is(pageBitsOf(0), 0)
  assert.is(pageBitsOf(512), 0)
  assert.is(pageBitsOf(513), 1)
  assert.is(pageBitsOf(65_536), 7)
})

Names('have keys and heads that read back', () => {
  const range = {
    from: 2 ** 45,
    to: 2 ** 45 + 9,
    entries: 5,
    pageBits: 3,
    storeAtMsMin: 2,
    storeAtMsMax: 2 ** 41,
  }
  assert.equal(readNameRange(encodeNameRange(range)), range)
  assert.equal(parseIndexKey(nameRangeKey(range.from)), { kind: 'nameRange', from: range.from })
  assert.equal(parseIndexKey(namePageKey(range.from, 258)), {
    kind: 'namePage',
    from: range.from,
    page: 258,
  })
})

Names.run()
