import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BrokerMetrics } from '../../../actors/metrics/broker-metrics.ts'
import { AGroup } from './a-group.ts'

const SECOND = 1_000

/** What a scrape tells of the group: lag, in flight, ready, and ages in seconds. */
const told = async (world: AGroup): Promise<readonly number[]> => {
  const metrics = new BrokerMetrics(world.broker)
  await world.until(metrics.prepare())
  const samples = [...metrics.samples()]
  const valueOf = (name: string): number =>
    samples.find((sample) => sample.name === `rocketmq_consumer_${name}`)?.value ?? Number.NaN
  return [
    ...['lag_messages', 'inflight_messages', 'ready_messages'].map(valueOf),
    ...['lag_latency', 'queueing_latency'].map((name) => valueOf(name) / SECOND),
  ]
}

const described = (world: AGroup) => world.broker.groups.describe('group').progress[0]

const Progress = suite('progress')

Progress('is told as it is at this moment, also of leases at which nobody looked', async () => {
  const world = await AGroup.open()
  await world.send(1)
  await world.clock.advance(5 * SECOND)
  await world.send(2)
  const held = await world.receive({ batchMax: 2 })
  assert.equal(await told(world), [3, 2, 1, 5, 0])
  await world.clock.advance(4 * SECOND)
  assert.equal(await told(world), [3, 2, 1, 9, 4])
  await world.clock.advance(6 * SECOND)
  assert.equal(await told(world), [3, 0, 3, 15, 15], 'the leases ended')
  const again = await world.receive()
  assert.equal(await told(world), [3, 3, 0, 15, 0])
  await world.ack(again.slice(0, 1))
  assert.equal(await told(world), [2, 2, 0, 10, 0])
  await world.ack(again)
  assert.equal(await told(world), [0, 0, 0, 0, 0])
  assert.is(held.length, 2)
  await world.close()
})

Progress('tells ages after a restart, when nothing is in memory', async () => {
  const world = await AGroup.open({ blockCacheBytes: 0 })
  await world.send(3)
  await world.ack(await world.receive({ batchMax: 1 }))
  await world.flush()
  await world.clock.advance(7 * SECOND)
  await world.restart()
  assert.is(described(world)?.oldestUnackedAgeMs, undefined, 'not guessed')
  assert.equal(await told(world), [2, 0, 2, 7, 7])
  assert.is(described(world)?.oldestUnackedAgeMs, 7 * SECOND)
  assert.is(described(world)?.ready, 2)
  await world.close()
})

Progress('of a group that begins with the latest counts nothing of before', async () => {
  const world = await AGroup.open({ groupsStartFrom: 'latest' })
  await world.send(3)
  assert.is((await world.receive()).length, 0)
  assert.equal(await told(world), [0, 0, 0, 0, 0])
  await world.send(1)
  assert.equal((await told(world)).slice(0, 3), [1, 0, 1])
  await world.close()
})

Progress('counts what a reset brings back, and forgets what it passes over', async () => {
  const world = await AGroup.open()
  await world.send(4)
  await world.ack(await world.receive())
  const reset = async (at: 'earliest' | 'latest') => {
    const work = world.broker.groups.resetOffsets('group', { topic: 'topic', to: { at } })
    await world.until(work)
    return (await told(world)).slice(0, 3)
  }
  assert.equal(await reset('earliest'), [4, 0, 4])
  await world.receive({ batchMax: 1 })
  assert.equal(await reset('latest'), [0, 0, 0])
  await world.close()
})

Progress.run()
