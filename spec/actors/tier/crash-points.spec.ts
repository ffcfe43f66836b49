import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { range, type StoreCall, TierScene } from './scene.ts'

const HOUR_MS = 3_600_000

const slowly = {
  tier: { tickMs: 60_000 },
  settings: { local: { ageMs: 60_000, bytes: 0 }, upkeepRestMs: 60_000 },
}

const Crashes = suite('crash points of the tier')

/** A topic with 30 messages that the tier does not have, and a broker that dies at a moment. */
const dyingAt = async (
  isMoment: (scene: TierScene, call: StoreCall, key: string) => boolean,
  { fault }: { readonly fault: 'hang' | 'after' },
): Promise<TierScene> => {
  const scene = await TierScene.open(slowly)
  await scene.create('orders', { queues: 2, retention: { ageMs: 100 * HOUR_MS, bytes: 0 } })
  let isDead = false
  scene.store.fault = (call, key) => {
    if (isDead) return 'hang'
    if (!isMoment(scene, call, key)) return undefined
    isDead = true
    return fault
  }
  await scene.send('orders', 30)
  await scene.clock.advance(20 * 60_000)
  scene.kill()
  return scene
}

/** Everything is there once, and nothing else. */
const isWhole = async (scene: TierScene): Promise<void> => {
  scene.store.fault = () => undefined
  await scene.start()
  await scene.clock.advance(10 * 60_000)
  for (const queueId of [0, 1]) {
    assert.equal(scene.offsetsInStore('orders', queueId), range(0, 15), 'once, in order')
    const queue = scene.topic('orders').queues[queueId]
    assert.is(queue?.offsetMin, 0)
    assert.is(queue?.localMin, 15)
  }
  assert.ok(scene.isAtRest)
  await scene.clock.advance(3 * HOUR_MS)
  const claimed = scene.topic('orders').tier.objects.length
  assert.is(scene.segments().length, claimed, 'the janitor left no orphan')
  assert.equal(await scene.until(scene.tier.janitor.residue()), [])
  assert.equal(scene.offsetsInStore('orders'), range(0, 15))
  await scene.close()
}

const isSegment = (key: string): boolean => key.endsWith('.segment')

Crashes('before anything is put', async () => {
  const scene = await dyingAt((_, call) => call === 'put', { fault: 'hang' })
  assert.is(scene.objects.size, 0)
  await isWhole(scene)
})

Crashes('when the segment is put', async () => {
  const scene = await dyingAt((_, call, key) => call === 'put' && isSegment(key), {
    fault: 'after',
  })
  assert.is(scene.objects.size, 1)
  await isWhole(scene)
})

Crashes('when it is verified, before the manifest', async () => {
  const scene = await dyingAt((_, call, key) => call === 'put' && !isSegment(key), {
    fault: 'hang',
  })
  assert.is(scene.objects.size, 1)
  await isWhole(scene)
})

Crashes('when the manifest is put', async () => {
  const scene = await dyingAt((_, call, key) => call === 'put' && !isSegment(key), {
    fault: 'after',
  })
  assert.is(scene.objects.size, 2)
  await isWhole(scene)
})

for (const seed of [1, 2, 3, 4])
  Crashes(`when the fact is admitted, and perhaps not synced (${seed})`, async () => {
    const scene = await TierScene.open(slowly)
    await scene.create('orders', { queues: 2, retention: { ageMs: 100 * HOUR_MS, bytes: 0 } })
    await scene.send('orders', 30)
    scene.store.onCall = (call, key) => {
      if (call !== 'put' || isSegment(key)) return
      scene.place.slowWrites('commit-log', 1_000_000)
    }
    await scene.clock.advance(31_000)
    assert.is(scene.endOf('orders'), undefined, 'nobody relies on what is not synced')
    await scene.clock.advance(2_000)
    assert.is(scene.topic('orders').queues[0]?.localMin, 0)
    scene.kill(seed)
    scene.place.slowWrites('commit-log', 0)
    scene.store.onCall = () => {}
    await isWhole(scene)
  })

Crashes('when the log lets go of what the tier has', async () => {
  const scene = await dyingAt(() => false, { fault: 'hang' })
  await isWhole(scene)
})

Crashes(
  'an object of an earlier life is adopted, with more or less than would be sent',
  async () => {
    const scene = await dyingAt((_, call, key) => call === 'put' && isSegment(key), {
      fault: 'after',
    })
    const [key] = scene.segments()
    const before = scene.objects.get(key as string)
    scene.store.fault = () => undefined
    await scene.start()
    await scene.send('orders', 10)
    await scene.offload('orders')
    assert.is(scene.objects.get(key as string), before, 'it was not written again')
    await scene.clock.advance(60_000)
    for (const queueId of [0, 1])
      assert.equal(scene.offsetsInStore('orders', queueId), range(0, 20))
    await scene.close()
  },
)

Crashes('what somebody else wrote under the name is a conflict, and stays', async () => {
  const scene = await TierScene.open(slowly)
  const other = await TierScene.open({ ...slowly, life: 1_000 })
  for (const each of [scene, other]) {
    await each.create('orders')
    await each.send('orders', 5, each === scene ? 100 : 101)
  }
  await other.offload('orders')
  const [key] = other.segments()
  const foreign = other.objects.get(key as string)
  assert.ok(foreign)
  scene.objects.set(key as string, foreign)
  await scene.clock.advance(60_000)
  assert.is(scene.stateOf('orders'), 'conflict')
  assert.match(scene.tier.offloader.describe(1, 0)?.reason ?? '', /written by somebody else/)
  assert.is(scene.endOf('orders'), undefined)
  assert.ok(scene.isAtRest)
  await scene.clock.advance(3 * HOUR_MS)
  assert.is(scene.objects.get(key as string), foreign, 'the janitor leaves it where it is')
  scene.objects.delete(key as string)
  await scene.clock.advance(10_000)
  assert.equal(scene.offsetsInStore('orders'), range(0, 5))
  await scene.close()
  await other.close()
})

Crashes('what the store kept of an upload is asked of the store', async () => {
  const scene = await TierScene.open()
  await scene.create('orders')
  await scene.send('orders', 5)
  scene.store.mangle = (_, content) => content.subarray(0, content.length - 10)
  await scene.clock.advance(40_000)
  assert.is(scene.endOf('orders'), undefined)
  assert.is(scene.stateOf('orders'), 'backingOff')
  scene.store.mangle = (_, content) => content
  await scene.clock.advance(20_000)
  assert.equal(scene.offsetsInStore('orders'), range(0, 5))
  await scene.close()
})

Crashes.run()
