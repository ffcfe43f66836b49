import fc from 'fast-check'
import { Gauge } from 'prom-client'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { audit } from '../../actors/audit/audit.ts'
import { verifyBroker } from '../../actors/audit/verify-broker.ts'
import { backup } from '../../actors/backup/backup.ts'
import { eventually } from '../support/waiting.ts'
import { BrokerMetrics } from '../../actors/metrics/broker-metrics.ts'
import { CoreBroker } from '../../actors/broker/broker.ts'
import { brokerDefaults } from '../../actors/broker/settings.ts'
import { topicLogic } from '../../actors/topic/topic.actor.ts'
import { systemClock, systemRandom } from '../../index.ts'
import { tagFilter } from '../../model/delivery/filter.ts'
import { encodeDraft } from '../../model/message/encode.ts'
import { PrometheusMetrics } from '../../protocols/metrics/prometheus.ts'
import {
  deliveriesKey,
  namePageKey,
  nameRangeKey,
  queueBlockKey,
  topicKey,
} from '../../storage/codec/index-key.ts'
import { MemoryPlace } from '../../storage/memory/memory-place.ts'
import { holds } from '../support/property.ts'

const quiet = { info: () => {}, warn: () => {}, error: () => {} }
const RECLAIM_MS = 1_000

const openBroker = async () => {
  const place = new MemoryPlace({ random: systemRandom })
  const components = { clock: systemClock, logger: quiet, place }
  const broker = await CoreBroker.open(components, brokerDefaults)
  const metrics = new PrometheusMetrics([new BrokerMetrics(broker)], { clock: systemClock })
  return {
    broker,
    metrics,
    audit: () => audit(broker, metrics, RECLAIM_MS),
    [Symbol.asyncDispose]: () => broker.close(),
  }
}

const draft = (body: string) =>
  encodeDraft({ body }, { messageId: 'id', bornAtMs: 1, bornHost: 'host' })

const use = async (broker: CoreBroker, topic: string, group: string): Promise<void> => {
  await broker.topics.create(topic, { queues: 2 })
  for (let count = 0; count < 4; count++) await broker.append(topic, draft('x'))
  const request = { topic, group, filter: tagFilter('*'), batchMax: 3, waitMs: 0 }
  const { deliveries } = await broker.receive({ ...request, invisibleMs: 30_000 })
  const [first] = deliveries
  if (first) await broker.ack(first.handle)
}

const seriesOf = async (metrics: PrometheusMetrics, name: string): Promise<string[]> =>
  (await metrics.text()).split('\n').filter((line) => line.includes(`"${name}"`))

/** How long something has waited is another value at every look. */
const withoutAges = (lines: readonly string[]): string[] =>
  lines.map((line) => (/latency|_age_|_seconds/.test(line) ? line.replace(/ \S+$/, '') : line))

const Audit = suite('audit')

Audit('finds nothing while every owner lives, before and after a checkpoint', async () => {
  await using opened = await openBroker()
  await use(opened.broker, 'orders', 'billing')
  assert.equal((await opened.audit()).residue, [])
  await opened.broker.upkeep.checkpoint()
  assert.ok((await opened.audit()).clean)
})

Audit('finds a raw key under a dead owner, whatever kind it is', async () => {
  await using opened = await openBroker()
  const { broker } = opened
  await use(broker, 'orders', 'billing')
  const topicId = broker.topics.find('orders')?.topicId ?? 0
  const groupId = broker.groups.find('billing')?.groupId ?? 0
  const planted = [
    topicKey(900),
    queueBlockKey(901, 0, 0),
    queueBlockKey(topicId, 0, 7),
    queueBlockKey(topicId, 9, 0),
    deliveriesKey(902, topicId, 0),
    deliveriesKey(groupId, 903, 0),
    nameRangeKey(904),
    namePageKey(904, 1),
    Buffer.from('nonsense'),
  ]
  await broker.index.write(planted.map((key) => ({ type: 'put', key, value: Buffer.from([1]) })))
  const { clean, residue } = await opened.audit()
  assert.not(clean)
  const found = residue.filter(({ kind }) => kind === 'indexKey').map(({ what }) => what)
  assert.equal(found.sort(), planted.map((key) => key.toString('hex')).sort())
})

Audit('finds a series that was put into the registry behind its back', async () => {
  await using opened = await openBroker()
  const { registry } = opened.metrics
  const gauge = new Gauge({
    name: 'raw',
    help: 'raw',
    labelNames: ['topic'],
    registers: [registry],
  })
  gauge.set({ topic: 'gone' }, 1)
  const { residue } = await opened.audit()
  assert.equal(
    residue.map(({ owner, kind }) => [owner, kind]),
    [['topic gone', 'metricSeries']],
  )
})

Audit('finds a chunk where the log was trimmed, and an actor without its topic', async () => {
  await using opened = await openBroker()
  const { broker } = opened
  await use(broker, 'orders', 'billing')
  broker.state.space.gaps = [0, 10]
  const dead = broker.state.topicShell(500)
  const { state, log, index } = broker
  const deps = {
    ...{ state, log, index, clock: systemClock },
    dropDeferred: async () => {},
    stopTier: async () => {},
    dropTier: async () => {},
    onEnded: () => {},
  }
  broker.supervisions.topics.start('topic:500', topicLogic(deps), () => ({
    topicId: dead.topicId,
    status: 'serving',
  }))
  broker.state.topics.delete(500)
  broker.state.topicShell(501).status = 'dropped'
  broker.supervisions.topics.start('topic:501', topicLogic(deps), () => ({
    topicId: dead.topicId,
    status: 'serving',
  }))
  const kinds = (await opened.audit()).residue.map(({ kind, what }) => `${kind} ${what}`)
  assert.ok(kinds.includes('logChunk 0'), String(kinds))
  assert.ok(kinds.includes('actor topic:500'), String(kinds))
  assert.ok(kinds.includes('actor topic:501'), String(kinds))
  broker.state.space.gaps = []
})

Audit('finds a timer whose owner is gone, and one that nobody has', async () => {
  await using opened = await openBroker()
  const { broker } = opened
  await use(broker, 'orders', 'billing')
  const request = { topic: 'orders', group: 'billing', filter: tagFilter('*'), batchMax: 8 }
  await broker.receive({ ...request, waitMs: 0, invisibleMs: 30_000 })
  const waiting = broker.receive({ ...request, waitMs: 200, invisibleMs: 30_000 })
  await eventually('it waits', () => broker.lot.parked === 1)
  assert.equal((await opened.audit()).residue, [], 'a receive that waits is owned')
  const groupId = broker.groups.find('billing')?.groupId ?? 0
  const cancels = [`group:${groupId} topic:800`, 'topic:801', 'nobody'].map((owner) =>
    broker.clock.afterFor(owner, 60_000, () => {}),
  )
  const { residue } = await opened.audit()
  assert.equal(
    residue.map(({ owner, kind }) => `${kind} ${owner}`),
    ['timer topic:800', 'timer topic:801', 'timer nobody'],
  )
  assert.match(residue[0]?.what ?? '', /^due in \d+ ms$/)
  for (const cancel of cancels) cancel()
  await waiting
  assert.ok((await opened.audit()).clean)
})

Audit('leaves no timer behind an owner that ends while receives wait', async () => {
  await using opened = await openBroker()
  const { broker } = opened
  await use(broker, 'orders', 'billing')
  const request = { topic: 'orders', filter: tagFilter('*'), batchMax: 8, waitMs: 60_000 }
  await broker.receive({ ...request, group: 'billing', invisibleMs: 30_000 })
  const receiveOn = async (group: string): Promise<void> => {
    for (;;) await broker.receive({ ...request, group, invisibleMs: 30_000 })
  }
  const waiting = Promise.allSettled(['billing', 'other'].map(receiveOn))
  await eventually('both wait', () => broker.lot.parked === 2)
  await broker.topics.end('orders')
  await waiting
  assert.equal(broker.lot.parked, 0)
  assert.equal((await opened.audit()).residue, [])
})

Audit('finds a snapshot that nobody reads, and none that somebody does', async () => {
  await using opened = await openBroker()
  const { broker } = opened
  await use(broker, 'orders', 'billing')
  await broker.upkeep.checkpoint()
  const reading = [backup(broker, { writtenBy: 'spec' }), verifyBroker(broker)]
  for (const stream of reading) await stream.next()
  assert.ok((await opened.audit()).clean, 'backup and verification are read')
  const left = [broker.log.chunks.snapshot(), broker.index.snapshot()]
  const { residue } = await opened.audit()
  assert.equal(
    residue.map(({ owner, kind, what }) => `${kind} ${owner}: ${what}`),
    ['handle commit-log: 1 open snapshots', 'handle index: 1 open snapshots'],
  )
  for (const snapshot of left) await snapshot.close()
  for (const stream of reading) await stream.return(undefined)
  assert.ok((await opened.audit()).clean)
  assert.is(broker.readers.size, 0)
})

Audit('is clean after any order of using and ending, and no neighbour loses a series', () =>
  holds(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(3), fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 12 }),
      async (steps) => {
        await using opened = await openBroker()
        const { broker, metrics } = opened
        await use(broker, 'a', 'a')
        const before = withoutAges(await seriesOf(metrics, 'a'))
        for (const [number, topicFirst, checkpointed] of steps) {
          const name = ['ab', 'a-b', 'aa', 'b_a'][number] as string
          await use(broker, name, name)
          if (checkpointed) await broker.upkeep.checkpoint()
          if (topicFirst) await broker.topics.end(name)
          await broker.groups.end(name)
          if (!topicFirst) await broker.topics.end(name)
          assert.equal((await opened.audit()).residue, [])
          assert.equal(await seriesOf(metrics, name), [])
        }
        assert.equal(withoutAges(await seriesOf(metrics, 'a')), before)
        assert.equal(broker.supervisions.topics.size, 1)
      },
    ),
    { runs: 20 },
  ),
)

Audit('tells what awaits reclaim, and until when', async () => {
  await using opened = await openBroker()
  await use(opened.broker, 'orders', 'billing')
  await opened.broker.topics.end('orders')
  const [waiting] = (await opened.audit()).awaitingReclaim
  assert.is(waiting?.name, 'orders')
  assert.ok((waiting?.bytes ?? 0) > 0)
  assert.ok((waiting?.byMs ?? 0) > systemClock.wallMs())
})

Audit.run()
