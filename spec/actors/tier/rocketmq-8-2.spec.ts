import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ConsumeQueue } from '../../../actors/topic/consume-queue.ts'
import { chunkKey } from '../../../storage/codec/chunk.ts'
import { range, TierScene } from './scene.ts'

/** rocketmq-core 8.2: one unreadable message, or one throw, ends the only dispatcher. */
const Dispatch = suite('rocketmq 8.2: the dispatch cannot die')

/** Two topics with messages that the tier does not have; the chunks of A's are on disk alone. */
const twoTopics = async (): Promise<{ scene: TierScene; a: ConsumeQueue }> => {
  const scene = await TierScene.open()
  scene.store.fault = () => 'fail'
  await scene.create('A', { retention: { ageMs: 3_600_000, bytes: 0 } })
  await scene.create('B')
  await scene.send('A', 5)
  const [a] = scene.topic('A').queues
  return { scene, a: a as ConsumeQueue }
}

const rests = (scene: TierScene): void => {
  assert.ok(scene.isAtRest, 'all permits and buffers are free')
  assert.is(scene.tier.permits.users, 0)
}

Dispatch('steps 1 to 3: what A cannot read holds up no one, and A goes on by itself', async () => {
  const { scene, a } = await twoTopics()
  const unit = a.unit(0)
  assert.ok(unit)
  scene.broker.log.forget(unit.chunk)
  scene.place.corrupt('commit-log', chunkKey(unit.chunk), (value) => value.fill(0, 60))
  scene.store.fault = () => undefined
  await scene.clock.advance(35_000)
  assert.is(scene.stateOf('A'), 'unreadable')
  assert.match(scene.tier.offloader.describe(1, 0)?.reason ?? '', /message at 0 cannot be read/)
  await scene.send('B', 60, 200)
  await scene.clock.advance(2_000)
  assert.ok((scene.endOf('B') ?? 0) > 0, "B's tier advances within two ticks")
  rests(scene)
  const [loop] = [...scene.tier.loops()].filter(({ address }) => address === 'offload:1/0')
  assert.is(loop?.state, 'unreadable')
  assert.ok((loop?.restarts ?? 0) > 1)
  assert.ok(loop?.nextTryInMs !== undefined)
  // The local minimum passes it.
  await scene.send('A', 5)
  const { broker } = scene
  const fact = { type: 'queueTrimmed', topicId: 1, queueId: 0, offsetMin: 5 } as const
  broker.state.foldRegistry(
    { ...fact, floor: 5, messages: 5, bytes: 0, freed: [] },
    broker.log.position,
  )
  await scene.clock.advance(40_000)
  assert.equal(scene.offsetsInStore('A'), range(5, 10))
  assert.is(scene.stateOf('A'), 'following')
  rests(scene)
  await scene.close()
})

const damages: Readonly<Record<string, (queue: ConsumeQueue) => void>> = {
  'its unit is missing': (queue) => {
    queue.unit = () => undefined
  },
  'its unit is empty': (queue) => {
    const unit = queue.unit.bind(queue)
    queue.unit = (offset) => {
      const found = unit(offset)
      return found && { ...found, size: 0 }
    }
  },
  'its chunk is missing': (queue) => {
    const unit = queue.unit.bind(queue)
    queue.unit = (offset) => {
      const found = unit(offset)
      return found && { ...found, chunk: 2 ** 40 }
    }
  },
  'its unit names another record': (queue) => {
    const unit = queue.unit.bind(queue)
    queue.unit = (offset) => unit(offset + 1)
  },
}

for (const [name, damage] of Object.entries(damages))
  Dispatch(`a message is unreadable, ${name}: a state with a reason, and a way out`, async () => {
    const { scene, a } = await twoTopics()
    damage(a)
    scene.store.fault = () => undefined
    await scene.send('B', 3)
    await scene.clock.advance(60_000)
    assert.is(scene.stateOf('A'), 'unreadable')
    assert.equal(scene.offsetsInStore('B'), [0, 1, 2])
    rests(scene)
    Reflect.deleteProperty(a, 'unit')
    await scene.clock.advance(10_000)
    assert.equal(scene.offsetsInStore('A'), range(0, 5))
    await scene.close()
  })

Dispatch('what is before a message that cannot be read goes without it', async () => {
  const { scene, a } = await twoTopics()
  const unit = a.unit.bind(a)
  a.unit = (offset) => {
    const found = unit(offset)
    return found && { ...found, size: offset === 3 ? 0 : found.size }
  }
  scene.store.fault = () => undefined
  await scene.clock.advance(60_000)
  assert.equal(scene.offsetsInStore('A'), [0, 1, 2])
  assert.is(scene.stateOf('A'), 'unreadable')
  rests(scene)
  await scene.close()
})

for (const fault of ['fail', 'throw', 'hang', 'after'] as const)
  for (const call of ['put', 'get', 'head', 'list', 'remove'] as const)
    Dispatch(`step 4: the store does '${fault}' on ${call}, and all goes on`, async () => {
      const { scene } = await twoTopics()
      scene.store.fault = (called) => (called === call ? fault : undefined)
      await scene.send('B', 3)
      await scene.clock.advance(120_000)
      const states = [...scene.tier.loops()].map(({ state }) => String(state))
      assert.ok(!states.includes('stopped'), states.join(' '))
      scene.store.fault = () => undefined
      await scene.clock.advance(60_000)
      assert.equal(scene.offsetsInStore('A'), range(0, 5))
      assert.equal(scene.offsetsInStore('B'), [0, 1, 2])
      rests(scene)
      await scene.close()
    })

Dispatch('step 4: listing the queues of a topic throws, and the loop goes on', async () => {
  const { scene } = await twoTopics()
  scene.store.fault = () => undefined
  const topic = scene.topic('A')
  const { queues } = topic
  Object.defineProperty(topic, 'queues', {
    configurable: true,
    get: () => {
      throw new Error('the list of queues is broken')
    },
  })
  await scene.send('B', 3)
  await scene.clock.advance(10_000)
  const loop = [...scene.tier.loops()].find(({ address }) => address === 'tier')
  assert.match(loop?.lastError ?? '', /list of queues is broken/)
  assert.is(scene.stateOf('B'), 'holding', 'B was looked at all the same')
  Object.defineProperty(topic, 'queues', { value: queues })
  await scene.clock.advance(60_000)
  assert.equal(scene.offsetsInStore('A'), range(0, 5))
  assert.equal(scene.offsetsInStore('B'), [0, 1, 2])
  await scene.close()
})

Dispatch('an empty queue and an empty topic are nothing to do', async () => {
  const scene = await TierScene.open()
  await scene.create('empty', { queues: 4 })
  await scene.clock.advance(60_000)
  assert.is(scene.tier.offloader.size, 0)
  assert.is(scene.objects.size, 0)
  assert.is(scene.stateOf('empty'), 'following')
  await scene.close()
})

Dispatch.run()
