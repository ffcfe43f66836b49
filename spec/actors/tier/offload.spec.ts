import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../../model/errors.ts'
import { range, TierScene } from './scene.ts'

const Offload = suite('offload')

Offload('a queue with enough goes at once, whole and once, and is followed again', async () => {
  const scene = await TierScene.open()
  await scene.create('orders')
  await scene.send('orders', 40, 200)
  await scene.clock.advance(1_000)
  assert.is(scene.stateOf('orders'), 'holding', 'the rest waits for company')
  const end = scene.endOf('orders') ?? 0
  assert.ok(end > 12 && end < 40, `${end}`)
  assert.equal(scene.offsetsInStore('orders'), range(0, end))
  await scene.clock.advance(31_000)
  assert.is(scene.stateOf('orders'), 'following')
  assert.equal(scene.offsetsInStore('orders'), range(0, 40))
  assert.is(scene.tier.offloader.size, 0, 'a queue without work has no chart')
  assert.ok(scene.isAtRest)
  await scene.close()
})

Offload('slow queues of a topic share an object', async () => {
  const scene = await TierScene.open()
  await scene.create('slow', { queues: 8 })
  await scene.send('slow', 24)
  await scene.clock.advance(29_000)
  assert.is(scene.segments().length, 0)
  for (const queueId of range(0, 8)) assert.is(scene.stateOf('slow', queueId), 'holding')
  await scene.clock.advance(3_000)
  assert.is(scene.segments().length, 1)
  for (const queueId of range(0, 8)) {
    assert.is(scene.stateOf('slow', queueId), 'following')
    assert.equal(scene.offsetsInStore('slow', queueId), [0, 1, 2])
  }
  await scene.close()
})

Offload('a busy queue costs two writes for a segment of what it was sent', async () => {
  const scene = await TierScene.open()
  await scene.create('busy')
  await scene.send('busy', 400, 1_000)
  await scene.clock.advance(5_000)
  const { requests } = scene.tier.requests.traffic(scene.topic('busy').topicId)
  assert.ok(requests.put <= (2 * 400 * 1_100) / 4_096, `${requests.put} puts`)
  await scene.close()
})

Offload('dead letters stay where they are', async () => {
  const scene = await TierScene.open()
  await scene.create('%DLQ%group')
  await scene.send('%DLQ%group', 100)
  await scene.clock.advance(60_000)
  assert.is(scene.objects.size, 0)
  await scene.close()
})

Offload('local data goes only when the tier has it, and then it goes', async () => {
  const scene = await TierScene.open({ settings: { local: { ageMs: 60_000, bytes: 0 } } })
  await scene.create('orders')
  await scene.send('orders', 40, 200)
  scene.store.fault = (call) => (call === 'put' ? 'fail' : undefined)
  await scene.clock.advance(120_000)
  const [queue] = scene.topic('orders').queues
  assert.is(queue?.localMin, 0)
  assert.is(scene.stateOf('orders'), 'backingOff')
  assert.match(scene.tier.offloader.describe(1, 0)?.reason ?? '', /put failed/)
  scene.store.fault = () => undefined
  await scene.clock.advance(10_000)
  assert.is(queue?.localMin, 40)
  assert.is(queue?.offsetMin, 0)
  assert.equal(scene.offsetsInStore('orders'), range(0, 40))
  await scene.close()
})

Offload(
  'history that the tier was too slow for is dropped, and no hole is ever visible',
  async () => {
    const retention = { ageMs: 100_000, bytes: 0 }
    const scene = await TierScene.open()
    await scene.create('orders', { retention })
    await scene.send('orders', 10)
    await scene.offload('orders')
    assert.is(scene.endOf('orders'), 10)
    scene.store.fault = (call) => (call === 'put' ? 'fail' : undefined)
    await scene.send('orders', 10)
    await scene.clock.advance(60_000)
    await scene.send('orders', 5)
    await scene.clock.advance(60_000)
    const [queue] = scene.topic('orders').queues
    assert.is(queue?.localMin, 20)
    assert.is(queue?.offsetMin, 20)
    assert.is(scene.endOf('orders'), undefined)
    assert.ok(scene.lines.some((line) => line.includes('begins anew')))
    scene.store.fault = () => undefined
    await scene.clock.advance(10_000)
    assert.equal(scene.offsetsInStore('orders'), range(20, 25))
    assert.is(scene.segments().length, 1, 'the older object has gone')
    await scene.close()
  },
)

Offload('a broker without its tier says whose history is missing', async () => {
  const scene = await TierScene.open()
  await scene.create('orders')
  await scene.send('orders', 10)
  await scene.offload('orders')
  await scene.close()
  const refused = await scene.start({ isTierOff: true }).then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.ok(isBrokerError(refused, 'TIER_REQUIRED'), String(refused))
  await scene.start()
  assert.equal(scene.offsetsInStore('orders'), range(0, 10))
  await scene.close()
})

Offload('the budget pauses offloading, visibly, and lets go of it again', async () => {
  const scene = await TierScene.open({
    tier: { budgetPerMonth: 0.001, janitorEveryMs: 1e9, tickMs: 60_000 },
    settings: { upkeepRestMs: 600_000 },
  })
  await scene.create('dear')
  await scene.send('dear', 200, 500)
  await scene.clock.advance(5_000)
  const end = scene.endOf('dear') ?? 0
  assert.is(scene.stateOf('dear'), 'pausedByBudget')
  assert.ok(end > 0 && end < 200, `${end}`)
  assert.ok(scene.tier.costs.total.isPaused)
  await scene.clock.advance(600_000)
  assert.is(scene.endOf('dear'), end)
  await scene.clock.advance(26 * 3_600_000)
  assert.ok((scene.endOf('dear') ?? 0) > end, 'what was asked for a day ago costs no more')
  await scene.close()
})

Offload.run()
