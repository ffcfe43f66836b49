import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { tagFilter } from '../../model/delivery/filter.ts'
import { isBrokerError } from '../../model/errors.ts'
import { encodeDraft } from '../../model/message/encode.ts'
import { createMessageIds, madeAtMs } from '../../model/message/message-id.ts'
import { decodeProperties, encodeProperties } from '../../model/message/properties-block.ts'
import { decodeSystem, encodeSystem, tagBytesOf } from '../../model/message/system-block.ts'
import { javaHash } from '../../model/wire/hash.ts'
import { holds } from '../support/property.ts'
import { seededRandom } from '../support/random.ts'
import { SimulatedClock } from '../support/simulated-clock.ts'

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.integer({ min: 40, max: 50 }).map((length) => '漢'.repeat(length)),
)
const wellFormed = text.map((value) => Buffer.from(value, 'utf8').toString('utf8'))

const fields = fc.record({
  messageId: wellFormed,
  tag: wellFormed,
  keys: fc.array(
    wellFormed.filter((key) => key !== ''),
    { maxLength: 4 },
  ),
  messageGroup: wellFormed,
  bornAtMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 4e12 })),
  bornHost: wellFormed,
  traceContext: fc.oneof(wellFormed, fc.constant('t'.repeat(70_000))),
})

const draftContext = { messageId: 'id', bornAtMs: 1, bornHost: 'host' }

const codeOf = (draft: Parameters<typeof encodeDraft>[0]): string => {
  try {
    encodeDraft(draft, draftContext)
    return 'taken'
  } catch (error) {
    return isBrokerError(error) ? error.code : String(error)
  }
}

const Message = suite('messages')

Message('system blocks come back as they were, with and without an origin', () =>
  holds(
    fc.property(fields, fc.option(fc.tuple(wellFormed, wellFormed)), (system, from) => {
      const origin = from === null ? {} : { origin: { topic: from[0], messageId: from[1] } }
      const block = encodeSystem({ ...system, ...origin })
      assert.equal(decodeSystem(block), { ...system, ...origin })
      assert.is(Buffer.from(tagBytesOf(block)).toString('utf8'), system.tag)
    }),
    { runs: 500 },
  ),
)

Message('property blocks come back as they were', () =>
  holds(
    fc.property(fc.dictionary(wellFormed, wellFormed, { noNullPrototype: true }), (properties) => {
      const block = encodeProperties(properties)
      assert.equal(decodeProperties(block), properties)
    }),
  ),
)

Message('limits of the protocol are refused with their codes, and their edges are taken', () => {
  const body = 'x'
  const cases: [Parameters<typeof encodeDraft>[0], string][] = [
    [{ body: '' }, 'MESSAGE_BODY_EMPTY'],
    [{ body: Buffer.alloc(4_194_304) }, 'taken'],
    [{ body: Buffer.alloc(4_194_305) }, 'MESSAGE_BODY_TOO_LARGE'],
    [{ body, tag: ' ' }, 'MESSAGE_TAG_ILLEGAL'],
    [{ body, tag: 'a|b' }, 'MESSAGE_TAG_ILLEGAL'],
    [{ body, tag: 'a\u0085' }, 'MESSAGE_TAG_ILLEGAL'],
    [{ body, keys: [' '] }, 'MESSAGE_KEY_ILLEGAL'],
    [{ body, keys: ['a\n'] }, 'MESSAGE_KEY_ILLEGAL'],
    [{ body, messageId: ' ' }, 'MESSAGE_ID_ILLEGAL'],
    [{ body, messageGroup: 'g'.repeat(63) }, 'taken'],
    [{ body, messageGroup: 'g'.repeat(64) }, 'MESSAGE_GROUP_ILLEGAL'],
    [{ body, messageGroup: '漢'.repeat(22) }, 'MESSAGE_GROUP_ILLEGAL'],
    [{ body, messageGroup: ' ' }, 'MESSAGE_GROUP_ILLEGAL'],
    [{ body, properties: { KEYS: 'a' } }, 'MESSAGE_PROPERTY_KEY_ILLEGAL'],
    [{ body, properties: { a: '\u0000' } }, 'MESSAGE_PROPERTY_KEY_ILLEGAL'],
    [{ body, properties: { a: 'v'.repeat(16_383) } }, 'taken'],
    [{ body, properties: { a: 'v'.repeat(16_384) } }, 'MESSAGE_PROPERTIES_TOO_LARGE'],
    [{ body, tag: 't', properties: { a: 'v'.repeat(16_383) } }, 'MESSAGE_PROPERTIES_TOO_LARGE'],
    [{ body, keys: ['k'.repeat(16_385)] }, 'MESSAGE_PROPERTIES_TOO_LARGE'],
    [{ body, properties: many(128) }, 'taken'],
    [{ body, properties: many(129) }, 'MESSAGE_PROPERTIES_TOO_LARGE'],
  ]
  for (const [draft, code] of cases)
    assert.is(codeOf(draft), code, JSON.stringify(draft).slice(0, 80))
})

const many = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, 'v']))

Message('tag filters are exact where tag codes collide', () => {
  assert.is(javaHash('Aa'), javaHash('BB'))
  const filter = tagFilter(' Aa || cc ')
  const nothing = Buffer.alloc(0)
  const blockOf = (tag: string) => encodeDraft({ body: 'x', tag }, draftContext).system
  assert.ok(filter.mayMatch(javaHash('BB')))
  assert.ok(filter.matches(blockOf('Aa'), nothing))
  assert.not(filter.matches(blockOf('BB'), nothing))
  assert.ok(filter.matches(blockOf('cc'), nothing))
  assert.not(filter.mayMatch(javaHash('dd')))
  for (const all of ['', '*', '  ']) assert.ok(tagFilter(all).isAll)
  assert.throws(() => tagFilter('||'))
})

Message('ids have RocketMQ’s layout and are never given twice', () => {
  const clock = new SimulatedClock({ wallMs: 1_700_000_000_000 })
  const next = createMessageIds(clock, seededRandom(1))
  const ids = Array.from({ length: 10_000 }, next)
  assert.is(new Set(ids).size, ids.length)
  assert.ok(ids.every((id) => /^01[0-9A-F]{32}$/.test(id)))
  const seconds = Number.parseInt((ids[0] as string).slice(18, 26), 16)
  assert.is(seconds, 1_700_000_000 - 1_609_459_200)
  assert.is(madeAtMs(ids[0] as string), 1_700_000_000_000)
  for (const other of ['', 'm1', '7F000001000018B4AAC2000000000000', `${ids[0]}0`])
    assert.is(madeAtMs(other), undefined)
})

Message.run()
