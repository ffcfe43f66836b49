import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { holds } from '../../support/property.ts'
import { range, type StoreCall, TierScene } from './scene.ts'

const QUEUES = [0, 1]
const MINUTE_MS = 60_000
const calls: readonly StoreCall[] = ['put', 'get', 'head', 'list', 'remove']

type Step =
  | { readonly type: 'send'; readonly count: number; readonly bytes: number }
  | { readonly type: 'advance'; readonly ms: number }
  | { readonly type: 'offload' }
  | { readonly type: 'kill'; readonly seed: number }
  | { readonly type: 'restart' }
  | {
      readonly type: 'fault'
      readonly call: StoreCall
      readonly fault: 'fail' | 'throw' | 'hang' | 'after'
      readonly count: number
    }

const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('send' as const),
      count: fc.integer({ min: 1, max: 12 }),
      bytes: fc.constantFrom(10, 300, 6_000),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('advance' as const),
      ms: fc.constantFrom(50, 1_000, 2 * MINUTE_MS, 11 * MINUTE_MS),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ type: 'offload' as const }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('kill' as const), seed: fc.nat() }) },
  { weight: 1, arbitrary: fc.constant({ type: 'restart' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('fault' as const),
      call: fc.constantFrom(...calls),
      fault: fc.constantFrom('fail', 'throw', 'hang', 'after'),
      count: fc.constantFrom(1, 2, 5, 1_000),
    }),
  },
)

/** What was acknowledged, in how far it must still be there: an array's length, and its times. */
class Model {
  readonly sentAtMs: number[][] = QUEUES.map(() => [])
  /** No bound ever goes back. */
  readonly seenMin = QUEUES.map(() => 0)
}

const check = (scene: TierScene, model: Model): void => {
  for (const queueId of QUEUES) {
    const queue = scene.topic('orders').queues[queueId]
    assert.ok(queue)
    const { offsetMin, localMin, offsetMax } = queue
    const sent = model.sentAtMs[queueId] as number[]
    assert.is(offsetMax, sent.length, 'all that was acknowledged, and nothing twice')
    assert.ok(offsetMin >= (model.seenMin[queueId] as number), 'the minimum never goes back')
    model.seenMin[queueId] = offsetMin
    const end = scene.topic('orders').tier.endOf(queueId) ?? localMin
    assert.ok(offsetMin <= localMin || end >= localMin, 'no hole between tier and log')
    assert.equal(
      scene.offsetsInStore('orders', queueId),
      range(offsetMin, Math.max(end, offsetMin)).slice(0, end - offsetMin),
    )
    const youngestGone = sent[offsetMin - 1]
    const isOld =
      youngestGone === undefined || scene.clock.wallMs() - youngestGone >= 20 * MINUTE_MS
    assert.ok(isOld, 'nothing goes before its time')
  }
}

const run = async (scene: TierScene, model: Model, step: Step): Promise<void> => {
  switch (step.type) {
    case 'send': {
      await scene.send('orders', step.count * QUEUES.length, step.bytes)
      for (const { queueId, offsetMax } of scene.topic('orders').queues) {
        const sent = model.sentAtMs[queueId] as number[]
        while (sent.length < offsetMax) sent.push(scene.clock.wallMs())
      }
      return
    }
    case 'advance':
      return scene.clock.advance(step.ms)
    case 'offload':
      return scene.offload('orders')
    case 'kill':
      scene.kill(step.seed)
      return scene.start()
    case 'restart':
      await scene.close()
      return scene.start()
    case 'fault': {
      let left = step.count
      scene.store.fault = (call) => (call === step.call && left-- > 0 ? step.fault : undefined)
    }
  }
}

const Histories = suite('histories of the tier')

Histories('whatever happens, everything is there once, in order, and in the end nothing else', () =>
  holds(
    fc.asyncProperty(fc.array(aStep, { minLength: 5, maxLength: 25 }), async (steps) => {
      const scene = await TierScene.open({
        tier: { tickMs: 5_000, requestMs: 20_000 },
        settings: { local: { ageMs: 2 * MINUTE_MS, bytes: 0 }, upkeepRestMs: 10_000 },
      })
      const model = new Model()
      await scene.create('orders', { queues: 2, retention: { ageMs: 20 * MINUTE_MS, bytes: 0 } })
      for (const step of steps) {
        await run(scene, model, step)
        check(scene, model)
      }
      scene.store.fault = () => undefined
      await scene.clock.advance(2 * MINUTE_MS)
      check(scene, model)
      assert.ok(scene.isAtRest)
      for (const queueId of QUEUES)
        assert.is(scene.stateOf('orders', queueId), 'following', 'the tier has caught up')
      await scene.until(scene.broker.topics.end('orders'))
      await scene.clock.advance(80 * MINUTE_MS)
      assert.equal([...scene.objects.keys()], [], 'nothing is left of a topic that ended')
      await scene.close()
    }),
    { runs: 25 },
  ),
)

Histories.run()
