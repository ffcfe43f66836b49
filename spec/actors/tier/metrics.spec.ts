import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CoreBroker } from '../../../actors/broker/broker.ts'
import { brokerDefaults } from '../../../actors/broker/settings.ts'
import { BrokerMetrics } from '../../../actors/metrics/broker-metrics.ts'
import { TierTallies } from '../../../actors/tier/tier-tallies.ts'
import { systemClock, systemRandom } from '../../../index.ts'
import type { TierTopicStatus } from '../../../model/tier/tier-admin.ts'
import { PrometheusMetrics } from '../../../protocols/metrics/prometheus.ts'
import { MemoryPlace } from '../../../storage/memory/memory-place.ts'
import type { SentRequest } from '../../../storage/ports/object-store.ts'
import { queueStatus, ScriptedTier, tierStatus, topicStatus } from '../../support/scripted-tier.ts'

interface Context {
  broker: CoreBroker
  tier: ScriptedTier
  tallies: TierTallies
  /** Lines of series in which all of these stand. */
  series: (...parts: readonly string[]) => Promise<string[]>
}

const logger = { info: () => {}, warn: () => {}, error: () => {} }

const Metrics = suite<Context>('metrics of the tier')

Metrics.before.each(async (context) => {
  const place = new MemoryPlace({ random: systemRandom })
  const components = { clock: systemClock, logger, place, inspect: undefined }
  const broker = await CoreBroker.open(components, brokerDefaults)
  const tier = new ScriptedTier()
  const tallies = new TierTallies()
  const source = new BrokerMetrics(broker, { tiering: tier, tallies })
  const metrics = new PrometheusMetrics([source], { clock: systemClock })
  Object.assign(context, { broker, tier, tallies })
  context.series = async (...parts) =>
    (await metrics.text())
      .split('\n')
      .filter((line) => !line.startsWith('#') && parts.every((part) => line.includes(part)))
})
Metrics.after.each(({ broker }) => broker.close())

/** What the tier tells of a topic that the broker has. */
const told = (
  { broker }: Context,
  name: string,
  status: Partial<TierTopicStatus> = {},
): TierTopicStatus => {
  const topicId = broker.state.topicNamed(name)?.topicId ?? 0
  return topicStatus({ topic: name, topicId, ...status })
}

const request = (some: Partial<SentRequest> = {}): SentRequest => ({
  ...{ kind: 'put', key: 'ab/17/0-0000000000000000.segment', ok: true, ms: 90 },
  ...{ sentBytes: 0, receivedBytes: 0 },
  ...some,
})

const valueIn = (lines: readonly string[]): number => Number(lines[0]?.split(' ').at(-1))

Metrics('a broker without a tier has none', async (context) => {
  context.tier.told = undefined
  const lines = [...(await context.series('tier')), ...(await context.series('storage_type="t'))]
  assert.equal(lines, [])
})

Metrics('a topic has series while it is there, whatever the tier still removes', async (c) => {
  await c.broker.topics.create('orders', { queues: 1 })
  await c.broker.topics.create('orders-', { queues: 1 })
  const orders = told(c, 'orders')
  c.tallies.noteOffloaded(orders.topicId, { sections: [] })
  c.tier.told = tierStatus({ topics: [orders, told(c, 'orders-')] })
  const before = await c.series('topic="orders"', 'tier')
  assert.ok(before.length > 10, before.join('\n'))
  const neighbours = await c.series('topic="orders-"', 'tier')
  await c.broker.topics.end('orders')
  // The store is away: the objects are still there, and the tier says so.
  c.tier.told = tierStatus({ topics: [{ ...orders, state: 'droppingTier' }, told(c, 'orders-')] })
  assert.equal(await c.series('topic="orders"'), [])
  assert.equal(await c.series('topic="orders-"', 'tier'), neighbours)
  assert.is(valueIn(await c.series('glasspost_tier_topics_dropping')), 1)
  // Its name may be another's at once, which has series of its own only.
  await c.broker.topics.create('orders', { queues: 1 })
  const again = told(c, 'orders', { objects: 0, bytes: 0 })
  c.tier.told = tierStatus({ topics: [{ ...orders, state: 'droppingTier' }, again] })
  const objects = await c.series('glasspost_tier_objects', 'topic="orders"')
  assert.equal([objects.length, valueIn(objects)], [1, 0])
})

Metrics('queues are counted by state, and no stuck one is hidden', async (c) => {
  await c.broker.topics.create('orders', { queues: 4 })
  const states = ['offloading.uploading', 'holding', 'backingOff', 'something new']
  const queues = states.map((state, queueId) => queueStatus({ queueId, state }))
  c.tier.told = tierStatus({ topics: [told(c, 'orders', { queues })] })
  const inState = async (state: string) =>
    valueIn(await c.series('glasspost_tier_queues{', `state="${state}"`))
  const expected = { offloading: 1, holding: 1, backingOff: 1, 'something new': 1, conflict: 0 }
  for (const [state, count] of Object.entries(expected))
    assert.is(await inState(state), count, state)
  assert.is(valueIn(await c.series('glasspost_tier_stuck_queues', 'topic="orders"')), 2)
})

Metrics("RocketMQ's names and labels", async (c) => {
  await c.broker.topics.create('orders', { queues: 1 })
  const orders = told(c, 'orders', { queues: [queueStatus({ behind: 7 })] })
  c.tier.told = tierStatus({ topics: [orders] })
  const sections = [{ queueId: 0, from: 5, to: 12 }] as never
  c.tallies.noteOffloaded(orders.topicId, { sections })
  const stored = ['storage_type="tiered"', 'storage_medium="blob"']
  const ofQueue = [...stored, 'topic="orders"', 'queue_id="0"', 'file_type="segment"']
  const value = async (name: string, ...labels: string[]) =>
    valueIn(await c.series(`${name}{`, ...labels))
  assert.is(await value('rocketmq_tiered_store_dispatch_behind', ...ofQueue), 7)
  assert.is(await value('rocketmq_tiered_store_messages_dispatch_total', ...ofQueue), 7)
  assert.is(await value('rocketmq_storage_size', ...stored, 'topic="orders"'), orders.bytes)
  assert.is(await value('rocketmq_tiered_store_read_ahead_cache_count', ...stored), 12)
  assert.is(await value('rocketmq_tiered_store_read_ahead_cache_bytes', ...stored), 3 << 20)
})

Metrics('requests are timed and weighed by kind, file and outcome', async (c) => {
  c.tallies.note(request({ sentBytes: 5 << 20 }))
  c.tallies.note(request({ ok: false, ms: 2_000 }))
  c.tallies.note(request({ kind: 'get', receivedBytes: 2_000 }))
  c.tallies.note(request({ key: 'ab/17/manifest.json' }))
  const name = 'rocketmq_tiered_store_provider'
  const put = ['operation="put"', 'file_type="segment"', 'path="0f3a5c7e9b1d2f40"']
  const upTo = async (le: string, ...labels: string[]) =>
    valueIn(await c.series(`${name}_rpc_latency_bucket`, ...labels, `le="${le}"`))
  assert.equal([await upTo('10', ...put), await upTo('100', ...put, 'success="true"')], [0, 1])
  assert.is(await upTo('1500', ...put, 'success="false"'), 0)
  assert.is(await upTo('3000', ...put, 'success="false"'), 1)
  assert.is(await upTo('+Inf', 'file_type="manifest"'), 1)
  assert.is(valueIn(await c.series(`${name}_upload_bytes_sum`, 'operation="put"')), 5 << 20)
  assert.is(valueIn(await c.series(`${name}_download_bytes_sum`, 'operation="get"')), 2_000)
})

Metrics('cost, budget and memory', async (c) => {
  await c.broker.topics.create('orders', { queues: 1 })
  const cost = { perMonth: 6, budgetPerMonth: 5, isPaused: true }
  c.tier.told = tierStatus({ topics: [told(c, 'orders', { costPerMonth: 4 })], cost })
  const expected = {
    'glasspost_tier_cost_per_month{': 4,
    glasspost_tier_total_cost_per_month: 6,
    glasspost_tier_budget_per_month: 5,
    glasspost_tier_paused: 1,
    'glasspost_buffer_bytes{buffer="tier_uploads"': 32 << 20,
    'glasspost_buffer_bytes_max{buffer="tier_cache"': 64 << 20,
    glasspost_tier_buffers_high_water_bytes: 64 << 20,
    glasspost_tier_buffer_waiters: 0,
  }
  for (const [name, value] of Object.entries(expected))
    assert.is(valueIn(await c.series(name)), value, name)
})

Metrics('what is counted of a topic is forgotten with it', ({ tallies }) => {
  tallies.noteOffloaded(17, { sections: [] })
  tallies.forget(17)
  assert.equal([...tallies.topics], [])
})

Metrics.run()
