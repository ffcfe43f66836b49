import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../model/errors.ts'
import type { Clock } from '../../model/ports.ts'
import type { PlaceEvent } from '../../storage/crashable/crashable-events.ts'
import { CrashablePlace } from '../../storage/crashable/crashable-place.ts'
import type { Database } from '../../storage/ports/database.ts'
import { databaseNames, type DatabaseName, type Place } from '../../storage/ports/place.ts'
import { databaseContract } from '../contracts/database.contract.ts'
import { placeContract } from '../contracts/place.contract.ts'
import { holds } from '../support/property.ts'
import { seededRandom } from '../support/random.ts'
import { SimulatedClock } from '../support/simulated-clock.ts'

let seed = 0

/** The contracts await one thing at a time and drive no clock. */
const promptClock: Clock = {
  wallMs: () => 0,
  monotonicMs: () => 0,
  after: () => () => {},
  soon: queueMicrotask,
}
const aPromptPlace = () => new CrashablePlace({ random: seededRandom(seed++), clock: promptClock })

databaseContract('crashable', async () => {
  const place = aPromptPlace()
  return { openDatabase: () => place.openDatabase('index'), discard: () => place.close() }
})

placeContract('crashable', async () => {
  const place = aPromptPlace()
  return { openPlace: async () => place, discard: () => place.close() }
})

const aPlace = () => {
  const clock = new SimulatedClock()
  const events: PlaceEvent[] = []
  const onEvent = (event: PlaceEvent) => events.push(event)
  const place = new CrashablePlace({ random: seededRandom(seed++), clock, onEvent })
  const open = (name: DatabaseName = 'commit-log', of: Place = place) =>
    clock.until(of.openDatabase(name))
  const numbers = (database: Database) => clock.until(numbersIn(database))
  return { clock, place, events, open, numbers }
}

/** Numbers count up from 0, so a list of them shows what is missing. */
const put = (database: Database, number: number, sync = true): Promise<void> => {
  const key = Uint8Array.of(number)
  return database.write([{ type: 'put', key, value: key }], { sync })
}

const numbersIn = async (database: Database): Promise<(number | undefined)[]> => {
  const numbers: (number | undefined)[] = []
  for await (const key of database.keys()) numbers.push(key[0])
  return numbers
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)

const outcome = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (isBrokerError(error, 'STORE_UNAVAILABLE') ? 'refused' : String(error)),
  )

const Crashable = suite('CrashablePlace')

const someWrites = fc.array(fc.boolean(), { maxLength: 12 })

Crashable('keeps what was synced and a part from the start of what came after', () =>
  holds(
    fc.asyncProperty(someWrites, fc.nat(), fc.nat(12), async (syncs, crashSeed, awaited) => {
      const { clock, place, open, numbers } = aPlace()
      const database = await open()
      const acknowledged: number[] = []
      const writes = syncs.map((sync, number) =>
        put(database, number, sync).then(() => acknowledged.push(number)),
      )
      const settled = Promise.allSettled(writes)
      if (awaited < writes.length) await clock.until(Promise.all(writes.slice(0, awaited)))
      else await clock.until(settled)
      place.crash(crashSeed)
      await settled
      const kept = await numbers(await open())
      const synced = acknowledged.filter((number) => syncs[number])
      assert.equal(kept, upTo(kept.length))
      assert.ok(
        kept.length > (synced.at(-1) ?? -1),
        `${kept.join()} after ${synced.join()} were synced`,
      )
      assert.ok(kept.length <= acknowledged.length + 1, 'a write that never began was kept')
    }),
  ),
)

Crashable(
  'loses nothing, something or everything unsynced, in each database for itself',
  async () => {
    const seen = new Set<string>()
    for (let crashSeed = 0; crashSeed < 60; crashSeed++) {
      const { clock, place, open, numbers } = aPlace()
      for (const name of databaseNames) {
        const database = await open(name)
        for (const number of upTo(2)) await clock.until(put(database, number, false))
      }
      place.crash(crashSeed)
      const kept: number[] = []
      for (const name of databaseNames) kept.push((await numbers(await open(name))).length)
      seen.add(kept.join())
    }
    assert.equal([...seen].sort(), ['0,0', '0,1', '0,2', '1,0', '1,1', '1,2', '2,0', '2,1', '2,2'])
  },
)

Crashable('syncs everything earlier with an empty batch', async () => {
  const { clock, place, open, numbers } = aPlace()
  const database = await open()
  await clock.until(put(database, 0, false))
  await clock.until(database.write([], { sync: true }))
  place.crash(0)
  assert.equal(await numbers(await open()), [0])
})

Crashable('syncs what came before a torn record with what came after it', async () => {
  const { clock, place, open, numbers } = aPlace()
  const database = await open()
  await clock.until(put(database, 0, false))
  place.failWrites('commit-log', { error: 'ENOSPC', count: 1 })
  assert.is(await clock.until(outcome(put(database, 1))), 'refused')
  await clock.until(put(database, 2, true))
  place.crash(0)
  assert.equal(await numbers(await open()), [0])
})

Crashable('crashes in the middle of a clear, which is not atomic', async () => {
  const left = new Set<number>()
  for (let crashSeed = 0; crashSeed < 60; crashSeed++) {
    const { clock, place, open, numbers } = aPlace()
    const database = await open()
    for (const number of upTo(3)) await clock.until(put(database, number))
    await clock.until(database.clear({}))
    place.crash(crashSeed)
    left.add((await numbers(await open())).length)
  }
  assert.equal(left, new Set([0, 1, 2, 3]))
})

Crashable('acknowledges writes after a torn record and forgets them, as LevelDB does', () =>
  holds(
    fc.asyncProperty(fc.nat(5), fc.nat(5), fc.option(fc.nat()), async (before, after, crash) => {
      const { clock, place, open, numbers } = aPlace()
      const database = await open()
      for (const number of upTo(before)) await clock.until(put(database, number))
      place.failWrites('commit-log', { error: 'ENOSPC', count: 1 })
      assert.is(await clock.until(outcome(put(database, 100))), 'refused')
      for (const number of upTo(after)) await clock.until(put(database, 50 + number))
      const believed = [...upTo(before), ...upTo(after).map((number) => 50 + number)]
      assert.equal(await numbers(database), believed)
      if (crash === null) await clock.until(database.close())
      else place.crash(crash)
      assert.equal(await numbers(await open()), upTo(before))
    }),
  ),
)

Crashable('loses nothing when it is reopened before the next write', () =>
  holds(
    fc.asyncProperty(fc.nat(5), fc.nat(5), fc.nat(), async (before, after, crashSeed) => {
      const { clock, place, open, numbers } = aPlace()
      const database = await open()
      for (const number of upTo(before)) await clock.until(put(database, number))
      place.failWrites('commit-log', { error: 'EIO', count: 1 })
      assert.is(await clock.until(outcome(put(database, 100))), 'refused')
      await clock.until(database.close())
      const reopened = await open()
      for (const number of upTo(after)) await clock.until(put(reopened, before + number))
      place.crash(crashSeed)
      assert.equal(await numbers(await open()), upTo(before + after))
    }),
  ),
)

Crashable('keeps a record whose sync failed, and refuses every write after it', async () => {
  const { clock, place, open, numbers } = aPlace()
  const database = await open()
  place.failWrites('commit-log', { error: 'EIO', count: 1, leaves: 'whole' })
  assert.is(await clock.until(outcome(put(database, 0))), 'refused')
  assert.is(await clock.until(outcome(put(database, 1))), 'refused')
  assert.equal(await numbers(database), [])
  await clock.until(database.close())
  assert.equal(await numbers(await open()), [0])
})

Crashable('keeps nothing of a write that never reached the log', async () => {
  const { clock, place, open, numbers } = aPlace()
  const database = await open()
  place.failWrites('commit-log', { error: 'EIO', count: 1, leaves: 'nothing' })
  assert.is(await clock.until(outcome(put(database, 0))), 'refused')
  await clock.until(put(database, 1))
  await clock.until(database.close())
  assert.equal(await numbers(await open()), [1])
})

Crashable('fails as often as it was told, for ever, or until it is healed', async () => {
  const { clock, place, open } = aPlace()
  const index = await open('index')
  const read = () => clock.until(outcome(index.get(Uint8Array.of(0))))
  place.failReads('index', { error: 'EIO', count: 2 })
  assert.equal([await read(), await read(), await read()], ['refused', 'refused', 'done'])
  place.failReads('index', { error: 'EIO' })
  for (const _ of upTo(20)) assert.is(await read(), 'refused')
  place.heal()
  assert.is(await read(), 'done')
  place.failOpens('commit-log', { error: 'EIO', count: 1 })
  assert.is(await outcome(open()), 'refused')
  assert.is(await outcome(open()), 'done')
})

Crashable('takes as long as it was told', async () => {
  const { clock, place, open } = aPlace()
  const database = await open()
  place.slowWrites('commit-log', 500)
  const outcomes: string[] = []
  for (const number of upTo(2))
    void put(database, number).then(() => outcomes.push(`${number} at ${clock.monotonicMs()}`))
  await clock.advance(499)
  assert.equal(outcomes, [])
  await clock.advance(1_000)
  assert.equal(outcomes, ['0 at 500', '1 at 1000'])
})

Crashable('hangs, with whoever closes it, until it is resumed', async () => {
  const { clock, place, open, numbers } = aPlace()
  const database = await open()
  place.hangWrites('commit-log')
  const outcomes: string[] = []
  void put(database, 0).then(() => outcomes.push('written'))
  void put(database, 1).then(() => outcomes.push('written'))
  await clock.advance(60_000)
  assert.equal(await numbers(database), [])
  void database.close().then(() => outcomes.push('closed'))
  await clock.advance(60_000)
  assert.equal(outcomes, [])
  place.resumeWrites('commit-log')
  await clock.settle()
  assert.equal(outcomes, ['written', 'written', 'closed'])
})

Crashable('kills its handles with the power, and what was under way', async () => {
  const { clock, place, open } = aPlace()
  const before = place.boot()
  const database = await open('commit-log', before)
  const iterator = database.keys()[Symbol.asyncIterator]()
  await clock.until(put(database, 0))
  await clock.until(put(database, 1))
  await clock.until(iterator.next())
  place.hangWrites('commit-log')
  const underWay = [put(database, 2), put(database, 3), place.openDatabase('index')]
  const outcomes = Promise.all(underWay.map(outcome))
  place.crash(0)
  place.heal()
  assert.equal(await clock.until(outcomes), ['refused', 'refused', 'refused'])
  assert.is(await clock.until(outcome(iterator.next())), 'refused')
  assert.is(await clock.until(outcome(put(database, 4))), 'refused')
  assert.is(await clock.until(outcome(before.openDatabase('index'))), 'refused')
  assert.is(await clock.until(outcome(database.close())), 'done')
  await open('commit-log', place.boot())
})

Crashable('ends a close that waits with the power', async () => {
  const { clock, place, open } = aPlace()
  const database = await open()
  place.hangWrites('commit-log')
  const work = Promise.all([outcome(put(database, 0)), outcome(database.close())])
  await clock.settle()
  place.crash(0)
  assert.equal(await clock.until(work), ['refused', 'done'])
})

Crashable('cannot be reopened on a full disk before the ballast is released', async () => {
  const { clock, place, open, numbers } = aPlace()
  assert.ok(await place.ballast.restore())
  const database = await open()
  await clock.until(put(database, 0))
  place.fillDisk()
  assert.is(await clock.until(outcome(put(database, 1))), 'refused')
  await clock.until(database.close())
  assert.is((await place.diskUsage()).freeBytes, 0)
  assert.is(await outcome(open()), 'refused')
  await place.ballast.release()
  const reopened = await open()
  assert.equal(await numbers(reopened), [0])
  assert.not(await place.ballast.restore())
  place.freeDisk()
  assert.ok(await place.ballast.restore())
  await clock.until(put(reopened, 1))
})

Crashable('rots a value on the medium and in the open handle', async () => {
  const { clock, place, open } = aPlace()
  const key = Uint8Array.of(7)
  const database = await open('index')
  await clock.until(put(database, 7, false))
  place.corrupt('index', key, (value) => value.fill(0xff))
  assert.equal(await clock.until(database.get(key)), Uint8Array.of(0xff))
  await clock.until(database.close())
  place.corrupt('index', key, (value) => value.subarray(1))
  assert.equal(await clock.until((await open('index')).get(key)), new Uint8Array(0))
})

Crashable('tells what happened in its order, and counts writes', async () => {
  const { clock, place, events, open } = aPlace()
  const database = await open()
  place.failWrites('commit-log', { error: 'EIO', count: 1 })
  const writes = [put(database, 0), put(database, 1), put(database, 2, false)]
  await clock.until(Promise.allSettled(writes))
  await clock.until(database.close())
  place.crash(0)
  const told = events.map((event) =>
    'operations' in event ? `${event.type} ${event.operations[0]?.key[0]}` : event.type,
  )
  assert.equal(told, [
    'database.opened',
    'write.started 0',
    'write.failed 0',
    'write.started 1',
    'write.synced 1',
    'write.started 2',
    'write.accepted 2',
    'database.closed',
    'place.crashed',
  ])
  assert.equal(place.writes, { 'commit-log': 3, index: 0 })
})

Crashable.run()
