import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { range, TierScene } from './scene.ts'

/** rocketmq-core 8.1: a dispatcher that decides to wait leaks the buffer of what it looked at. */
const Holding = suite('rocketmq 8.1: holding leaks nothing')

const HOUR_MS = 3_600_000

/** Steps 1 to 4; resolves with the topic at rest. */
const slowTopic = async (scene: TierScene): Promise<void> => {
  await scene.create('S', { retention: { ageMs: 48 * HOUR_MS, bytes: 0 } })
  await scene.create('others', { queues: 4 })
  const before = { ...scene.tier.pool.gauges }
  const extentsBefore = scene.broker.state.space.gaps.length
  for (let tick = 0; tick < 20; tick++) {
    await scene.send('S', 1)
    await scene.clock.advance(1_000)
    assert.is(scene.stateOf('S'), 'holding')
    const { buffers, bytes, waiters } = scene.tier.pool.gauges
    assert.equal({ buffers, bytes, waiters }, { buffers: 0, bytes: 0, waiters: 0 })
  }
  assert.equal(scene.tier.pool.gauges, before, 'who waits has touched no buffer at all')
  await scene.send('others', 200, 500)
  await scene.clock.advance(60_000)
  assert.is(scene.endOf('S'), 20)
  await scene.clock.advance(2 * HOUR_MS)
  const [queue] = scene.topic('S').queues
  assert.is(queue?.localMin, 20, 'the log has let go of it')
  assert.ok(scene.broker.state.space.gaps.length > extentsBefore, 'and its space was given back')
  assert.ok(scene.broker.log.chunks.snapshots === 0)
  assert.ok(scene.isAtRest)
  assert.equal(scene.offsetsInStore('S'), range(0, 20))
}

const settings = { local: { ageMs: HOUR_MS, bytes: 0 } }

Holding('steps 1 to 4: a slow topic, then other traffic, then retention', async () => {
  const scene = await TierScene.open({ settings })
  await slowTopic(scene)
  await scene.close()
})

Holding('step 5: the same while every second write fails', async () => {
  const scene = await TierScene.open({ settings })
  let puts = 0
  scene.store.fault = (call) => (call === 'put' && puts++ % 2 === 1 ? 'fail' : undefined)
  await slowTopic(scene)
  assert.ok(puts > 10)
  await scene.close()
})

Holding('step 5: the same while every second answer is lost', async () => {
  const scene = await TierScene.open({ settings })
  let puts = 0
  scene.store.fault = (call) => (call === 'put' && puts++ % 2 === 0 ? 'after' : undefined)
  await slowTopic(scene)
  await scene.close()
})

Holding('step 6: a first message larger than a segment goes alone (#10998)', async () => {
  const scene = await TierScene.open()
  await scene.create('large')
  await scene.send('large', 1, 30_000)
  await scene.send('large', 3)
  await scene.clock.advance(1_000)
  assert.is(scene.endOf('large'), 1, 'alone')
  await scene.clock.advance(31_000)
  assert.equal(scene.offsetsInStore('large'), range(0, 4))
  assert.ok(scene.tier.pool.gauges.highWaterBytes > 30_000)
  assert.ok(scene.isAtRest)
  await scene.close()
})

Holding.run()
