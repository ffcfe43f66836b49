import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type BrokerErrorCode, isBrokerError } from '../../../model/errors.ts'
import type { SentRequest } from '../../../storage/ports/object-store.ts'
import type { S3ObjectStore, S3ObjectStoreOptions } from '../../../storage/s3/s3-object-store.ts'
import { holdsAndShows } from '../../support/property.ts'
import { seededRandom } from '../../support/random.ts'
import { passingFaults } from '../../support/s3-faults.ts'
import { openS3Server, type S3Server } from '../../support/s3-server.ts'
import { s3StoreOn } from '../../support/s3-store.ts'
import { eventually } from '../../support/waiting.ts'

const MIB = 1024 * 1024
const plain = { ifAbsent: false }
const ifAbsent = { ifAbsent: true }
const someBytes = seededRandom(1).bytes(100_000)
const largeBytes = seededRandom(2).bytes(11 * MIB)
const inParts = { singleBytesMax: 6 * MIB, partBytes: 5 * MIB }

interface Case {
  readonly server: S3Server
  readonly store: S3ObjectStore
  readonly requests: SentRequest[]
}

const within = async (
  options: Partial<S3ObjectStoreOptions>,
  work: (parts: Case) => Promise<void>,
): Promise<void> => {
  const server = await openS3Server()
  const requests: SentRequest[] = []
  const onRequest = (request: SentRequest): unknown => requests.push(request)
  const store = s3StoreOn(server, { attemptsMax: 2, ...inParts, onRequest, ...options })
  try {
    await work({ server, store, requests })
  } finally {
    await store.close()
    await server.close()
  }
}

const refusalOf = async (
  work: Promise<unknown>,
): Promise<{ code: BrokerErrorCode; says: string }> => {
  const error: unknown = await work.catch((cause: unknown) => cause)
  assert.ok(isBrokerError(error), String(error))
  return { code: error.code, says: error.message }
}

const isSame = (actual: Uint8Array | undefined, expected: Uint8Array): void =>
  assert.ok(actual !== undefined && Buffer.from(expected).equals(actual), 'other bytes')

const Faults = suite('S3 faults')

for (const fault of ['slowDown', 'internalError', 'reset'] as const) {
  Faults(`a ${fault} that passes is tried over, and told of`, () =>
    within({}, async ({ server, store, requests }) => {
      server.faults.next([fault], ['put'])
      await store.put('a', [someBytes], ifAbsent)
      server.faults.next([fault], ['get'])
      isSame(await store.get('a'), someBytes)
      assert.equal(
        requests.map(({ kind, ok }) => `${kind} ${ok}`),
        ['put false', 'put true', 'get false', 'get true'],
      )
      assert.is(requests.length, server.requests)
    }),
  )

  Faults(
    `a ${fault} that stays is TIER_UNAVAILABLE after the tries there are, for every call`,
    () =>
      within({}, async ({ server, store, requests }) => {
        await store.put('a', [someBytes], ifAbsent)
        server.faults.during(fault, ['put', 'get', 'head', 'list'])
        for (const work of [
          () => store.put('b', [someBytes], ifAbsent),
          () => store.get('a', { range: { from: 0, to: 5 } }),
          () => store.head('a'),
          () => store.list('')[Symbol.asyncIterator]().next(),
        ]) {
          requests.length = 0
          assert.is((await refusalOf(work())).code, 'TIER_UNAVAILABLE')
          assert.equal(
            requests.map(({ ok }) => ok),
            [false, false],
          )
        }
        server.faults.during(fault, ['remove'])
        assert.is((await refusalOf(store.remove(['a']))).code, 'TIER_UNAVAILABLE')
        assert.equal([...server.objects.keys()], ['a'])
        server.faults.stop()
        await store.remove(['a'])
        assert.equal([...server.objects.keys()], [])
      }),
  )
}

for (const fault of ['truncated', 'resetInBody'] as const)
  Faults(`a body that is ${fault} is never taken for a whole one`, () =>
    within({}, async ({ server, store }) => {
      await store.put('a', [someBytes], plain)
      const range = { from: 10, to: 50_010 }
      for (const options of [{ range }, {}]) {
        const expected = options.range ? someBytes.subarray(10, 50_010) : someBytes
        server.faults.next([fault], ['get'])
        isSame(await store.get('a', options), expected)
        server.faults.during(fault, ['get'])
        assert.is((await refusalOf(store.get('a', options))).code, 'TIER_UNAVAILABLE')
        server.faults.stop()
        isSame(await store.get('a', options), expected)
      }
    }),
  )

Faults('a list that breaks off is not taken for a whole one', () =>
  within({ pageKeys: 2 }, async ({ server, store }) => {
    for (const key of ['a', 'b', 'c', 'd']) await store.put(key, [], plain)
    server.faults.next(['resetInBody'], ['list'])
    const keys: string[] = []
    for await (const { key } of store.list('')) keys.push(key)
    assert.equal(keys, ['a', 'b', 'c', 'd'])
    const objects = store.list('')[Symbol.asyncIterator]()
    await objects.next()
    await objects.next()
    server.faults.during('truncated', ['list'])
    assert.is((await refusalOf(objects.next())).code, 'TIER_UNAVAILABLE')
  }),
)

Faults(
  'a wrong ETag of an object is nobody’s business; one of a part keeps it from being put',
  () =>
    within({}, async ({ server, store }) => {
      server.faults.during('wrongETag')
      await store.put('a', [someBytes], ifAbsent)
      isSame(await store.get('a'), someBytes)
      assert.is((await refusalOf(store.put('large', [largeBytes], plain))).code, 'TIER_UNAVAILABLE')
      assert.equal([...server.objects.keys()], ['a'])
      assert.is(server.uploads.size, 0)
    }),
)

Faults('a slow body is waited for as long as the timeout allows', () =>
  within({ timeoutMs: 2_000 }, async ({ server, store }) => {
    await store.put('a', [someBytes], plain)
    server.faults.during('slowBody')
    isSame(await store.get('a'), someBytes)
  }),
)

for (const fault of ['silence', 'slowBody'] as const)
  Faults(`no whole answer in time, for ${fault}, is TIER_UNAVAILABLE`, () =>
    within({ timeoutMs: 40 }, async ({ server, store, requests }) => {
      await store.put('a', [someBytes], plain)
      requests.length = 0
      server.faults.during(fault)
      const { code, says } = await refusalOf(store.get('a'))
      assert.is(code, 'TIER_UNAVAILABLE')
      assert.match(says, 'no whole answer within 40 ms')
      assert.equal(
        requests.map(({ ok }) => ok),
        [false, false],
      )
    }),
  )

Faults('a signal ends waiting for an answer that never comes, and lets go of the connection', () =>
  within({}, async ({ server, store, requests }) => {
    server.faults.during('silence')
    const ending = new AbortController()
    const reason = new Error('enough')
    const works = [
      store.put('a', [largeBytes], { ifAbsent: true, signal: ending.signal }),
      store.get('a', { signal: ending.signal }),
    ].map((work) => work.catch((error: unknown) => error))
    await eventually('both have reached the server', () => server.requests === 2)
    ending.abort(reason)
    assert.equal(await Promise.all(works), [reason, reason])
    await eventually('both are over', () => requests.length === 2)
  }),
)

Faults('a refusal for a while is TIER_DENIED, at once, until access is back', () =>
  within({}, async ({ server, store, requests }) => {
    await store.put('a', [someBytes], plain)
    requests.length = 0
    server.faults.during('denied')
    for (const work of [
      () => store.put('b', [someBytes], ifAbsent),
      () => store.put('b', [largeBytes], plain),
      () => store.get('a'),
      () => store.head('a'),
      () => store.list('')[Symbol.asyncIterator]().next(),
      () => store.remove(['a']),
    ])
      assert.is((await refusalOf(work())).code, 'TIER_DENIED')
    assert.is(requests.length, 6)
    server.faults.stop()
    isSame(await store.get('a'), someBytes)
    assert.equal([...server.objects.keys()], ['a'])
  }),
)

Faults('a bucket that is gone is not taken for an empty one, and is called by its name', () =>
  within({}, async ({ server, store }) => {
    await store.put('a', [someBytes], plain)
    server.faults.during('bucketGone')
    for (const work of [
      () => store.put('b', [], ifAbsent),
      () => store.get('a'),
      () => store.get('a', { range: { from: 0, to: 0 } }),
      () => store.head('a'),
      () => store.list('')[Symbol.asyncIterator]().next(),
      () => store.remove(['a']),
    ]) {
      const { code, says } = await refusalOf(work())
      assert.is(code, 'TIER_UNAVAILABLE')
      assert.match(says, `the bucket '${server.bucket}' does not exist`)
    }
  }),
)

Faults('a put whose answer was lost meets itself, and reading back tells', () =>
  within({}, async ({ server, store, requests }) => {
    server.faults.next(['answerLost'], ['put'])
    assert.is((await refusalOf(store.put('a', [someBytes], ifAbsent))).code, 'TIER_OBJECT_EXISTS')
    assert.equal(
      requests.map(({ ok }) => ok),
      [false, false],
    )
    isSame(await store.get('a'), someBytes)
    assert.equal([...server.objects.keys()], ['a'])
  }),
)

Faults('a lost answer harms no put that may be repeated, and no removal', () =>
  within({}, async ({ server, store }) => {
    server.faults.next(['answerLost'], ['put'])
    await store.put('a', [someBytes], plain)
    isSame(await store.get('a'), someBytes)
    server.faults.next(['answerLost'], ['remove'])
    await store.remove(['a'])
    assert.equal([...server.objects.keys()], [])
  }),
)

Faults('an object in parts is there whole or not at all, whichever request fails', async () => {
  let completions = 0
  for (const fault of ['internalError', 'answerLost', 'denied'] as const)
    for (let failing = 0; failing < 5; failing++)
      await within({ attemptsMax: 1 }, async ({ server, store }) => {
        await store.put('a', [someBytes], plain)
        // Requests of kind put: begin, three parts, complete.
        server.faults.next([...Array(failing).fill('slowBody'), fault], ['put'])
        const { code } = await refusalOf(store.put('a', [largeBytes], plain))
        assert.is(code, fault === 'denied' ? 'TIER_DENIED' : 'TIER_UNAVAILABLE')
        const isDone = fault === 'answerLost' && failing === 4
        isSame(server.objects.get('a')?.body, isDone ? largeBytes : someBytes)
        if (isDone) completions += 1
        // Nobody knows the name of an upload whose beginning was not heard of.
        assert.is(server.uploads.size, fault === 'answerLost' && failing === 0 ? 1 : 0)
        await store.put('a', [largeBytes], plain)
        isSame(await store.get('a'), largeBytes)
      })
  assert.is(completions, 1)
})

Faults('a body that changed on its way is refused by the server', () =>
  within({}, async ({ server }) => {
    const bytes = Buffer.from(someBytes)
    const change = (): void => void bytes.writeUInt8(bytes.readUInt8(7) ^ 1, 7)
    const store = s3StoreOn(server, { attemptsMax: 2, onRequest: change })
    server.faults.next(['internalError'], ['put'])
    const { code, says } = await refusalOf(store.put('a', [bytes], ifAbsent))
    assert.is(code, 'TIER_UNAVAILABLE')
    assert.match(says, 'BadDigest')
    assert.equal([...server.objects.keys()], [])
    await store.close()
  }),
)

Faults('what a removal leaves is told, key by key', () =>
  within({}, async ({ server, store }) => {
    const keys = Array.from({ length: 1_500 }, (_, index) => `many/${index}`)
    for (const key of keys)
      server.objects.set(key, { body: Buffer.alloc(0), etag: '', modifiedMs: 0 })
    server.protectedKeys.add('many/3').add('many/4')
    const { code, says } = await refusalOf(store.remove(keys))
    assert.is(code, 'TIER_DENIED')
    assert.match(says, 'many/3: kept (and 1 more)')
    server.protectedKeys.clear()
    await store.remove(keys)
    assert.is(server.objects.size, 0)
  }),
)

Faults('nobody there, and no credentials, are said as they are', () =>
  within({}, async ({ server }) => {
    const away = s3StoreOn({ endpoint: 'http://127.0.0.1:1' }, { attemptsMax: 1 })
    const refused = await refusalOf(away.get('a'))
    assert.is(refused.code, 'TIER_UNAVAILABLE')
    assert.match(refused.says, 'ECONNREFUSED')
    await away.close()
    const credentials = () =>
      Promise.reject(Object.assign(new Error('none found'), { name: 'CredentialsProviderError' }))
    const nobody = s3StoreOn(server, { credentials })
    const denied = await refusalOf(nobody.get('a'))
    assert.is(denied.code, 'TIER_DENIED')
    assert.match(denied.says, 'none found')
    await nobody.close()
  }),
)

type Step = readonly ['put' | 'replace' | 'get' | 'remove' | 'list', number]

/** Until it happened, however often it has to be asked for. */
const insist = async <T>(work: () => Promise<T>): Promise<T | BrokerErrorCode> => {
  for (let left = 100; ; left -= 1)
    try {
      return await work()
    } catch (error) {
      if (!isBrokerError(error) || left === 0) throw error
      if (error.code !== 'TIER_UNAVAILABLE') return error.code
    }
}

Faults('through faults by chance a store stays the map that it is', async () => {
  const tally = new Map<string, number>()
  const aStep: fc.Arbitrary<Step> = fc.tuple(
    fc.constantFrom('put', 'replace', 'get', 'remove', 'list'),
    fc.nat({ max: 4 }),
  )
  const steps = fc.array(aStep, { minLength: 5, maxLength: 40 })
  const property = fc.asyncProperty(fc.integer(), steps, (seed, script) =>
    within({ attemptsMax: 1, pageKeys: 2 }, async ({ server, store }) => {
      const model = new Map<string, Buffer>()
      const draw = { random: seededRandom(seed), rate: 0.3, among: passingFaults }
      server.faults.draw = draw
      for (const [at, [what, index]] of script.entries()) {
        const key = `key/${index}`
        const content = Buffer.from(`${at} `.repeat(200 * index))
        if (what === 'put') {
          const outcome = await insist(() => store.put(key, [content], ifAbsent))
          const there = await insist(() => store.get(key))
          if (!model.has(key)) model.set(key, content)
          else assert.is(outcome, 'TIER_OBJECT_EXISTS')
          isSame(there as Buffer, model.get(key) ?? content)
        } else if (what === 'replace') {
          await insist(() => store.put(key, [content], plain))
          model.set(key, content)
        } else if (what === 'remove') {
          await insist(() => store.remove([key]))
          model.delete(key)
        } else if (what === 'get') {
          const expected = model.get(key)
          const read = await insist(() => store.get(key))
          if (expected === undefined) assert.is(read, 'TIER_OBJECT_NOT_FOUND')
          else isSame(read as Buffer, expected)
        } else {
          const keys = await insist(async () => {
            const found: string[] = []
            for await (const object of store.list('key/')) found.push(object.key)
            return found
          })
          assert.equal(keys, [...model.keys()].sort())
        }
      }
      assert.equal([...server.objects.keys()].sort(), [...model.keys()].sort())
      for (const [fault, times] of server.faults.struck)
        tally.set(fault, (tally.get(fault) ?? 0) + times)
    }),
  )
  await holdsAndShows(property, { runs: 25, tally, happenings: passingFaults })
})

Faults.run()
