import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CoreBroker } from '../../../actors/broker/broker.ts'
import { brokerSettingsOf, type SomeBrokerSettings } from '../../../actors/broker/settings.ts'
import { systemClock } from '../../../index.ts'
import { type Filter, tagFilter } from '../../../model/delivery/filter.ts'
import { sqlFilter } from '../../../model/delivery/sql92/sql-filter.ts'
import { BrokerError, isBrokerError } from '../../../model/errors.ts'
import type { OffsetReset } from '../../../model/delivery/administration.ts'
import type { MessageView } from '../../../model/message/trace.ts'
import { tierObjectKey } from '../../../model/tier/tier-objects.ts'
import { encodeDraft, type MessageDraft } from '../../../model/message/encode.ts'
import type { Delivery } from '../../../model/ports.ts'
import { MemoryObjectStore } from '../../../storage/memory/memory-object-store.ts'
import { MemoryPlace } from '../../../storage/memory/memory-place.ts'
import { seededRandom } from '../../support/random.ts'
import { Tiered } from '../../support/tiered.ts'
import { WatchedStore } from '../../support/watched-store.ts'

const quiet = { info: () => {}, warn: () => {}, error: () => {} }
const TOPIC = 'orders'

interface Opening {
  readonly queues?: number
  readonly settings?: SomeBrokerSettings
}

const open = async ({ queues = 1, settings = {} }: Opening = {}) => {
  const place = new MemoryPlace({ random: seededRandom(1) })
  const store = new WatchedStore(new MemoryObjectStore({ clock: systemClock }))
  const tier = { store, random: seededRandom(2) }
  const components = { clock: systemClock, logger: quiet, place, tier }
  const broker = await CoreBroker.open(components, brokerSettingsOf(settings))
  await broker.topics.create(TOPIC, { queues, type: 'MIXED' })
  return {
    broker,
    store,
    tiered: new Tiered(broker, store),
    [Symbol.asyncDispose]: () => broker.close(),
  }
}

const send = (broker: CoreBroker, body: string | Buffer, draft: Partial<MessageDraft> = {}) =>
  broker.append(
    TOPIC,
    encodeDraft(
      { ...draft, body },
      { messageId: typeof body === 'string' ? body : 'large', bornAtMs: 1, bornHost: '' },
    ),
  )

const sendMany = async (broker: CoreBroker, count: number, from = 0): Promise<void> => {
  for (let number = from; number < from + count; number++) await send(broker, `m${number}`)
}

interface Taking {
  readonly group?: string
  readonly filter?: Filter
  readonly batchMax?: number
  readonly waitMs?: number
  readonly invisibleMs?: number
  readonly attemptId?: string
}

const take = async (broker: CoreBroker, taking: Taking = {}): Promise<readonly Delivery[]> => {
  const { group = 'billing', filter = tagFilter('*'), ...rest } = taking
  const request = { topic: TOPIC, group, filter, batchMax: 7, waitMs: 0, invisibleMs: 30_000 }
  return (await broker.receive({ ...request, ...rest })).deliveries
}

const text = ({ message }: Delivery): string => Buffer.from(message.body).toString()

/** Everything that a group can get, in the order in which it comes. */
const drain = async (broker: CoreBroker, taking: Taking = {}): Promise<Delivery[]> => {
  const all: Delivery[] = []
  for (;;) {
    const deliveries = await take(broker, taking)
    if (deliveries.length === 0) return all
    for (const { handle } of deliveries) await broker.ack(handle)
    all.push(...deliveries)
  }
}

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )

/** Alone in its frame. */
const BIG_BYTES = 300 << 10
const bigBody = (number: number): Buffer => Buffer.alloc(BIG_BYTES, number)

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const failureOrNone = (work: Promise<readonly Delivery[]>): Promise<readonly Delivery[]> =>
  work.catch(() => [])

const bodies = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `m${from + index}`)

const Reading = suite('reading back')

Reading('gives everything over the border, in order, with offsets that go on', async () => {
  await using opened = await open()
  const { broker, tiered } = opened
  await sendMany(broker, 40)
  await tiered.offload(TOPIC, [{ queueId: 0, to: 11 }])
  await tiered.offload(TOPIC, [{ queueId: 0, to: 25 }])
  await tiered.trim(TOPIC, 0, 20)
  const got = await drain(broker)
  assert.equal(got.map(text), bodies(0, 40))
  assert.equal(
    got.map(({ message }) => message.queueOffset),
    got.map((_, index) => index),
  )
  assert.equal(broker.topics.describe(TOPIC).offsets, [{ queueId: 0, offsetMin: 0, offsetMax: 40 }])
})

Reading('fails a receive with what the tier says, and takes nothing', async () => {
  await using opened = await open()
  const { broker, tiered, store } = opened
  await sendMany(broker, 10)
  await tiered.offload(TOPIC, [{ queueId: 0, to: 5 }])
  await tiered.trim(TOPIC, 0, 5)
  for (const code of ['TIER_UNAVAILABLE', 'TIER_DENIED'] as const) {
    store.beforeGet = () => {
      throw new BrokerError(code, { store: 'memory', operation: 'get', reason: 'a test' })
    }
    assert.ok(isBrokerError(await failure(take(broker)), code))
    assert.is(broker.state.unacked, 0)
  }
  assert.is(broker.tierReader?.traffic.reading, 0)
  store.beforeGet = () => {}
  assert.equal((await drain(broker)).map(text), bodies(0, 10))
})

Reading('lets trouble of one queue in the tier starve no other queue', async () => {
  await using opened = await open({ queues: 2 })
  const { broker, tiered, store } = opened
  await sendMany(broker, 10)
  const inTier = broker.state.topicNamed(TOPIC)?.queues[0]?.offsetMax ?? 0
  await tiered.offload(TOPIC, [{ queueId: 0, to: inTier }])
  await tiered.trim(TOPIC, 0, inTier)
  store.beforeGet = () => {
    throw new BrokerError('TIER_UNAVAILABLE', { store: 'memory', operation: 'get', reason: 'x' })
  }
  const got: Delivery[] = []
  for (let round = 0; round < 5; round++) got.push(...(await take(broker, { batchMax: 1 })))
  assert.is(got.length, 5)
  assert.ok(got.every(({ message }) => message.queueId === 1))
  const parked = take(broker, { waitMs: 5_000 })
  await pause(20)
  await send(broker, 'late')
  await send(broker, 'later')
  const woken = await parked
  assert.ok(woken.length > 0 && woken.every(({ message }) => message.queueId === 1))
})

Reading('leaves what came back and cannot be read, and goes on behind it', async () => {
  await using opened = await open()
  const { broker, tiered, store } = opened
  await sendMany(broker, 4)
  const [first, second] = await take(broker, { batchMax: 2 })
  if (second) await broker.ack(second.handle)
  await tiered.offload(TOPIC, [{ queueId: 0, to: 2 }])
  await tiered.trim(TOPIC, 0, 2)
  if (first) await broker.extend(first.handle, 0)
  store.beforeGet = () => {
    throw new BrokerError('TIER_UNAVAILABLE', { store: 'memory', operation: 'get', reason: 'x' })
  }
  assert.equal((await take(broker)).map(text), ['m2', 'm3'])
  assert.ok(isBrokerError(await failure(take(broker)), 'TIER_UNAVAILABLE'))
  store.beforeGet = () => {}
  const again = await take(broker)
  assert.equal(
    again.map((delivery) => [text(delivery), delivery.attempt]),
    [['m0', 2]],
  )
})

Reading('does not wait for a slow tier when another queue has messages', async () => {
  await using opened = await open({ queues: 2 })
  const { broker, tiered, store } = opened
  await sendMany(broker, 4)
  await tiered.offload(TOPIC, [{ queueId: 0, to: 2 }])
  await tiered.trim(TOPIC, 0, 2)
  let go = (): void => {}
  const held = new Promise<void>((resolve) => {
    go = resolve
  })
  store.beforeGet = () => held
  assert.is((await take(broker))[0]?.message.queueId, 1)
  const parked = take(broker, { waitMs: 5_000 })
  await pause(20)
  await send(broker, 'a')
  await send(broker, 'b')
  assert.is((await parked)[0]?.message.queueId, 1)
  const waiting = take(broker)
  await pause(20)
  go()
  assert.is((await waiting)[0]?.message.queueId, 0)
})

Reading('retries the tier while a receive waits, and tells the trouble at its end', async () => {
  await using opened = await open()
  const { broker, tiered, store } = opened
  await sendMany(broker, 3)
  await tiered.offload(TOPIC, [{ queueId: 0, to: 3 }])
  await tiered.trim(TOPIC, 0, 3)
  let fails = 1
  store.beforeGet = () => {
    if (fails-- > 0)
      throw new BrokerError('TIER_UNAVAILABLE', { store: 'memory', operation: 'get', reason: 'x' })
  }
  assert.equal((await take(broker, { waitMs: 5_000 })).map(text), bodies(0, 3))
  fails = 9
  const error = await failure(take(broker, { group: 'other', waitMs: 100 }))
  assert.ok(error === undefined || isBrokerError(error, 'TIER_UNAVAILABLE'))
})

Reading('keeps the order of message groups over the border', async () => {
  await using opened = await open()
  const { broker, tiered } = opened
  for (let number = 0; number < 12; number++)
    await send(broker, `m${number}`, { messageGroup: number % 2 === 0 ? 'even' : 'odd' })
  await tiered.offload(TOPIC, [{ queueId: 0, to: 8 }])
  await tiered.trim(TOPIC, 0, 7)
  const [first] = await take(broker, { batchMax: 1 })
  assert.is(first && text(first), 'm0')
  const odd: string[] = []
  for (;;) {
    const deliveries = await take(broker, { batchMax: 1 })
    if (deliveries.length === 0) break
    odd.push(...deliveries.map(text))
    for (const { handle } of deliveries) await broker.ack(handle)
  }
  assert.equal(odd, ['m1', 'm3', 'm5', 'm7', 'm9', 'm11'])
  if (first) await broker.ack(first.handle)
  assert.equal((await drain(broker, { batchMax: 2 })).map(text), ['m2', 'm4', 'm6', 'm8', 'm10'])
})

Reading('filters what lies in the tier by tag and by SQL', async () => {
  await using opened = await open()
  const { broker, tiered } = opened
  for (let number = 0; number < 20; number++)
    await send(broker, `m${number}`, {
      tag: number % 3 === 0 ? 'a' : 'b',
      properties: { number: String(number) },
    })
  await tiered.offload(TOPIC, [{ queueId: 0, to: 15 }])
  await tiered.trim(TOPIC, 0, 12)
  const tagged = await drain(broker, { group: 'tags', filter: tagFilter('a') })
  assert.equal(tagged.map(text), ['m0', 'm3', 'm6', 'm9', 'm12', 'm15', 'm18'])
  const filter = sqlFilter('number > 9 AND number < 14')
  assert.equal((await drain(broker, { group: 'sql', filter })).map(text), bodies(10, 14))
})

Reading('gives a lost answer again from the tier', async () => {
  await using opened = await open()
  const { broker, tiered } = opened
  // A block of units and more, so that nothing of it is left in memory.
  await Promise.all(bodies(0, 700).map((body) => send(broker, body)))
  const first = await take(broker, { batchMax: 4, attemptId: 'one' })
  await tiered.offload(TOPIC, [{ queueId: 0, to: 700 }])
  await tiered.trim(TOPIC, 0, 700)
  const again = await take(broker, { batchMax: 4, attemptId: 'one' })
  assert.equal(again.map(text), first.map(text))
  assert.ok(again.every(({ cause }) => cause === 'repeatedAttempt'))
})

Reading("begins where the tier does, with upstream's own numbers", async () => {
  await using opened = await open()
  const { broker, tiered } = opened
  const times: number[] = []
  for (let number = 0; number < 30; number++) {
    await send(broker, `m${number}`)
    times.push(Math.floor(systemClock.wallMs()))
    if (number === 5 || number === 19) await pause(3)
  }
  for (const to of [6, 20, 30]) await tiered.offload(TOPIC, [{ queueId: 0, to }])
  await tiered.trim(TOPIC, 0, 25)
  await take(broker, { batchMax: 1 })
  const minOf = () => broker.topics.describe(TOPIC).offsets[0]?.offsetMin
  const resetTo = async (to: OffsetReset['to']) =>
    (await broker.groups.resetOffsets('billing', { topic: TOPIC, to }))[0]?.to
  await tiered.expire(TOPIC, 0, 6)
  assert.is(minOf(), 6)
  assert.is(await resetTo({ at: 'offset', queueOffset: 6 }), 6)
  await tiered.expire(TOPIC, 0, 20)
  assert.is(minOf(), 20)
  for (const fromOffset of [6, 19]) {
    const [view] = await broker.messages.peek({ topic: TOPIC, queueId: 0, fromOffset, limit: 1 })
    assert.is(view?.queueOffset, 20)
  }
  for (const queueOffset of [0, 6, 19]) assert.is(await resetTo({ at: 'offset', queueOffset }), 20)
  assert.is(await resetTo({ at: 'time', timeMs: times[8] ?? 0 }), 20)
  await tiered.expire(TOPIC, 0, 20)
  assert.is(minOf(), 20)
  assert.equal((await drain(broker)).map(text), bodies(20, 30))
})

Reading('shows nobody that an object went while it was read', async () => {
  await using opened = await open({ settings: { tier: { cacheBytes: 1_000 } } })
  const { broker, tiered, store } = opened
  store.beforeGet = () => pause(0)
  for (let round = 0; round < 25; round++) {
    const first = round * 12
    await sendMany(broker, 12, first)
    for (const to of [first + 4, first + 8, first + 12])
      await tiered.offload(TOPIC, [{ queueId: 0, to }])
    await tiered.trim(TOPIC, 0, first + 11)
    const looks = [
      drain(broker, { group: `g${round}`, batchMax: 3 }),
      broker.messages.peek({ topic: TOPIC, queueId: 0, fromOffset: 0, limit: 99 }),
      broker.messages.find({ topic: TOPIC, fromMs: 1, limit: 99 }),
      broker.messages.byId(`m${first + 1}`),
      broker.messages.find({ topic: TOPIC, key: 'k', limit: 99 }),
    ]
    for (const to of [first + 4, first + 8]) {
      for (let steps = round % 7; steps > 0; steps--) await pause(0)
      await tiered.expire(TOPIC, 0, to)
    }
    const [drained, ...views] = await Promise.all(looks)
    const offsets = (drained as Delivery[]).map(({ message }) => message.queueOffset)
    assert.equal(
      offsets.slice(-4),
      [8, 9, 10, 11].map((offset) => first + offset),
    )
    assert.equal(
      offsets,
      [...new Set(offsets)].sort((a, b) => a - b),
    )
    for (const found of views as MessageView[][])
      assert.is(new Set(found.map(({ queueOffset }) => queueOffset)).size, found.length)
    await tiered.expire(TOPIC, 0, first + 8)
  }
  assert.is(broker.tierReader?.traffic.reading, 0)
})

Reading('tells an object that is gone and that nobody gave up', async () => {
  await using opened = await open()
  const { broker, tiered, store } = opened
  await sendMany(broker, 4)
  const object = await tiered.offload(TOPIC, [{ queueId: 0, to: 4 }])
  await tiered.trim(TOPIC, 0, 4)
  await store.remove([tierObjectKey(tiered.topic(TOPIC).topicId, object)])
  assert.ok(isBrokerError(await failure(take(broker)), 'TIER_OBJECT_NOT_FOUND'))
  const peeked = broker.messages.peek({ topic: TOPIC, queueId: 0, fromOffset: 0 })
  assert.ok(isBrokerError(await failure(peeked), 'TIER_OBJECT_NOT_FOUND'))
})

Reading('gives what lies before damage, and says where it is', async () => {
  await using opened = await open()
  const { broker, tiered, store } = opened
  for (let number = 0; number < 6; number++) await send(broker, bigBody(number))
  const object = await tiered.offload(TOPIC, [{ queueId: 0, to: 6 }])
  await tiered.trim(TOPIC, 0, 6)
  const key = tierObjectKey(tiered.topic(TOPIC).topicId, object)
  // In the third of six frames.
  const at = Math.floor(object.bytes * 0.42)
  store.afterGet = ({ from, to }, bytes) => {
    if (from <= at && at < to) bytes.writeUInt8(1 ^ bytes.readUInt8(at - from), at - from)
  }
  const got = [...(await take(broker)), ...(await failureOrNone(take(broker)))]
  assert.equal(
    got.map(({ message }) => message.queueOffset),
    [0, 1],
  )
  const error = await failure(take(broker))
  assert.ok(isBrokerError(error, 'CORRUPT'))
  assert.is(error.params.store, key)
})

Reading('keeps memory bounded by what large messages it gives at once', async () => {
  await using opened = await open({ settings: { tier: { readAheadBytes: 512 << 10 } } })
  const { broker, tiered } = opened
  for (let number = 0; number < 12; number++)
    await send(broker, bigBody(number), { properties: { last: String(number === 11) } })
  await tiered.offload(TOPIC, [{ queueId: 0, to: 12 }])
  await tiered.trim(TOPIC, 0, 12)
  const first = await take(broker, { batchMax: 32 })
  assert.ok(first.length > 0 && first.length <= 5, `${first.length} at once`)
  const rest = await drain(broker, { batchMax: 32 })
  assert.equal(
    [...first, ...rest].map(({ message }) => message.queueOffset),
    Array.from({ length: 12 }, (_, offset) => offset),
  )
  assert.ok(rest.every(({ message }) => message.body.length === BIG_BYTES))
  broker.tierReader?.drop(tiered.topic(TOPIC).topicId)
  const filter = sqlFilter("last = 'true'")
  const [last, ...others] = await drain(broker, { group: 'selective', filter, waitMs: 300 })
  assert.equal([last?.message.queueOffset, others.length], [11, 0])
})

Reading('answers a query by time from an index and one frame', async () => {
  await using opened = await open()
  const { broker, tiered, store } = opened
  for (let section = 0; section < 4; section++) {
    await sendMany(broker, 50, section * 50)
    await pause(2)
    await tiered.offload(TOPIC, [{ queueId: 0, to: section * 50 + 50 }])
  }
  await tiered.trim(TOPIC, 0, 200)
  const views = await broker.messages.peek({ topic: TOPIC, queueId: 0, fromOffset: 0, limit: 200 })
  const timeMs = views[120]?.storeAtMs ?? 0
  const { tierReader } = broker
  tierReader?.drop(tiered.topic(TOPIC).topicId)
  await take(broker, { group: 'later', batchMax: 1 })
  tierReader?.drop(tiered.topic(TOPIC).topicId)
  store.gets.length = 0
  const reset = { topic: TOPIC, to: { at: 'time', timeMs } as const }
  const [result] = await broker.groups.resetOffsets('later', reset)
  assert.is(
    result?.to,
    views.findIndex(({ storeAtMs }) => storeAtMs >= timeMs),
  )
  assert.ok(store.gets.length <= 2, `${store.gets.length} reads`)
})

Reading('looks again when what it searches by time expires meanwhile', async () => {
  await using opened = await open()
  const { broker, tiered, store } = opened
  for (let number = 0; number < 9; number++) {
    await send(broker, `m${number}`)
    await pause(2)
  }
  for (const to of [3, 6, 9]) await tiered.offload(TOPIC, [{ queueId: 0, to }])
  await tiered.trim(TOPIC, 0, 9)
  const views = await broker.messages.peek({ topic: TOPIC, queueId: 0, fromOffset: 0 })
  await broker.groups.create('billing')
  broker.tierReader?.drop(tiered.topic(TOPIC).topicId)
  store.beforeGet = async () => {
    store.beforeGet = () => {}
    await tiered.expire(TOPIC, 0, 3)
  }
  const to = { at: 'time', timeMs: views[1]?.storeAtMs ?? 0 } as const
  const [result] = await broker.groups.resetOffsets('billing', { topic: TOPIC, to })
  assert.is(result?.to, 3)
})

Reading('finds the oldest by key, however many sections lie between', async () => {
  await using opened = await open({ queues: 2 })
  const { broker, tiered } = opened
  for (let number = 0; number < 20; number++) {
    await send(broker, `m${number}`, { keys: number === 17 || number === 18 ? ['rare'] : [] })
    await pause(2)
  }
  await tiered.offload(TOPIC, [{ queueId: 0, to: 10 }])
  for (let to = 1; to <= 10; to++) await tiered.offload(TOPIC, [{ queueId: 1, to }])
  for (const queueId of [0, 1]) await tiered.trim(TOPIC, queueId, 10)
  const [view] = await broker.messages.find({ topic: TOPIC, key: 'rare', limit: 1 })
  assert.is(view?.messageId, 'm17')
})

Reading('knows the age of what is only in the tier, and waits for nobody to tell it', async () => {
  await using opened = await open()
  const { broker, tiered, store } = opened
  await sendMany(broker, 2)
  await pause(30)
  await sendMany(broker, 2, 2)
  for (const { handle } of await take(broker, { batchMax: 2 })) await broker.ack(handle)
  await tiered.offload(TOPIC, [{ queueId: 0, to: 4 }])
  await tiered.trim(TOPIC, 0, 4)
  const [view] = await broker.messages.peek({ topic: TOPIC, queueId: 0, fromOffset: 2 })
  broker.tierReader?.drop(tiered.topic(TOPIC).topicId)
  const bornAt = () =>
    systemClock.wallMs() - (broker.groups.describe('billing').progress[0]?.oldestUnackedAgeMs ?? 0)
  let go = (): void => {}
  const held = new Promise<void>((resolve) => {
    go = resolve
  })
  store.beforeGet = () => held
  await broker.progress.load()
  assert.ok(bornAt() <= (view?.storeAtMs ?? 0) + 5, 'not younger than it is')
  go()
  await pause(10)
  await broker.progress.load()
  assert.ok(Math.abs(bornAt() - (view?.storeAtMs ?? 0)) < 20)
})

Reading('holds on to no frame for what it answers', async () => {
  await using opened = await open()
  const { broker, tiered } = opened
  const bytes = 100 << 10
  for (let number = 0; number < 4; number++)
    await send(broker, Buffer.alloc(bytes, number), { keys: ['k'] })
  await tiered.offload(TOPIC, [{ queueId: 0, to: 4 }])
  await tiered.trim(TOPIC, 0, 4)
  const views = await broker.messages.find({ topic: TOPIC, key: 'k' })
  assert.equal(
    views.map(({ body }) => body.buffer.byteLength),
    views.map(() => bytes),
  )
  assert.is(views.length, 4)
})

Reading('dead-letters a message that is only in the tier', async () => {
  await using opened = await open()
  const { broker, tiered } = opened
  await sendMany(broker, 3)
  const [first] = await take(broker, { batchMax: 1 })
  await tiered.offload(TOPIC, [{ queueId: 0, to: 3 }])
  await tiered.trim(TOPIC, 0, 3)
  if (first) await broker.deadLetter(first.handle, 'a test')
  const letters = await broker.deadLetters.list('billing')
  assert.equal(
    letters.deadLetters.map(({ originMessageId, bytes }) => `${originMessageId} ${bytes}`),
    ['m0 2'],
  )
  assert.equal((await drain(broker)).map(text), ['m1', 'm2'])
})

Reading('tells where a message went, and when it left', async () => {
  await using opened = await open()
  const { broker, tiered } = opened
  await sendMany(broker, 3)
  const object = await tiered.offload(TOPIC, [{ queueId: 0, to: 2 }])
  const key = tierObjectKey(tiered.topic(TOPIC).topicId, object)
  const stepsOf = async () => {
    const [trace] = await broker.messages.why('m1', TOPIC)
    return [trace?.tierObject, trace?.steps.map(({ what }) => what)]
  }
  assert.equal(await stepsOf(), [undefined, ['stored', 'offloaded']])
  await tiered.trim(TOPIC, 0, 2)
  assert.equal(await stepsOf(), [key, ['stored', 'offloaded']])
  await drain(broker)
  assert.equal(await stepsOf(), [key, ['stored', 'offloaded', 'leased', 'acked']])
  await tiered.expire(TOPIC, 0, 2)
  assert.equal(await stepsOf(), [undefined, ['stored', 'offloaded', 'leased', 'acked', 'trimmed']])
})

Reading('finds by key at the edges of time windows and objects, each once', async () => {
  await using opened = await open({ queues: 2 })
  const { broker, tiered } = opened
  for (let number = 0; number < 24; number++) {
    await send(broker, `m${number}`, { keys: ['k', `k${number}`] })
    await pause(2)
  }
  for (const to of [3, 4, 7, 10])
    await tiered.offload(TOPIC, [
      { queueId: 0, to },
      { queueId: 1, to: to - 1 },
    ])
  await tiered.trim(TOPIC, 0, 9)
  await tiered.trim(TOPIC, 1, 5)
  const all = await broker.messages.find({ topic: TOPIC, key: 'k', limit: 99 })
  assert.equal(
    all.map(({ messageId }) => messageId),
    bodies(0, 24),
  )
  for (const [number, { storeAtMs }] of all.entries()) {
    const key = `k${number}`
    for (const [fromMs, toMs, count] of [
      [storeAtMs, storeAtMs, 1],
      [storeAtMs + 1, storeAtMs + 9_999, 0],
      [0, storeAtMs - 1, 0],
    ] as const) {
      const views = await broker.messages.find({ topic: TOPIC, key, fromMs, toMs })
      assert.is(views.length, count)
    }
    assert.is((await broker.messages.byId(`m${number}`)).length, 1)
  }
})

Reading('keeps nothing of a topic that ended', async () => {
  await using opened = await open()
  const { broker, tiered } = opened
  await sendMany(broker, 4)
  await tiered.offload(TOPIC, [{ queueId: 0, to: 4 }])
  await tiered.trim(TOPIC, 0, 4)
  await take(broker)
  assert.ok((broker.tierReader?.cache.bytes ?? 0) > 0)
  broker.tierReader?.drop(tiered.topic(TOPIC).topicId)
  assert.is(broker.tierReader?.cache.bytes, 0)
})

Reading.run()
