import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { range, TierScene } from './scene.ts'

const HOUR_MS = 3_600_000

const Clearing = suite('clearing away in the tier')

const stateOfTopic = (scene: TierScene, topicId: number): unknown =>
  scene.broker.supervisions.topics.describe(`topic:${topicId}`)?.state

Clearing('a topic ends while an upload is under way, and leaves nothing', async () => {
  const scene = await TierScene.open()
  await scene.create('orders', { queues: 4 })
  await scene.send('orders', 40)
  await scene.offload('orders')
  const { topicId } = scene.topic('orders')
  await scene.send('orders', 40)
  scene.store.fault = (call, key) =>
    call === 'put' && key.endsWith('.segment') ? 'hang' : undefined
  scene.tier.offloader.force(scene.topic('orders'))
  await scene.clock.advance(100)
  assert.is(scene.stateOf('orders'), 'offloading.uploading')
  await scene.until(scene.broker.topics.end('orders'))
  assert.is(scene.tier.offloader.size, 0)
  assert.ok(scene.isAtRest)
  await scene.clock.advance(1_000)
  assert.is(scene.objects.size, 0)
  assert.is(stateOfTopic(scene, topicId), undefined, 'it has ended')
  assert.not(scene.broker.state.topics.get(topicId)?.tier.isBegun)
  await scene.close()
})

Clearing('the store is out while a topic ends: its name is free, the rest goes later', async () => {
  const scene = await TierScene.open()
  await scene.create('orders')
  await scene.send('orders', 10)
  await scene.offload('orders')
  const { topicId } = scene.topic('orders')
  scene.store.fault = () => 'fail'
  await scene.until(scene.broker.topics.end('orders'))
  await scene.clock.advance(1_000)
  assert.equal(stateOfTopic(scene, topicId), { ending: 'waitingForTier' })
  await scene.create('orders')
  await scene.send('orders', 3)
  scene.kill()
  await scene.start()
  await scene.clock.advance(1_000)
  assert.equal(stateOfTopic(scene, topicId), { ending: 'waitingForTier' })
  const before = scene.objects.size
  assert.ok(before > 0)
  scene.store.fault = () => undefined
  await scene.clock.advance(31_000)
  assert.is(stateOfTopic(scene, topicId), undefined)
  await scene.clock.advance(31_000)
  assert.equal(scene.offsetsInStore('orders'), range(0, 3), 'the new one is untouched')
  const prefix = `${scene.tier.namespace}/${topicId}/`
  assert.equal(
    [...scene.objects.keys()].filter((key) => key.startsWith(prefix)),
    [],
  )
  await scene.close()
})

Clearing('what comes into the store while a topic is dropped goes too', async () => {
  const scene = await TierScene.open()
  await scene.create('orders')
  await scene.send('orders', 10)
  await scene.offload('orders')
  const { topicId } = scene.topic('orders')
  const late = `${scene.tier.namespace}/${topicId}/0-0000000000000010.segment`
  let isPut = false
  scene.store.onCall = (call) => {
    if (call !== 'remove' || isPut) return
    isPut = true
    scene.objects.set(late, { content: Buffer.from('x'), modifiedMs: scene.clock.wallMs() })
  }
  await scene.until(scene.broker.topics.end('orders'))
  await scene.clock.advance(1_000)
  assert.ok(isPut)
  assert.equal([...scene.objects.keys()], [])
  assert.is(stateOfTopic(scene, topicId), undefined)
  await scene.close()
})

Clearing('the janitor removes what nobody claims, after a period of grace', async () => {
  const scene = await TierScene.open()
  await scene.create('orders')
  await scene.send('orders', 10)
  await scene.offload('orders')
  const { topicId } = scene.topic('orders')
  const { namespace } = scene.tier
  const planted = [
    `${namespace}/${topicId}/0-0000000000000777.segment`,
    `${namespace}/999/0-0000000000000000.segment`,
    `${namespace}/999/manifest.json`,
    `${namespace}/what-is-this`,
  ]
  const modifiedMs = scene.clock.wallMs()
  for (const key of planted) scene.objects.set(key, { content: Buffer.from('x'), modifiedMs })
  const foreign = 'ffffffffffffffff/1/manifest.json'
  scene.objects.set(foreign, { content: Buffer.from('x'), modifiedMs })
  const residue = await scene.until(scene.tier.janitor.residue())
  assert.equal(residue.map(({ key }) => key).sort(), [...planted].sort())
  assert.is(residue[0]?.removedAfterMs, modifiedMs + HOUR_MS)
  await scene.clock.advance(HOUR_MS - 60_000)
  for (const key of planted) assert.ok(scene.objects.has(key), 'not yet')
  await scene.clock.advance(2 * HOUR_MS)
  for (const key of planted) assert.not(scene.objects.has(key))
  assert.ok(scene.objects.has(foreign), 'what is of another data directory stays')
  assert.equal(scene.offsetsInStore('orders'), range(0, 10))
  await scene.close()
})

Clearing('a buffer or permit that nobody uses is found by the audit', async () => {
  const scene = await TierScene.open()
  assert.equal([...scene.tier.residue()], [])
  const { signal } = new AbortController()
  let release = (): void => {}
  const leaked = scene.tier.permits.use(1, signal, () =>
    scene.tier.pool.use(8, signal, () => new Promise<void>((resolve) => (release = resolve))),
  )
  await scene.clock.settle()
  assert.equal(
    [...scene.tier.residue()].map(({ owner, what }) => `${owner}: ${what}`),
    ['tier: 1 buffers', 'tier: 1 permits to upload'],
  )
  release()
  await scene.until(leaked)
  assert.equal([...scene.tier.residue()], [])
  await scene.close()
})

Clearing('a listing that fails is a state of the janitor, and it looks again', async () => {
  const scene = await TierScene.open()
  scene.store.fault = (call) => (call === 'list' ? 'throw' : undefined)
  await scene.clock.advance(601_000)
  assert.is(scene.tier.janitor.loop.state, 'backingOff')
  assert.match(scene.tier.janitor.loop.lastError ?? '', /list threw at once/)
  scene.store.fault = () => undefined
  await scene.clock.advance(10_000)
  assert.is(scene.tier.janitor.loop.state, 'resting')
  await scene.close()
})

Clearing('the broker closes while the store hangs, and holds nothing', async () => {
  const scene = await TierScene.open()
  await scene.create('orders', { queues: 4 })
  await scene.send('orders', 200, 500)
  scene.store.fault = () => 'hang'
  await scene.clock.advance(1_000)
  const { tier } = scene
  assert.is(tier.permits.users, 2)
  assert.is(tier.permits.waiters, 2)
  assert.ok(tier.pool.gauges.bytes > 0)
  await scene.close()
  assert.is(tier.permits.users + tier.permits.waiters, 0)
  const { buffers, bytes, waiters } = tier.pool.gauges
  assert.is(buffers + bytes + waiters + tier.pool.keptBytes, 0)
  scene.store.fault = () => undefined
  await scene.start()
  await scene.clock.advance(60_000)
  for (const queueId of range(0, 4))
    assert.equal(scene.offsetsInStore('orders', queueId), range(0, 50))
  await scene.close()
})

Clearing('a store that hangs for ever costs the bounded memory and no more', async () => {
  const scene = await TierScene.open()
  await scene.create('orders', { queues: 8 })
  scene.store.fault = () => 'hang'
  for (let round = 0; round < 10; round++) {
    await scene.send('orders', 100, 500)
    await scene.clock.advance(30_000)
    assert.ok(scene.tier.pool.gauges.bytes <= 16 << 10)
    assert.ok(scene.tier.offloader.size <= 8)
  }
  scene.store.fault = () => undefined
  await scene.clock.advance(120_000)
  for (const queueId of range(0, 8))
    assert.equal(scene.offsetsInStore('orders', queueId), range(0, 125))
  assert.ok(scene.isAtRest)
  await scene.close()
})

Clearing.run()
