import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { audit } from '../../actors/audit/audit.ts'
import { CoreBroker } from '../../actors/broker/broker.ts'
import { brokerSettingsOf } from '../../actors/broker/settings.ts'
import { BrokerMetrics } from '../../actors/metrics/broker-metrics.ts'
import { systemClock, systemRandom } from '../../index.ts'
import { tagFilter } from '../../model/delivery/filter.ts'
import { isBrokerError } from '../../model/errors.ts'
import { encodeDraft } from '../../model/message/encode.ts'
import { PrometheusMetrics } from '../../protocols/metrics/prometheus.ts'
import { MemoryPlace } from '../../storage/memory/memory-place.ts'
import { eventually } from '../support/waiting.ts'

/** RocketMQ's corner cases of owners, offsets and statistics (docs/corner-cases-owners.md). */
const quiet = { info: () => {}, warn: () => {}, error: () => {} }

const open = async (place = new MemoryPlace({ random: systemRandom })) => {
  const settings = brokerSettingsOf({ upkeepRestMs: 20 })
  const broker = await CoreBroker.open({ clock: systemClock, logger: quiet, place }, settings)
  const metrics = new PrometheusMetrics([new BrokerMetrics(broker)], { clock: systemClock })
  return {
    ...{ broker, metrics, place },
    residue: async () => (await audit(broker, metrics, 1_000)).residue,
    [Symbol.asyncDispose]: () => broker.close(),
  }
}

const draft = (body: string) =>
  encodeDraft({ body }, { messageId: 'id', bornAtMs: 1, bornHost: 'host' })

const request = { filter: tagFilter('*'), batchMax: 32, waitMs: 0, invisibleMs: 30_000 }

const fill = async (broker: CoreBroker, topic: string, count: number): Promise<void> => {
  for (let index = 0; index < count; index++) await broker.append(topic, draft(`${index}`))
}

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (isBrokerError(error) ? error.code : String(error)),
  )

const OwnersSpec = suite('corner cases of owners')

OwnersSpec(
  '#4774, #8479: a topic created anew begins at 0, and nobody lags behind it',
  async () => {
    await using opened = await open()
    const { broker } = opened
    await broker.topics.create('orders', { queues: 1 })
    await fill(broker, 'orders', 10)
    const { deliveries } = await broker.receive({ ...request, topic: 'orders', group: 'billing' })
    assert.is(deliveries.length, 10)
    await broker.topics.end('orders')
    const { topicId, offsets } = await broker.topics.create('orders', { queues: 1 })
    assert.equal(offsets, [{ queueId: 0, offsetMin: 0, offsetMax: 0 }])
    assert.is.not(topicId, deliveries[0]?.handle.topicId)
    await broker.ack(deliveries[0]?.handle as never)
    await fill(broker, 'orders', 3)
    const again = await broker.receive({ ...request, topic: 'orders', group: 'billing' })
    assert.equal(
      again.deliveries.map(({ message, attempt }) => [message.queueOffset, attempt]),
      [
        [0, 1],
        [1, 1],
        [2, 1],
      ],
    )
    for (const { lag } of broker.groups.describe('billing').progress) assert.is(lag, 3)
  },
)

OwnersSpec('#8660, #9792: neither looking nor waiting makes a deleted topic anew', async () => {
  await using opened = await open()
  const { broker } = opened
  await broker.topics.create('orders', { queues: 2 })
  await fill(broker, 'orders', 1)
  await broker.receive({ ...request, topic: 'orders', group: 'billing' })
  const waiting = codeOf(
    broker.receive({ ...request, topic: 'orders', group: 'billing', waitMs: 60_000 }),
  )
  await eventually('it waits', () => broker.lot.parked === 1)
  await broker.topics.end('orders')
  assert.is(await waiting, 'TOPIC_ENDING')
  const late = broker.receive({ ...request, topic: 'orders', group: 'billing' })
  assert.is(await codeOf(late), 'TOPIC_NOT_FOUND')
  assert.throws(() => broker.topics.describe('orders'))
  assert.is(broker.topics.find('orders'), undefined)
  assert.equal(broker.groups.describe('billing').progress, [])
  assert.equal(broker.topics.list(), [])
  assert.equal(await opened.residue(), [])
})

OwnersSpec('#9454: deleting takes queues that no memory holds', async () => {
  const first = await open()
  await first.broker.topics.create('orders', { queues: 3 })
  await fill(first.broker, 'orders', 500)
  await first.broker.close()
  await using opened = await open(first.place)
  const { broker } = opened
  const { topicId } = broker.topics.describe('orders')
  await broker.topics.end('orders')
  const left: string[] = []
  for await (const key of broker.index.keys())
    if (Buffer.from(key).readUInt32BE(0) === topicId && key[4] !== 0x10)
      left.push(Buffer.from(key).toString('hex'))
  assert.equal(left, [])
  assert.equal(await opened.residue(), [])
})

OwnersSpec('1.4: when all is expired the offsets go on where they were', async () => {
  await using opened = await open()
  const { broker } = opened
  await broker.topics.create('orders', { queues: 1 })
  await fill(broker, 'orders', 7)
  await broker.topics.update('orders', { retention: { ageMs: 1 } })
  const bounds = () => broker.topics.describe('orders').offsets[0]
  await eventually('all is expired', () => bounds()?.offsetMin === 7)
  assert.is(bounds()?.offsetMax, 7)
  await broker.topics.update('orders', { retention: { ageMs: 60_000 } })
  assert.is((await broker.append('orders', draft('next'))).queueOffset, 7)
})

OwnersSpec('#9703, #9172, #9490: what a group knew goes with it, and with the topic', async () => {
  await using opened = await open()
  const { broker } = opened
  for (const topic of ['a', 'ab']) {
    await broker.topics.create(topic, { queues: 1 })
    await fill(broker, topic, 4)
    await broker.receive({ ...request, topic, group: 'a' })
    await broker.receive({ ...request, topic, group: 'ab' })
  }
  await broker.groups.end('a')
  const { deliveries } = await broker.receive({ ...request, topic: 'a', group: 'a' })
  assert.equal(
    deliveries.map(({ attempt }) => attempt),
    [1, 1, 1, 1],
    'a group of that name begins anew',
  )
  await broker.topics.end('a')
  const topics = broker.groups.describe('ab').progress.map(({ topic }) => topic)
  assert.equal(topics, ['ab'])
  const text = await opened.metrics.text()
  assert.not.match(text, 'topic="a"')
  assert.match(text, 'topic="ab"')
  assert.equal(await opened.residue(), [])
})

OwnersSpec('#551: an offset beyond the end holds nobody up', async () => {
  await using opened = await open()
  const { broker } = opened
  await broker.topics.create('orders', { queues: 1 })
  await fill(broker, 'orders', 3)
  await broker.groups.create('billing')
  const to = { at: 'offset', queueOffset: 1_000_000 } as const
  await broker.groups.resetOffsets('billing', { topic: 'orders', to })
  assert.is(broker.groups.describe('billing').progress[0]?.lag, 0)
  await fill(broker, 'orders', 1)
  const { deliveries } = await broker.receive({ ...request, topic: 'orders', group: 'billing' })
  assert.equal(
    deliveries.map(({ message }) => message.queueOffset),
    [3],
  )
})

OwnersSpec('8.4: an end while sends are in flight brings no series back', async () => {
  await using opened = await open()
  const { broker, metrics } = opened
  await broker.topics.create('kept', { queues: 1 })
  const seriesOf = async (): Promise<string[]> =>
    (await metrics.text()).split('\n').map((line) => line.replace(/ \S+$/, ''))
  const isLookedAt = async () => /^glasspost_disk_free_bytes/m.test(await metrics.text())
  await eventually('the disk was looked at', isLookedAt)
  // The first round makes what the broker itself counts by reason.
  let before: string[] = []
  for (let round = 0; round < 10; round++) {
    await broker.topics.create('gone', { queues: 1 })
    const sends = Array.from({ length: 20 }, (_, index) => broker.append('gone', draft(`${index}`)))
    const ended = broker.topics.end('gone')
    await Promise.allSettled([...sends, ended])
    assert.not.match(await metrics.text(), '"gone"')
    if (round === 0) before = await seriesOf()
  }
  assert.equal(await seriesOf(), before)
})

OwnersSpec.run()
