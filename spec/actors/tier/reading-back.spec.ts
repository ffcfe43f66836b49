import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CoreBroker } from '../../../actors/broker/broker.ts'
import { brokerSettingsOf, type SomeBrokerSettings } from '../../../actors/broker/settings.ts'
import { systemClock } from '../../../index.ts'
import { type Filter, tagFilter } from '../../../model/delivery/filter.ts'
import { sqlFilter } from '../../../model/delivery/sql92/sql-filter.ts'
import { BrokerError, isBrokerError } from '../../../model/errors.ts'
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
      { messageId: String(body).slice(0, 40), bornAtMs: 1, bornHost: '' },
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
  await new Promise((resolve) => setTimeout(resolve, 20))
  await send(broker, 'late')
  await send(broker, 'later')
  const woken = await parked
  assert.ok(woken.length > 0 && woken.every(({ message }) => message.queueId === 1))
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
  await new Promise((resolve) => setTimeout(resolve, 20))
  await send(broker, 'a')
  await send(broker, 'b')
  assert.is((await parked)[0]?.message.queueId, 1)
  const waiting = take(broker)
  await new Promise((resolve) => setTimeout(resolve, 20))
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
  await sendMany(broker, 6)
  const first = await take(broker, { batchMax: 4, attemptId: 'one' })
  await tiered.offload(TOPIC, [{ queueId: 0, to: 6 }])
  await tiered.trim(TOPIC, 0, 6)
  const again = await take(broker, { batchMax: 4, attemptId: 'one' })
  assert.equal(again.map(text), first.map(text))
  assert.ok(again.every(({ cause }) => cause === 'repeatedAttempt'))
})

Reading.run()
