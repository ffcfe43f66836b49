import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { trim } from '../../../actors/upkeep/trim.ts'
import { tagFilter } from '../../../model/delivery/filter.ts'
import { TierScene } from './scene.ts'

/** rocketmq-core 8.3: a minimum offset that is remembered points into what was deleted. */
const Minimum = suite('rocketmq 8.3: the minimum is what is there')

const MINUTE_MS = 60_000

/** Upstream's numbers: one object holds 6 to 19, the next 20 to 29. The log has none of them. */
const twoSegments = async (): Promise<TierScene> => {
  const scene = await TierScene.open({
    tier: { segmentBytes: 1 << 20, bufferBytes: 4 << 20 },
    settings: { local: { ageMs: MINUTE_MS, bytes: 0 } },
  })
  await scene.create('topic', { retention: { ageMs: 60 * MINUTE_MS, bytes: 0 } })
  await scene.until(scene.broker.groups.create('group'))
  await scene.send('topic', 20)
  await trimTo(scene, 6)
  await scene.offload('topic')
  await scene.clock.advance(30 * MINUTE_MS)
  await scene.send('topic', 10)
  await scene.offload('topic')
  await scene.clock.advance(2 * MINUTE_MS)
  const sections = scene.topic('topic').tier.sectionsOf(0)
  assert.equal(
    sections.map(({ from, to }) => [from, to]),
    [
      [6, 20],
      [20, 30],
    ],
  )
  assert.is(boundsOf(scene).localMin, 30)
  return scene
}

const trimTo = (scene: TierScene, offset: number): Promise<void> => {
  const { state, log, index, clock, components } = scene.broker
  const deps = { state, log, index, clock, logger: components.logger }
  const topic = scene.topic('topic')
  return scene.until(trim(deps, topic, topic.queues[0] as never, offset))
}

const boundsOf = (scene: TierScene) => {
  const [queue] = scene.topic('topic').queues
  const { offsetMin = -1, offsetMax = -1, localMin = -1 } = queue ?? {}
  return { offsetMin, offsetMax, localMin }
}

const received = async (scene: TierScene, batchMax = 4): Promise<number[]> => {
  const request = { topic: 'topic', group: 'group', filter: tagFilter('*'), waitMs: 0 }
  const { deliveries } = await scene.until(
    scene.broker.receive({ ...request, batchMax, invisibleMs: 30_000 }),
  )
  return deliveries.map(({ message }) => message.queueOffset)
}

const peeked = (scene: TierScene, fromOffset: number) =>
  scene
    .until(scene.broker.messages.peek({ topic: 'topic', queueId: 0, fromOffset, limit: 3 }))
    .then((views) => views.map(({ queueOffset }) => queueOffset))

Minimum('steps 2 and 4: expiry moves it at once, once, and a restart finds it there', async () => {
  const scene = await twoSegments()
  assert.is(boundsOf(scene).offsetMin, 6)
  await scene.clock.advance(29 * MINUTE_MS)
  assert.is(boundsOf(scene).offsetMin, 20)
  assert.is(scene.broker.topics.describe('topic').offsets[0]?.offsetMin, 20)
  assert.is(scene.segments().length, 1, 'its object has gone')
  await scene.until(scene.tier.expiry.expire())
  assert.is(boundsOf(scene).offsetMin, 20)
  await scene.close()
  await scene.start()
  assert.is(boundsOf(scene).offsetMin, 20)
  scene.kill()
  await scene.start()
  assert.equal(boundsOf(scene), { offsetMin: 20, offsetMax: 30, localMin: 30 })
  await scene.close()
})

Minimum(
  'step 3: who asks for 6 or 19 gets 20, and a group that stood at 10 goes on there',
  async () => {
    const scene = await twoSegments()
    assert.equal(await received(scene, 4), [6, 7, 8, 9])
    await scene.clock.advance(29 * MINUTE_MS)
    for (const offset of [6, 19]) assert.equal(await peeked(scene, offset), [20, 21, 22])
    assert.equal(await received(scene, 4), [20, 21, 22, 23])
    await scene.close()
  },
)

Minimum('step 5: reading while it expires never fails and never goes back', async () => {
  const scene = await twoSegments()
  let first = 0
  for (let round = 0; round < 40; round++) {
    const reading = scene.broker.messages.peek({
      ...{ topic: 'topic', queueId: 0 },
      fromOffset: 6,
      limit: 3,
    })
    const [views] = await Promise.all([scene.until(reading)])
    const offset = views[0]?.queueOffset ?? 30
    assert.ok(offset >= first, `${offset} after ${first}`)
    first = offset
    await scene.clock.advance(MINUTE_MS)
  }
  assert.is(first, 20)
  await scene.close()
})

Minimum(
  'step 6: when all has expired, minimum and maximum are one, and offsets go on',
  async () => {
    const scene = await twoSegments()
    await scene.clock.advance(120 * MINUTE_MS)
    assert.equal(boundsOf(scene), { offsetMin: 30, offsetMax: 30, localMin: 30 })
    assert.is(scene.segments().length, 0)
    assert.equal(await peeked(scene, 0), [])
    const found = await scene.until(scene.broker.messages.find({ topic: 'topic', fromMs: 0 }))
    assert.equal(found, [])
    await scene.send('topic', 2)
    assert.equal(boundsOf(scene), { offsetMin: 30, offsetMax: 32, localMin: 30 })
    assert.equal(await peeked(scene, 0), [30, 31])
    await scene.close()
  },
)

Minimum('step 7: a search by a time in what was deleted finds 20', async () => {
  const scene = await twoSegments()
  const fromMs = scene.clock.wallMs() - 32 * MINUTE_MS
  await scene.clock.advance(29 * MINUTE_MS)
  const found = await scene.until(scene.broker.messages.find({ topic: 'topic', fromMs, limit: 1 }))
  assert.equal(
    found.map(({ queueOffset }) => queueOffset),
    [20],
  )
  await scene.close()
})

Minimum('units go before bodies: what the store loses is nobody’s any more', async () => {
  const scene = await twoSegments()
  const topic = scene.topic('topic')
  let removed = 0
  scene.store.onCall = (call, key) => {
    if (call !== 'remove') return
    removed++
    assert.is(boundsOf(scene).offsetMin, 20, `${key} is removed when the topic does not claim it`)
    assert.is(topic.tier.sectionsOf(0).length, 1)
  }
  await scene.clock.advance(29 * MINUTE_MS)
  assert.is(removed, 1)
  await scene.close()
})

Minimum('a store that does not remove is asked again, and holds up nothing', async () => {
  const scene = await twoSegments()
  let calls = 0
  scene.store.fault = (call) => (call === 'remove' && ++calls > 0 ? 'fail' : undefined)
  await scene.clock.advance(29 * MINUTE_MS)
  assert.is(boundsOf(scene).offsetMin, 20)
  assert.ok(calls > 2 && calls < 100, `${calls} calls`)
  assert.is(scene.tier.expiry.loop.state, 'backingOff')
  scene.store.fault = () => undefined
  await scene.clock.advance(MINUTE_MS)
  assert.is(scene.segments().length, 1)
  await scene.close()
})

Minimum('size counts what the tier has, and the oldest goes first', async () => {
  const scene = await twoSegments()
  await scene.until(
    scene.broker.topics.update('topic', { retention: { ageMs: 1e9, bytes: 2_500 } }),
  )
  await scene.clock.advance(MINUTE_MS)
  assert.is(boundsOf(scene).offsetMin, 20)
  await scene.close()
})

Minimum.run()
