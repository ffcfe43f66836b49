import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { TierAdmin } from '../../../actors/tier/tiering.ts'
import type { TierStep } from '../../../model/tier/tier-admin.ts'
import { range, TierScene } from './scene.ts'

const Admin = suite('tier administration')

const adminOf = (scene: TierScene): TierAdmin => {
  const { tier, clock } = scene
  const cache = () => ({ bytes: 0, bytesMax: 0, frames: 0 })
  return new TierAdmin({ tier, state: scene.broker.state, clock, cache })
}

const all = async <Step>(scene: TierScene, steps: AsyncIterable<Step>): Promise<Step[]> => {
  const found: Step[] = []
  const collect = async (): Promise<Step[]> => {
    for await (const step of steps) found.push(step)
    return found
  }
  return scene.until(collect())
}

const problemsOf = (steps: readonly TierStep[]) => steps.flatMap(({ problem }) => problem ?? [])

Admin('what is there goes now, object by object, and is told of', async () => {
  const scene = await TierScene.open()
  await scene.create('orders', { queues: 2 })
  await scene.send('orders', 60, 200)
  const steps = await all(scene, adminOf(scene).offload('orders'))
  assert.ok(steps.length > 2)
  assert.equal(problemsOf(steps), [])
  assert.is(steps.at(-1)?.done, 60)
  assert.is(steps.at(-1)?.of, 60)
  assert.equal(scene.offsetsInStore('orders', 1), range(0, 30))
  assert.equal(await all(scene, adminOf(scene).offload()), [], 'nothing is left to do')
  await scene.close()
})

Admin(
  'a queue that gets no further is told of with its reason, and waited for no longer',
  async () => {
    const scene = await TierScene.open()
    await scene.create('orders')
    await scene.send('orders', 5)
    scene.store.fault = () => 'fail'
    const steps = await all(scene, adminOf(scene).offload())
    assert.is(steps.length, 1)
    assert.match(steps[0]?.problem ?? '', /backingOff: put failed/)
    await scene.close()
  },
)

Admin('status tells of every queue what it does and why it waits', async () => {
  const scene = await TierScene.open()
  await scene.create('idle')
  await scene.create('orders')
  await scene.send('orders', 5)
  await scene.offload('orders')
  await scene.send('orders', 3)
  await scene.clock.advance(1_000)
  const status = adminOf(scene).status()
  assert.is(status.store, 'faulty')
  assert.equal(
    status.topics.map(({ topic, state, objects }) => ({ topic, state, objects })),
    [{ topic: 'orders', state: 'serving', objects: 1 }],
  )
  const [queue] = status.topics[0]?.queues ?? []
  assert.ok((queue?.nextTryInMs ?? 0) > 20_000)
  assert.equal(queue && { ...queue, nextTryInMs: 1 }, {
    ...{ queueId: 0, state: 'holding', nextTryInMs: 1 },
    ...{ tierMin: 0, tierEnd: 5, localMin: 0, offsetMax: 8, behind: 3 },
  })
  assert.equal(status.topics[0]?.traffic.requests, { put: 2, get: 1, head: 1, list: 0, remove: 0 })
  assert.ok(status.cost.perMonth > 0)
  await scene.close()
})

Admin('verify finds what is damaged, missing or not what is claimed', async () => {
  const scene = await TierScene.open()
  await scene.create('orders')
  for (let round = 0; round < 3; round++) {
    await scene.send('orders', 5)
    await scene.offload('orders')
  }
  assert.equal(problemsOf(await all(scene, adminOf(scene).verify())), [])
  const [first, second, third] = scene.segments() as [string, string, string]
  const modifiedMs = 0
  const damaged = Buffer.from(scene.objects.get(first)?.content ?? '')
  damaged.writeUInt8(damaged.readUInt8(300) ^ 1, 300)
  scene.objects.set(first, { content: damaged, modifiedMs })
  scene.objects.set(second, scene.objects.get(third) as never)
  scene.objects.delete(third)
  const steps = await all(scene, adminOf(scene).verify('orders'))
  assert.is(steps.length, 4)
  assert.equal(
    steps.map(({ problem }) => problem !== undefined),
    [false, true, true, true],
  )
  assert.is(steps.at(-1)?.done, 4)
  assert.is(steps.at(-1)?.of, 4)
  await scene.close()
})

Admin('verify lets everybody have a turn after each frame', async () => {
  const scene = await TierScene.open({ tier: { segmentBytes: 4 << 20, bufferBytes: 16 << 20 } })
  await scene.create('orders')
  await scene.send('orders', 12, 200_000)
  await scene.offload('orders')
  const { tier, clock } = scene
  let turns = 0
  const soon = (task: () => void): void => {
    turns++
    clock.soon(task)
  }
  const admin = new TierAdmin({
    ...{ tier, state: scene.broker.state, cache: () => ({ bytes: 0, bytesMax: 0, frames: 0 }) },
    clock: { soon, after: (ms, task) => clock.after(ms, task) },
  })
  assert.equal(problemsOf(await all(scene, admin.verify('orders'))), [])
  assert.ok(turns >= 5, `${turns} turns for 2.4 MB`)
  await scene.close()
})

Admin('fetch gives the manifest and every object as they lie there', async () => {
  const scene = await TierScene.open()
  await scene.create('orders')
  await scene.send('orders', 5)
  await scene.offload('orders')
  const steps = await all(scene, adminOf(scene).fetch('orders'))
  assert.equal(
    steps.map(({ key }) => key),
    [...scene.objects.keys()].sort().toReversed(),
  )
  for (const { key, content } of steps) assert.ok(scene.objects.get(key)?.content.equals(content))
  await scene.close()
})

Admin.run()
