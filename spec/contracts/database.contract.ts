import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../model/errors.ts'
import type { Database, Entry, Operation, Range, Readable } from '../../storage/ports/database.ts'
import { holds } from '../support/property.ts'

/** A place for one database, empty at first. */
export interface DatabaseSetting {
  openDatabase(): Promise<Database>
  discard(): Promise<void>
}

/** A database with the storage taken out: hexadecimal keys sort as their bytes do. */
type Model = Map<string, Uint8Array>
interface Real {
  database: Database
  readonly open: () => Promise<Database>
}

// Few bytes, chosen for their order, so that keys collide and are prefixes of each other.
const aKey = fc
  .array(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), { minLength: 1, maxLength: 3 })
  .map((bytes) => Uint8Array.from(bytes))
const aValue = fc.uint8Array({ maxLength: 3 })
const anOperation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ type: fc.constant('put' as const), key: aKey, value: aValue }),
  fc.record({ type: fc.constant('del' as const), key: aKey }),
)
const aBatch = fc.record({
  operations: fc.array(anOperation, { maxLength: 5 }),
  sync: fc.boolean(),
})
const aRange: fc.Arbitrary<Range> = fc
  .tuple(
    fc.oneof(fc.record({ gte: aKey }), fc.record({ gt: aKey }), fc.constant({})),
    fc.record({ lt: aKey, reverse: fc.boolean(), limit: fc.nat({ max: 4 }) }, { requiredKeys: [] }),
  )
  .map(([lower, rest]) => ({ ...lower, ...rest }))

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytes = (text: string): Uint8Array => Buffer.from(text, 'hex')
const plain = (value: Uint8Array | undefined): string | undefined => value && hex(value)
const plainEntry = ({ key, value }: Entry): string => `${hex(key)}=${hex(value)}`

const all = async <Item>(items: AsyncIterable<Item>): Promise<Item[]> => {
  const collected: Item[] = []
  for await (const item of items) collected.push(item)
  return collected
}

const inRange = (model: Model, { gte, gt, lt, reverse, limit }: Range): string[] => {
  const keys = [...model.keys()]
    .filter((key) => gte === undefined || key >= hex(gte))
    .filter((key) => gt === undefined || key > hex(gt))
    .filter((key) => lt === undefined || key < hex(lt))
    .sort()
  return (reverse === true ? keys.reverse() : keys).slice(0, limit)
}

const command = (
  name: string,
  run: (model: Model, real: Real) => Promise<void>,
): fc.AsyncCommand<Model, Real> => ({ check: () => true, run, toString: () => name })

const show = (range: Range): string => fc.stringify(range)

const write = (batches: { operations: Operation[]; sync: boolean }[]) =>
  command(`write${fc.stringify(batches)}`, async (model, { database }) => {
    // Not awaited one by one: their order is that of the calls.
    await Promise.all(batches.map(({ operations, sync }) => database.write(operations, { sync })))
    for (const operation of batches.flatMap(({ operations }) => operations)) {
      if (operation.type === 'put') model.set(hex(operation.key), operation.value)
      else model.delete(hex(operation.key))
    }
  })

const get = (key: Uint8Array) =>
  command(`get(${hex(key)})`, async (model, { database }) => {
    assert.is(plain(await database.get(key)), plain(model.get(hex(key))))
  })

const getMany = (keys: Uint8Array[]) =>
  command(`getMany(${keys.map(hex).join()})`, async (model, { database }) => {
    assert.equal(
      (await database.getMany(keys)).map(plain),
      keys.map((key) => plain(model.get(hex(key)))),
    )
  })

const read = (range: Range) =>
  command(`read(${show(range)})`, async (model, { database }) => {
    const expected = inRange(model, range)
    const entries = await all(database.entries(range))
    assert.equal(
      entries.map(plainEntry),
      expected.map((key) => `${key}=${plain(model.get(key))}`),
    )
    assert.equal((await all(database.keys(range))).map(hex), expected)
  })

const clear = (range: Range) =>
  command(`clear(${show(range)})`, async (model, { database }) => {
    await database.clear(range)
    for (const key of inRange(model, range)) model.delete(key)
  })

const reopen = command('reopen', async (_, real) => {
  await real.database.close()
  real.database = await real.open()
})

const put = (key: string, value: string): Operation => ({
  type: 'put',
  key: bytes(key),
  value: bytes(value),
})

const outcome = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (isBrokerError(error, 'STORE_UNAVAILABLE') ? error.code : String(error)),
  )

const isUnavailable = (error: unknown): boolean => isBrokerError(error, 'STORE_UNAVAILABLE')

/** Every adapter of `Database` runs this; `aSetting` makes an empty one each time. */
export const databaseContract = (
  adapter: string,
  aSetting: () => Promise<DatabaseSetting>,
): void => {
  const Contract = suite(`Database contract: ${adapter}`)

  const within = async (work: (open: () => Promise<Database>) => Promise<void>): Promise<void> => {
    const setting = await aSetting()
    const opened: Database[] = []
    try {
      await work(async () => {
        const database = await setting.openDatabase()
        opened.push(database)
        return database
      })
    } finally {
      for (const database of opened) await database.close()
      await setting.discard()
    }
  }

  Contract('is a sorted map of bytes, even across reopenings', async () => {
    const commands = fc.commands(
      [
        fc.array(aBatch, { minLength: 1, maxLength: 3 }).map(write),
        aKey.map(get),
        fc.array(aKey, { maxLength: 4 }).map(getMany),
        aRange.map(read),
        aRange.map(clear),
        fc.constant(reopen),
      ],
      { size: '+1', maxCommands: 30 },
    )
    const works = fc.asyncProperty(commands, (script) =>
      within(async (open) => {
        const real: Real = { open, database: await open() }
        await fc.asyncModelRun(() => ({ model: new Map<string, Uint8Array>(), real }), script)
      }),
    )
    await holds(works, { runs: 60 })
  })

  Contract('keeps its order and its values over thousands of keys', () =>
    within(async (open) => {
      const database = await open()
      const keys = Array.from({ length: 3_000 }, (_, index) => (index * 7919) % 3_000)
      const key = (index: number) => index.toString(16).padStart(4, '0')
      for (const part of [keys.slice(0, 1_700), keys.slice(1_700)])
        await database.write(
          part.map((index) => put(key(index), key(index))),
          { sync: false },
        )
      const entries = (await all(database.entries())).map(plainEntry)
      assert.equal(
        entries,
        keys.map((_, index) => `${key(index)}=${key(index)}`),
      )
      await database.clear({ gte: bytes(key(10)), lt: bytes(key(2_990)) })
      assert.is((await all(database.keys())).length, 20)
    }),
  )

  Contract('takes its own copy of what it is given, at the call', () =>
    within(async (open) => {
      const database = await open()
      const operation = { type: 'put' as const, key: bytes('01'), value: bytes('02') }
      const first = database.write([put('00', '00')], { sync: false })
      const second = database.write([operation], { sync: false })
      operation.key.fill(0xee)
      operation.value.fill(0xee)
      await Promise.all([first, second])
      assert.equal((await all(database.entries())).map(plainEntry), ['00=00', '01=02'])
    }),
  )

  Contract('shows a batch whole or not at all', () =>
    within(async (open) => {
      const database = await open()
      const both = async () => (await all(database.entries())).map(({ value }) => plain(value))
      await database.write([put('01', '00'), put('02', '00')], { sync: false })
      for (let round = 1; round < 50; round++) {
        const value = round.toString(16).padStart(2, '0')
        const writing = database.write([put('01', value), put('02', value)], { sync: false })
        const [seen] = await Promise.all([both(), writing])
        assert.is(seen[0], seen[1])
      }
    }),
  )

  Contract('shows an iteration the moment of its first step', () =>
    within(async (open) => {
      const database = await open()
      const before = Array.from({ length: 5 }, (_, index) => put(`0${index}`, '00'))
      await database.write(before, { sync: false })
      const iterator = database.entries()[Symbol.asyncIterator]()
      const keys = [plain((await iterator.next()).value?.key)]
      await database.write([put('03', 'ff'), put('0a', 'ff')], { sync: false })
      await database.clear({ gte: bytes('04') })
      for (let step = await iterator.next(); !step.done; step = await iterator.next())
        keys.push(plainEntry(step.value))
      assert.equal(keys, ['00', '01=00', '02=00', '03=00', '04=00'])
      assert.equal((await all(database.keys())).map(hex), ['00', '01', '02', '03'])
    }),
  )

  Contract('keeps the moment of a snapshot, whatever is written and cleared later', () =>
    within(async (open) => {
      const database = await open()
      await database.write([put('01', '01'), put('02', '02'), put('03', '03')], { sync: false })
      const first = database.snapshot()
      await database.write([put('02', 'ff'), put('04', '04')], { sync: false })
      const second = database.snapshot()
      assert.is(database.snapshots, 2)
      await database.clear({ gte: bytes('01'), lt: bytes('03') })
      const seen = async (from: Readable) => (await all(from.entries())).map(plainEntry)
      assert.equal(await seen(first), ['01=01', '02=02', '03=03'])
      assert.equal((await all(first.keys({ gt: bytes('01') }))).map(hex), ['02', '03'])
      assert.equal((await first.getMany([bytes('02'), bytes('04')])).map(plain), ['02', undefined])
      await first.close()
      assert.equal(await seen(second), ['01=01', '02=ff', '03=03', '04=04'])
      assert.is(plain(await second.get(bytes('02'))), 'ff')
      await second.close()
      await second.close()
      assert.is(database.snapshots, 0)
      assert.equal(await seen(database), ['03=03', '04=04'])
      assert.is(await outcome(first.get(bytes('01'))), 'STORE_UNAVAILABLE')
      assert.is(await outcome(seen(second)), 'STORE_UNAVAILABLE')
    }),
  )

  Contract('refuses a snapshot’s reads when it is closed itself', () =>
    within(async (open) => {
      const database = await open()
      await database.write([put('01', '01')], { sync: false })
      const snapshot = database.snapshot()
      await database.close()
      assert.is(await outcome(snapshot.get(bytes('01'))), 'STORE_UNAVAILABLE')
      assert.is(await outcome(all(snapshot.keys())), 'STORE_UNAVAILABLE')
      await snapshot.close()
      assert.throws(() => database.snapshot(), isUnavailable)
    }),
  )

  Contract('may be left in the middle of an iteration', () =>
    within(async (open) => {
      const database = await open()
      await database.write([put('01', '01'), put('02', '02')], { sync: false })
      for await (const { key } of database.entries()) {
        assert.is(hex(key), '01')
        break
      }
      await database.close()
      assert.is(plain(await (await open()).get(bytes('02'))), '02')
    }),
  )

  Contract('closes after what was asked before, twice if need be', () =>
    within(async (open) => {
      let database = await open()
      await database.write([put('00', '00'), put('01', '01')], { sync: true })
      for (const ask of [
        () => [database.clear({ lt: bytes('01') })],
        () => [
          database.write([put('02', '02')], { sync: true }),
          database.write([put('03', '03')], { sync: false }),
          database.get(bytes('01')),
        ],
      ]) {
        const asked = ask().map(outcome)
        const closing = [database.close(), database.close()]
        assert.equal(new Set(await Promise.all(asked)), new Set(['done']))
        await Promise.all(closing)
        await database.close()
        database = await open()
      }
      assert.equal((await all(database.keys())).map(hex), ['01', '02', '03'])
    }),
  )

  Contract('refuses everything once it is closed, and never ends an iteration early', () =>
    within(async (open) => {
      const database = await open()
      await database.write([put('01', '01'), put('02', '02')], { sync: false })
      const iterator = database.entries()[Symbol.asyncIterator]()
      await iterator.next()
      const closing = database.close()
      const late = (): Promise<unknown>[] => [
        database.write([put('03', '03')], { sync: true }),
        database.get(bytes('01')),
        database.getMany([bytes('01')]),
        database.clear({}),
        all(database.entries()),
        all(database.keys()),
      ]
      const refused = Array.from({ length: 6 }, () => 'STORE_UNAVAILABLE')
      assert.equal(await Promise.all(late().map(outcome)), refused)
      await closing
      assert.equal(await Promise.all(late().map(outcome)), refused)
      const rest = all({ [Symbol.asyncIterator]: () => iterator })
      assert.is(await outcome(rest), 'STORE_UNAVAILABLE')
      assert.equal((await all((await open()).keys())).map(hex), ['01', '02'])
    }),
  )

  Contract.run()
}
