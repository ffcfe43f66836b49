import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { slabBytesOf } from '../../../actors/tier/queue-offload.ts'
import type { TierSettings } from '../../../actors/tier/settings.ts'
import { range, TierScene, tinyTier } from './scene.ts'

const PUT_MS = 12_000
const TOPICS = ['orders', 'prices', 'trades']
const QUEUES = 2
const ROUNDS = 60
/** Of a message that no buffer of the usual size holds, and all of them together hardly. */
const OVERSIZE = 60_000

/** A broker whose store takes long for every put until it `recovers`. */
const slowScene = async (tier: Partial<TierSettings>) => {
  const scene = await TierScene.open({ tier })
  const { store, clock } = scene
  const put = store.put.bind(store)
  const onTheWay = new Set<readonly Uint8Array[]>()
  let putMs = PUT_MS
  store.put = async (key, parts, options) => {
    if (key.endsWith('.segment')) onTheWay.add(parts)
    try {
      await new Promise<void>((resolve) => clock.after(putMs, resolve))
      await put(key, parts, options)
    } finally {
      onTheWay.delete(parts)
    }
  }
  const recover = (): void => {
    putMs = 1
  }
  /** Memory that is held by what is on its way, each piece of it once. */
  const held = () => {
    const pieces = new Set([...onTheWay].flatMap((parts) => parts.map(({ buffer }) => buffer)))
    return [...pieces].reduce((sum, { byteLength }) => sum + byteLength, 0)
  }
  return { scene, recover, held }
}

const Slow = suite('a slow store')

Slow('memory stays flat while sends go on, and all is given back when it is over', async () => {
  const bufferBytes = 40 << 10
  const { scene, recover, held } = await slowScene({ uploadsMax: 100, bufferBytes })
  const { tier, clock } = scene
  const queues = TOPICS.length * QUEUES
  for (const topic of TOPICS) await scene.create(topic, { queues: QUEUES })
  const slab = slabBytesOf(tinyTier.segmentBytes)
  const most = { held: 0, waiters: 0 }
  const look = (): void => {
    const { bytes, buffers, waiters } = tier.pool.gauges
    const alone = buffers === 1 ? OVERSIZE + slab : 0
    assert.ok(bytes <= Math.max(bufferBytes, alone), `${bytes} bytes in ${buffers} buffers`)
    assert.ok(held() <= bytes, `${held()} bytes are held, ${bytes} of them out of the pool`)
    assert.ok(tier.pool.keptBytes <= bufferBytes)
    assert.ok(tier.offloader.size <= queues, `${tier.offloader.size} charts`)
    assert.ok(buffers + waiters <= queues, 'each queue waits for one buffer at most')
    most.held = Math.max(most.held, held())
    most.waiters = Math.max(most.waiters, waiters)
  }
  for (const round of range(0, ROUNDS)) {
    for (const topic of TOPICS) await scene.send(topic, 20, 300)
    if (round === 1) await scene.send('orders', 1, OVERSIZE)
    await clock.advance(1_000)
    look()
  }
  assert.ok(most.held > bufferBytes / 2, `the pool was in use: ${most.held}`)
  assert.ok(most.waiters > 0, 'and others waited for it')
  recover()
  const isBehind = (topic: string) =>
    scene
      .topic(topic)
      .queues.some(({ queueId, offsetMax }) => (scene.endOf(topic, queueId) ?? 0) < offsetMax)
  for (let turn = 0; turn < 2_000 && TOPICS.some(isBehind); turn++) {
    await clock.advance(100)
    look()
  }
  assert.not(TOPICS.some(isBehind), 'all of it gets there')
  const { highWaterBytes } = tier.pool.gauges
  assert.ok(highWaterBytes > OVERSIZE && highWaterBytes <= OVERSIZE + slab, `${highWaterBytes}`)
  await clock.advance(120_000)
  assert.ok(scene.isAtRest)
  assert.is(held(), 0)
  assert.is(tier.offloader.size, 0)
  assert.is(tier.pool.keptBytes, 0, 'what nobody uses goes back to the system')
  await scene.close()
})

Slow.run()
