import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type BrokerErrorCode, isBrokerError } from '../../model/errors.ts'
import type { ObjectInfo, ObjectStore, SentRequest } from '../../storage/ports/object-store.ts'

/** Somewhere for objects, empty at first. What one store of it has put, another one finds. */
export interface ObjectStoreSetting {
  openStore(options: { onRequest(request: SentRequest): void }): Promise<ObjectStore>
  discard(): Promise<void>
}

export interface ObjectStoreContractOptions {
  /** More than the store takes in one piece, if it takes larger ones in several. */
  readonly largeBytes?: number
  /** More keys than one request of a listing tells. */
  readonly manyKeys?: number
}

const MIB = 1024 * 1024
const plain = { ifAbsent: false }
const ifAbsent = { ifAbsent: true }

/** Bytes of which no two stretches are alike. */
const bytesOf = (size: number, salt = 1): Buffer => {
  const bytes = Buffer.allocUnsafe(size)
  let state = salt
  for (let index = 0; index < size; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    bytes[index] = state >>> 24
  }
  return bytes
}

const codeOf = (work: Promise<unknown>): Promise<BrokerErrorCode | 'done' | undefined> =>
  work.then(
    () => 'done',
    (error: unknown) => (isBrokerError(error) ? error.code : undefined),
  )

const listed = async (objects: AsyncIterable<ObjectInfo>): Promise<string[]> => {
  const keys: string[] = []
  for await (const { key } of objects) keys.push(key)
  return keys
}

const isSame = (actual: Buffer, expected: Buffer): void =>
  assert.ok(actual.equals(expected), `${actual.length} other bytes than the ${expected.length} put`)

/** Every adapter of `ObjectStore` runs this; `aSetting` makes an empty one each time. */
export const objectStoreContract = (
  adapter: string,
  aSetting: () => Promise<ObjectStoreSetting>,
  { largeBytes = 9 * MIB, manyKeys = 1_005 }: ObjectStoreContractOptions = {},
): void => {
  const Contract = suite(`ObjectStore contract: ${adapter}`)

  const within = async (
    work: (parts: {
      store: ObjectStore
      reopen: () => Promise<ObjectStore>
      requests: SentRequest[]
    }) => Promise<void>,
  ): Promise<void> => {
    const setting = await aSetting()
    const requests: SentRequest[] = []
    const opened: ObjectStore[] = []
    const reopen = async () => {
      const store = await setting.openStore({ onRequest: (request) => requests.push(request) })
      opened.push(store)
      return store
    }
    try {
      await work({ store: await reopen(), reopen, requests })
    } finally {
      for (const store of opened) await store.close()
      await setting.discard()
    }
  }

  for (const [what, size] of [
    ['nothing', 0],
    ['one byte', 1],
    ['some KiB', 70_001],
    ['a large object', largeBytes],
  ] as const)
    Contract(`gives back ${what} as it was put, in one part or in many`, () =>
      within(async ({ store, reopen }) => {
        const content = bytesOf(size)
        const cuts = [0, 1, 1, Math.floor(size / 3), size]
          .filter((cut) => cut <= size)
          .sort((a, b) => a - b)
        const parts = cuts.map((cut, index) => content.subarray(cut, cuts[index + 1] ?? size))
        await store.put('whole/one', [content], plain)
        await store.put('whole/many', [content.subarray(0, 0), ...parts], ifAbsent)
        const other = await reopen()
        for (const key of ['whole/one', 'whole/many']) {
          isSame(await store.get(key), content)
          isSame(await other.get(key), content)
          assert.is((await other.head(key))?.bytes, size)
        }
      }),
    )

  Contract('gives exactly the bytes of a range, up to both borders and not beyond', () =>
    within(async ({ store }) => {
      const size = 200_000
      const content = bytesOf(size)
      await store.put('ranges', [content], plain)
      const borders = [0, 1, 65_535, 65_536, size - 1, size]
      for (const from of borders)
        for (const to of borders.filter((border) => border >= from))
          isSame(await store.get('ranges', { range: { from, to } }), content.subarray(from, to))
      for (const [from, to] of [
        [0, size + 1],
        [size - 1, size + 1],
        [size, size + 1],
        [size + 1, size + 2],
        [size + 1, size + 1],
      ] as const)
        assert.is(await codeOf(store.get('ranges', { range: { from, to } })), 'TIER_RANGE_ILLEGAL')
      await store.put('empty', [], plain)
      assert.is((await store.get('empty', { range: { from: 0, to: 0 } })).length, 0)
      const one = { range: { from: 0, to: 1 } }
      assert.is(await codeOf(store.get('empty', one)), 'TIER_RANGE_ILLEGAL')
      for (const range of [one.range, { from: 0, to: 0 }])
        assert.is(await codeOf(store.get('absent', { range })), 'TIER_OBJECT_NOT_FOUND')
    }),
  )

  Contract('replaces an object as a whole, and hands out bytes of their own', () =>
    within(async ({ store }) => {
      const first = bytesOf(1_000)
      await store.put('replaced', [first], plain)
      const read = await store.get('replaced')
      await store.put('replaced', [bytesOf(10, 2)], plain)
      isSame(read, first)
      read.fill(0)
      isSame(await store.get('replaced'), bytesOf(10, 2))
      assert.is((await store.head('replaced'))?.bytes, 10)
    }),
  )

  Contract('puts nothing in the place of what is there when it is told so', () =>
    within(async ({ store }) => {
      await store.put('kept', [bytesOf(10)], ifAbsent)
      for (const size of [10, largeBytes])
        assert.is(
          await codeOf(store.put('kept', [bytesOf(size, 2)], ifAbsent)),
          'TIER_OBJECT_EXISTS',
        )
      isSame(await store.get('kept'), bytesOf(10))
      await store.remove(['kept'])
      await store.put('kept', [bytesOf(5, 3)], ifAbsent)
      isSame(await store.get('kept'), bytesOf(5, 3))
    }),
  )

  Contract('lets one of twenty racers put what was absent, and keeps what that one put', () =>
    within(async ({ store, reopen }) => {
      const stores = [store, await reopen()]
      for (let race = 0; race < 5; race++) {
        const key = `races/${race}`
        const codes = await Promise.all(
          Array.from({ length: 20 }, (_, racer) =>
            codeOf((stores[racer % 2] ?? store).put(key, [bytesOf(5_000, racer)], ifAbsent)),
          ),
        )
        const winners = codes.flatMap((code, racer) => (code === 'done' ? [racer] : []))
        assert.is(winners.length, 1)
        assert.is(codes.filter((code) => code === 'TIER_OBJECT_EXISTS').length, 19)
        isSame(await store.get(key), bytesOf(5_000, winners[0]))
      }
    }),
  )

  Contract('says that there is none', () =>
    within(async ({ store }) => {
      assert.is(await store.head('absent'), undefined)
      assert.is(await store.head('absent/deeper'), undefined)
      assert.is(await codeOf(store.get('absent/deeper')), 'TIER_OBJECT_NOT_FOUND')
      await store.put('folder/object', [], plain)
      assert.is(await store.head('folder'), undefined)
      assert.is(await codeOf(store.get('folder')), 'TIER_OBJECT_NOT_FOUND')
    }),
  )

  Contract('lists what begins so, in the order of the keys', () =>
    within(async ({ store }) => {
      const keys = ['a', 'ab/c', 'ab-/c', 'ab.c', 'abc', 'b/0/1', 'b/0-1', 'b/10', 'b/9', 'z-']
      for (const key of keys.toReversed()) await store.put(key, [Buffer.from(key)], plain)
      const sorted = keys.toSorted()
      for (const prefix of ['', 'a', 'ab', 'ab/', 'ab/c', 'ab/cd', 'b/', 'b/0', 'b/1', 'c', 'z'])
        assert.equal(
          await listed(store.list(prefix)),
          sorted.filter((key) => key.startsWith(prefix)),
          prefix,
        )
      const startMs = (await store.head('a'))?.modifiedMs ?? 0
      for await (const { key, bytes, modifiedMs } of store.list('')) {
        assert.is(bytes, key.length)
        // A store may round to seconds.
        assert.ok(Math.abs(modifiedMs - startMs) < 60_000)
      }
    }),
  )

  Contract('lists and removes any number of keys, and does not mind absent ones', () =>
    within(async ({ store, requests }) => {
      const keys = Array.from({ length: manyKeys }, (_, i) => `many/${String(i).padStart(6, '0')}`)
      for (let from = 0; from < keys.length; from += 50)
        await Promise.all(keys.slice(from, from + 50).map((key) => store.put(key, [], plain)))
      requests.length = 0
      assert.equal(await listed(store.list('many/')), keys)
      assert.ok(requests.filter(({ kind }) => kind === 'list').length > 1)
      const [first = '', ...others] = keys
      const absent = Array.from({ length: 1_005 }, (_, index) => `absent/${index}`)
      await store.remove([...absent, ...others])
      assert.equal(await listed(store.list('')), [first])
      await store.remove(keys)
      await store.remove(keys)
      await store.remove([])
      assert.equal(await listed(store.list('')), [])
    }),
  )

  Contract('refuses what is no key and touches nothing', () =>
    within(async ({ store }) => {
      await store.put('kept', [], plain)
      const tooLong = Array.from({ length: 4 }, () => 'a'.repeat(150)).join('/')
      const names = ['', '/', '/a', 'a/', 'a//b', '.', '..', '../kept', 'a/../kept', 'a/./b']
      const others = ['.hidden', 'a/.b', 'A', 'a b', 'a\\b', 'ä', 'a\0', 'a\n', 'a'.repeat(201)]
      for (const key of [...names, ...others, tooLong])
        for (const work of [
          store.put(key, [], plain),
          store.put(key, [], ifAbsent),
          store.get(key),
          store.head(key),
          store.remove(['kept', key]),
        ])
          assert.is(await codeOf(work), 'TIER_KEY_ILLEGAL', JSON.stringify(key))
      for (const prefix of ['/', '..', '../', 'a/../', 'a//', '.'])
        assert.is(await codeOf(listed(store.list(prefix))), 'TIER_KEY_ILLEGAL', prefix)
      assert.equal(await listed(store.list('')), ['kept'])
      const long = ['a'.repeat(200), 'b'.repeat(200), 'c'.repeat(110)].join('/')
      await store.put(long, [Buffer.from('long')], ifAbsent)
      assert.is((await store.get(long)).toString(), 'long')
    }),
  )

  Contract('stops waiting when the signal says so, with its reason', () =>
    within(async ({ store }) => {
      await store.put('there', [bytesOf(largeBytes)], plain)
      const reason = new Error('enough')
      const reasonOf = (work: Promise<unknown>): Promise<unknown> =>
        work.then(
          () => 'done',
          (error: unknown) => error,
        )
      const works = (signal: AbortSignal): Promise<unknown>[] => [
        store.put('other', [bytesOf(largeBytes)], { ifAbsent: true, signal }),
        store.put('there', [bytesOf(largeBytes)], { ifAbsent: false, signal }),
        store.get('there', { signal }),
        store.head('there', { signal }),
        store.remove(['absent'], { signal }),
        listed(store.list('', { signal })),
      ]
      for (const reached of await Promise.all(works(AbortSignal.abort(reason)).map(reasonOf)))
        assert.is(reached, reason)
      const ending = new AbortController()
      const waiting = works(ending.signal).map(reasonOf)
      ending.abort(reason)
      for (const reached of await Promise.all(waiting)) assert.is(reached, reason)
      isSame(await store.get('there'), bytesOf(largeBytes))
    }),
  )

  Contract('ends what is under way when it is closed, and refuses what comes later', () =>
    within(async ({ store, reopen }) => {
      const works = (): Promise<unknown>[] => [
        store.put('object', [bytesOf(largeBytes)], plain),
        store.get('object'),
        store.head('object'),
        store.remove(['object']),
        listed(store.list('')),
      ]
      const waiting = works().map(codeOf)
      await Promise.all([store.close(), store.close()])
      for (const code of await Promise.all(waiting)) assert.is(code, 'TIER_UNAVAILABLE')
      for (const work of works()) assert.is(await codeOf(work), 'TIER_UNAVAILABLE')
      const again = await reopen()
      await again.put('object', [bytesOf(7)], plain)
      isSame(await again.get('object'), bytesOf(7))
    }),
  )

  Contract('tells of every request, by kind, key, bytes and success', () =>
    within(async ({ store, requests }) => {
      const told = async (work: Promise<unknown>): Promise<unknown> => {
        requests.length = 0
        await work
        return requests.map(({ ms, ...request }) => {
          assert.ok(ms >= 0)
          return request
        })
      }
      const request = { key: 'told/a', sentBytes: 0, receivedBytes: 0, ok: true }
      const put = store.put('told/a', [bytesOf(100), bytesOf(11)], ifAbsent)
      assert.equal(await told(put), [{ ...request, kind: 'put', sentBytes: 111 }])
      const get = store.get('told/a', { range: { from: 1, to: 8 } })
      assert.equal(await told(get), [{ ...request, kind: 'get', receivedBytes: 7 }])
      assert.equal(await told(store.head('told/a')), [{ ...request, kind: 'head' }])
      const again = codeOf(store.put('told/a', [bytesOf(10)], ifAbsent))
      const [refused] = (await told(again)) as SentRequest[]
      assert.is(refused?.ok, false)
      await told(listed(store.list('told/')))
      assert.equal(
        requests.map(({ kind, key, ok }) => ({ kind, key, ok })),
        [{ kind: 'list', key: 'told/', ok: true }],
      )
      await told(store.remove(['told/a', 'told/b']))
      assert.equal(
        requests.map(({ kind, key, ok }) => ({ kind, key, ok })),
        [{ kind: 'remove', key: 'told/a', ok: true }],
      )
    }),
  )

  Contract.run()
}
