import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { verifyBroker } from '../../actors/audit/verify-broker.ts'
import type { Fault, VerifyStep } from '../../model/doctor.ts'
import { chunkOffsetOf, openChunk, sealChunk } from '../../storage/codec/chunk.ts'
import { parseIndexKey } from '../../storage/codec/index-key.ts'
import { BLOCK_UNITS, UNIT_BYTES } from '../../storage/codec/unit-block.ts'
import type { Database } from '../../storage/ports/database.ts'
import type { DatabaseName } from '../../storage/ports/place.ts'
import { verify } from '../../storage/verify/verify.ts'
import { holds } from '../support/property.ts'
import { aStep, Scene, type Step } from './scene.ts'

const steps = fc.array(aStep, { minLength: 1, maxLength: 30 })

const all = async (source: AsyncIterable<VerifyStep>): Promise<VerifyStep[]> => {
  const found: VerifyStep[] = []
  for await (const step of source) found.push(step)
  return found
}

const faultsIn = (found: readonly VerifyStep[]): Fault[] =>
  found.flatMap((step) => (step.type === 'fault' ? [step.fault] : []))

const text = (faults: readonly Fault[]): string =>
  faults.map(({ store, where, what }) => `${store} ${where}: ${what}`).join('\n')

/** Looks at what lies there while nobody has it open. */
const verifyStopped = async (scene: Scene): Promise<VerifyStep[]> => {
  const { place } = scene.lives
  const log = await scene.until(place.openDatabase('commit-log'))
  const index = await scene.until(place.openDatabase('index'))
  const found = await scene.until(all(verify({ log, index })))
  await scene.until(Promise.all([log.close(), index.close()]))
  return found
}

const Verify = suite('verify')

Verify('finds nothing in what a broker writes, at any moment, running, stopped or killed', () =>
  holds(
    fc.asyncProperty(fc.nat(), steps, steps, fc.nat(), async (seed, before, meanwhile, cut) => {
      const scene = new Scene(seed)
      const life = await scene.lives.open()
      for (const step of before) {
        await scene.run(life.broker, step)
        const found = await scene.until(all(verifyBroker(life.broker)))
        assert.is(text(faultsIn(found)), '', 'running')
      }
      // Its moment stays while it is read.
      const slow = verifyBroker(life.broker)
      await scene.until(slow.next())
      for (const step of meanwhile) await scene.run(life.broker, step)
      assert.is(text(faultsIn(await scene.until(all(slow)))), '', 'while it goes on')
      if (cut % 2 === 0) await scene.until(life.broker.close())
      life.die()
      scene.lives.place.crash(cut)
      assert.is(text(faultsIn(await verifyStopped(scene))), '', 'stopped or killed')
    }),
    { runs: 30 },
  ),
)

const traffic: readonly Step[] = Array.from({ length: 12 }, (_, round): Step[] => [
  { type: 'send', topic: round % 3, count: 15 },
  { type: 'receive', topic: round % 3, acks: 5 },
  { type: 'advance', ms: 2_500 },
]).flat()

/** A medium with something on it, and nobody who has it open. */
const aStoppedScene = async (seed: number): Promise<Scene> => {
  const scene = new Scene(seed)
  const life = await scene.lives.open()
  for (const step of traffic) await scene.run(life.broker, step)
  await scene.until(life.broker.close())
  life.die()
  return scene
}

const within = async <Result>(
  scene: Scene,
  name: DatabaseName,
  work: (database: Database) => Promise<Result>,
): Promise<Result> => {
  const database = await scene.until(scene.lives.place.openDatabase(name))
  const result = await scene.until(work(database))
  await scene.until(database.close())
  return result
}

const keysOf = (scene: Scene, name: DatabaseName): Promise<Uint8Array[]> =>
  within(scene, name, async (database) => {
    const keys: Uint8Array[] = []
    for await (const key of database.keys()) keys.push(key)
    return keys
  })

const flip = (at: number, mask: number) => (value: Uint8Array) => {
  const where = at % value.length
  value[where] = (value[where] as number) ^ mask
  return value
}

const mask = fc.integer({ min: 1, max: 255 })

Verify('finds every flipped byte and every lost chunk of the log, by its position', () =>
  holds(
    fc.asyncProperty(fc.nat(3), fc.nat(), fc.nat(), mask, async (seed, pick, at, bits) => {
      const scene = await aStoppedScene(seed)
      const keys = await keysOf(scene, 'commit-log')
      const key = keys[pick % keys.length] as Uint8Array
      scene.lives.place.corrupt('commit-log', key, flip(at, bits))
      const where = `position ${chunkOffsetOf(key)}`
      const flipped = faultsIn(await verifyStopped(scene))
      assert.ok(flipped.some((fault) => fault.store === 'CommitLog' && fault.where === where))
      // Nobody can miss the last one: the log simply ends before it.
      if (pick % keys.length === keys.length - 1) return
      await within(scene, 'commit-log', (log) => log.write([{ type: 'del', key }], { sync: true }))
      const lost = faultsIn(await verifyStopped(scene))
      assert.ok(lost.some((fault) => fault.where === where && fault.what.includes('are missing')))
    }),
    { runs: 40 },
  ),
)

Verify('finds every unit of the index that was changed or lost, by its offset', () =>
  holds(
    fc.asyncProperty(fc.nat(3), fc.nat(), fc.nat(), mask, async (seed, pick, at, bits) => {
      const scene = await aStoppedScene(seed)
      const blocks = (await keysOf(scene, 'index')).flatMap((key) => {
        const parsed = parseIndexKey(key)
        return parsed.kind === 'queueBlock' ? [{ key, ...parsed }] : []
      })
      const kept = new Map<string, { min: number; max: number }>()
      const life = await scene.lives.open()
      for (const { topicId, queues } of life.broker.state.topics.values())
        for (const { queueId, offsetMin, offsetMax } of queues)
          kept.set(`${topicId} ${queueId}`, { min: offsetMin, max: offsetMax })
      await scene.until(life.broker.close())
      life.die()
      const { key, ownerId, queueId, block } = blocks[pick % blocks.length] as (typeof blocks)[0]
      const { min, max } = kept.get(`${ownerId} ${queueId}`) ?? { min: 0, max: 0 }
      const first = Math.max(min, block * BLOCK_UNITS)
      const end = Math.min(max, (block + 1) * BLOCK_UNITS)
      if (first >= end) return
      const offset = first + (at % (end - first))
      const byte = (offset % BLOCK_UNITS) * UNIT_BYTES + (at % UNIT_BYTES)
      scene.lives.place.corrupt('index', key, flip(byte, bits))
      const changed = faultsIn(await verifyStopped(scene))
      const where = `topic ${ownerId} queue ${queueId} `
      assert.ok(changed.length > 0, 'nothing was found')
      assert.ok(changed.every((fault) => fault.store === 'index' && fault.where.startsWith(where)))
      await within(scene, 'index', (index) => index.write([{ type: 'del', key }], { sync: true }))
      const lost = faultsIn(await verifyStopped(scene))
      assert.is(text(lost), `index ${where}block ${block}: units are missing`)
    }),
    { runs: 40 },
  ),
)

Verify('finds a sound chunk that is of another log', async () => {
  const scene = await aStoppedScene(2)
  const key = (await keysOf(scene, 'commit-log')).at(-4) as Uint8Array
  scene.lives.place.corrupt('commit-log', key, (value) => {
    const bytes = Buffer.from(value)
    const header = openChunk(bytes, chunkOffsetOf(key))
    sealChunk(bytes, { ...header, epoch: header.epoch + 1 })
    return bytes
  })
  const faults = faultsIn(await verifyStopped(scene))
  assert.match(text(faults), /^CommitLog position \d+: the chunk does not follow the one at/)
})

Verify('finds a unit that points to the message of another', async () => {
  const scene = await aStoppedScene(2)
  const blocks = (await keysOf(scene, 'index')).filter(
    (key) => parseIndexKey(key).kind === 'queueBlock',
  )
  let found = 0
  for (const key of blocks) {
    scene.lives.place.corrupt('index', key, (value) => {
      // The last two are of living messages.
      value.copyWithin(value.length - UNIT_BYTES, value.length - 2 * UNIT_BYTES)
      return value
    })
    found += faultsIn(await verifyStopped(scene)).length
  }
  assert.ok(found > 0)
  const [first] = faultsIn(await verifyStopped(scene))
  assert.match(first?.what ?? '', 'where its message is not')
})

Verify('finds keys that nobody writes and records that do not read', async () => {
  const scene = await aStoppedScene(1)
  const keys = await keysOf(scene, 'index')
  for (const key of keys) {
    const { kind } = parseIndexKey(key)
    if (kind === 'topic' || kind === 'group' || kind === 'deliveries')
      scene.lives.place.corrupt('index', key, () => Uint8Array.of(9, 1, 200))
  }
  const value = Uint8Array.of(1)
  const key = Buffer.from('nonsense')
  await within(scene, 'index', (index) =>
    index.write([{ type: 'put', key, value }], { sync: true }),
  )
  const whats = faultsIn(await verifyStopped(scene)).map(({ where, what }) => `${where}: ${what}`)
  assert.ok(whats.includes(`key ${key.toString('hex')}: nobody writes such a key`), String(whats))
  for (const kind of ['topic', 'group', 'deliveries'])
    assert.ok(
      whats.some((what) => what.startsWith(`${kind} of owner`)),
      kind,
    )
})

Verify.run()
