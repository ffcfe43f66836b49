import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../model/errors.ts'
import { chunkOffsetOf } from '../../storage/codec/chunk.ts'
import { cursorKey } from '../../storage/codec/index-key.ts'
import { encodeCursor, readCursor } from '../../storage/codec/index-record.ts'
import type { Database } from '../../storage/ports/database.ts'
import type { DatabaseName } from '../../storage/ports/place.ts'
import { holds } from '../support/property.ts'
import type { Command } from './commands.ts'
import { differences, snapshotOf } from './snapshot.ts'
import { World } from './world.ts'

const traffic = fc.array(
  fc.oneof(
    fc.record({
      type: fc.constant('send' as const),
      topic: fc.nat({ max: 2 }),
      count: fc.integer({ min: 1, max: 30 }),
      bytes: fc.constantFrom(10, 300),
      messageGroup: fc.constantFrom('', 'a'),
      isAwaited: fc.boolean(),
    }),
    fc.record({
      type: fc.constant('receive' as const),
      topic: fc.nat({ max: 2 }),
      group: fc.nat({ max: 1 }),
      batchMax: fc.constant(8),
      waitMs: fc.constant(0),
      invisibleMs: fc.constant(10_000),
    }),
    fc.constantFrom<Command>(
      { type: 'ack', pick: 0, count: 3 },
      { type: 'advance', ms: 10_000 },
      { type: 'checkpoint' },
      { type: 'endTopic', topic: 2 },
      { type: 'restart' },
    ),
  ),
  { minLength: 3, maxLength: 20 },
)

/** A medium with something on it, and nobody who has it open. */
const aClosedWorld = async (seed: number, script: readonly Command[]): Promise<World> => {
  const world = new World(seed, new Map())
  await world.begin()
  for (const command of script) await world.run(command)
  await world.close()
  return world
}

const within = async <Result>(
  { lives }: World,
  name: DatabaseName,
  work: (database: Database) => Promise<Result>,
): Promise<Result> => {
  const database = await lives.clock.until(lives.place.openDatabase(name))
  const result = await lives.clock.until(work(database))
  await lives.clock.until(database.close())
  return result
}

const chunksOf = (world: World): Promise<Uint8Array[]> =>
  within(world, 'commit-log', async (database) => {
    const keys: Uint8Array[] = []
    for await (const key of database.keys()) keys.push(key)
    return keys
  })

const clearIndex = (world: World): Promise<void> =>
  within(world, 'index', (database) => database.clear({}))

const snapshotAfterOpening = async ({ lives }: World): Promise<string[]> => {
  const life = await lives.open()
  const snapshot = snapshotOf(life.broker)
  await lives.clock.until(life.broker.close())
  life.die()
  return snapshot
}

const Damage = suite('a damaged medium')

Damage('a chunk that is missing or rotten stops the opening, by its position', () =>
  holds(
    fc.asyncProperty(
      fc.nat(),
      traffic,
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.option(fc.nat()),
      async (seed, script, where, rot) => {
        const world = await aClosedWorld(seed, script)
        const keys = await chunksOf(world)
        // Nobody can miss the last one: the log simply ends before it.
        const key = keys[Math.floor(where * (keys.length - 2))] as Uint8Array
        if (rot === null)
          await within(world, 'commit-log', (log) => log.write([{ type: 'del', key }], sync))
        else world.lives.place.corrupt('commit-log', key, (value) => flipped(value, rot))
        await clearIndex(world)
        const opening = world.lives.open()
        const error = await opening.then(
          () => undefined,
          (reason: unknown) => reason,
        )
        assert.ok(isBrokerError(error, 'CORRUPT'), `the opening says ${String(error)}`)
        assert.is(error.params.position, chunkOffsetOf(key))
      },
    ),
    { runs: 60 },
  ),
)

Damage('an index that knows more than the log is made anew from the log', () =>
  holds(
    fc.asyncProperty(
      fc.nat(),
      traffic,
      fc.integer({ min: 1, max: 5 }),
      async (seed, script, lost) => {
        const world = await aClosedWorld(seed, script)
        const keys = (await chunksOf(world)).slice(-lost)
        await within(world, 'commit-log', (log) =>
          log.write(
            keys.map((key) => ({ type: 'del', key })),
            sync,
          ),
        )
        const opened = await snapshotAfterOpening(world).catch((error: unknown) => {
          // What said that a stretch was given up may be among what is lost: that is found, too.
          if (!isBrokerError(error, 'CORRUPT')) throw error
        })
        if (opened === undefined) return
        assert.ok(world.lives.logged.has('the index is rebuilt from the commit log'))
        await clearIndex(world)
        assert.is(differences(opened, await snapshotAfterOpening(world)).join('\n'), '')
      },
    ),
    { runs: 40 },
  ),
)

Damage('an index of another epoch is made anew, and says the same', () =>
  holds(
    fc.asyncProperty(fc.nat(), traffic, async (seed, script) => {
      const world = await aClosedWorld(seed, script)
      const before = await snapshotAfterOpening(world)
      await within(world, 'index', async (index) => {
        const cursor = readCursor((await index.get(cursorKey())) as Uint8Array)
        const value = encodeCursor({ ...cursor, epoch: cursor.epoch + 7 })
        await index.write([{ type: 'put', key: cursorKey(), value }], sync)
      })
      world.lives.logged.clear()
      assert.is(differences(before, await snapshotAfterOpening(world)).join('\n'), '')
      assert.ok(world.lives.logged.has('the index is rebuilt from the commit log'))
    }),
    { runs: 40 },
  ),
)

const sync = { sync: true } as const

const flipped = (value: Uint8Array, seed: number): Uint8Array => {
  const at = seed % value.length
  value[at] = (value[at] as number) ^ (1 << (seed % 8))
  return value
}

Damage.run()
