import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BrokerMetrics } from '../../../actors/metrics/broker-metrics.ts'
import { AGroup } from '../consumer-group/a-group.ts'

const valuesOf = (world: AGroup): Record<string, number> => {
  const values: Record<string, number> = {}
  for (const { name, part = '', labels, value } of new BrokerMetrics(world.broker).samples())
    if (/buffered|flush|unsynced/.test(name))
      values[[name + part, labels['le'] ?? ''].join(' ').trim()] = value
  return values
}

const Flushes = suite('flushes')

Flushes(
  'show what waits for a slow disk and for how long, and nothing when it is over',
  async () => {
    const world = await AGroup.open()
    await world.until(world.broker.groups.create('group'))
    await world.send(10)
    world.lives.place.slowWrites('commit-log', 500)
    const begunMs = world.clock.monotonicMs()
    const deliveries = await world.receive({ batchMax: 10 })
    await world.ack(deliveries)
    assert.is(world.clock.monotonicMs(), begunMs, 'nobody waits for it')
    await world.clock.advance(200)
    const during = valuesOf(world)
    assert.is(during['glasspost_buffered_facts'], 11)
    assert.ok((during['glasspost_buffered_bytes'] ?? 0) > 11 * 8)
    assert.is(during['glasspost_unsynced_age_seconds'], 0.2)
    await world.flush()
    await world.clock.advance(1_000)
    const after = valuesOf(world)
    for (const name of [
      'buffered_facts',
      'buffered_bytes',
      'unsynced_bytes',
      'unsynced_age_seconds',
    ])
      assert.is(after[`glasspost_${name}`], 0, name)
    assert.is(after['rocketmq_storage_flush_behind_bytes'], 0)
    assert.is(after['glasspost_flush_last_seconds'], 0.5)
    assert.is(after['glasspost_flush_seconds_bucket 0.5'], after['glasspost_flush_seconds_count'])
    assert.is(after['glasspost_flush_seconds_bucket 0.2'], during['glasspost_flush_seconds_count'])
    assert.is(after['glasspost_flush_failures_total'], 0)
    await world.close()
  },
)

Flushes('count their failures, and keep the age of what waits until it is written', async () => {
  const world = await AGroup.open()
  await world.until(world.broker.groups.create('group'))
  await world.send(2)
  world.lives.place.failWrites('commit-log', { error: 'EIO', leaves: 'nothing', count: 2 })
  await world.receive()
  await world.clock.advance(40)
  const during = valuesOf(world)
  assert.is(during['glasspost_flush_failures_total'], 2, 'the facts, and the probe after them')
  assert.is(during['glasspost_buffered_facts'], 1)
  assert.is(during['glasspost_unsynced_age_seconds'], 0.04)
  await world.clock.advance(1_000)
  const after = valuesOf(world)
  assert.is(after['glasspost_buffered_facts'], 0)
  assert.is(after['glasspost_unsynced_age_seconds'], 0)
  await world.close()
})

Flushes.run()
