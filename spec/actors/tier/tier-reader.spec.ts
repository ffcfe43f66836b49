import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { TierReader } from '../../../actors/tier/tier-reader.ts'
import { systemClock } from '../../../index.ts'
import type { PlacedSection } from '../../../machines/tier/topic-tier.ts'
import { BrokerError, isBrokerError } from '../../../model/errors.ts'
import { type TierObject, tierObjectKey } from '../../../model/tier/tier-objects.ts'
import { readMessage } from '../../../storage/codec/message-fact.ts'
import { MemoryObjectStore } from '../../../storage/memory/memory-object-store.ts'
import type { Frame } from '../../../storage/tier/segment-frame.ts'
import { holds } from '../../support/property.ts'
import { WatchedStore } from '../../support/watched-store.ts'
import { identityOf, plainDraft, sectionOf, TOPIC_ID, write } from '../../storage/tier/segments.ts'

/** Two of them do not fit into one frame. */
const ALONE_BYTES = 300 << 10

const clock = { wallMs: () => 0, monotonicMs: () => 0 }

interface Written {
  readonly queueId: number
  readonly from: number
  readonly count: number
  readonly bodyBytes?: number
}

/** Objects of one section each for every list, in a store that is watched. */
const stored = async (objects: readonly (readonly Written[])[]) => {
  const store = new WatchedStore(new MemoryObjectStore({ clock }))
  const sections: PlacedSection[] = []
  for (const written of objects) {
    const content = written.map(({ queueId, from, count, bodyBytes = ALONE_BYTES }) =>
      sectionOf(
        queueId,
        from,
        Array.from({ length: count }, () => ({ ...plainDraft, bodyBytes })),
      ),
    )
    const { bytes, footer } = write(content)
    const [leading] = written
    const object: TierObject = {
      namespace: identityOf().namespace,
      leader: leading?.queueId ?? 0,
      leaderFrom: leading?.from ?? 0,
      bytes: bytes.length,
      storedAtMs: 0,
      sections: footer.sections,
    }
    await store.put(tierObjectKey(TOPIC_ID, object), [bytes], { ifAbsent: true })
    sections.push(...footer.sections.map((section) => ({ ...section, object })))
  }
  return { store, sections }
}

interface Bounds {
  readonly cacheBytes?: number
  readonly readAheadBytes?: number
  readonly readsMax?: number
  readonly requestMs?: number
}

const readerOf = (
  store: WatchedStore,
  { cacheBytes = 64 << 20, readAheadBytes = 1 << 20, readsMax = 4, requestMs = 5_000 }: Bounds = {},
) =>
  new TierReader({
    store,
    clock: systemClock,
    settings: { cacheBytes, readAheadBytes, readsMax, requestMs, searchBytes: 1 << 20 },
  })

const offsetIn = (frame: Frame, offset: number): number => {
  const { type, payload } = frame.record(offset)
  return readMessage(type, payload).queueOffset
}

const queueIn = (frame: Frame, offset: number): number => {
  const { type, payload } = frame.record(offset)
  return readMessage(type, payload).queueId
}

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )

const refOf = (section: PlacedSection | undefined) => {
  assert.ok(section)
  return { topicId: TOPIC_ID, section }
}

const trouble = () =>
  new BrokerError('TIER_UNAVAILABLE', { store: 'memory', operation: 'get', reason: 'a test' })

const Reader = suite('tier reader')

Reader('gives the message of every offset, in any order, within its bounds', async () => {
  const written = [
    [
      { queueId: 0, from: 5, count: 4 },
      { queueId: 2, from: 5, count: 3 },
    ],
    [{ queueId: 0, from: 9, count: 5 }],
    [{ queueId: 2, from: 8, count: 300, bodyBytes: 10 }],
  ]
  const { store, sections } = await stored(written)
  const aStep = fc.record({
    section: fc.nat(sections.length - 1),
    at: fc.nat(1_000),
    count: fc.integer({ min: 1, max: 6 }),
    together: fc.boolean(),
  })
  const aBound = fc.record({
    cacheBytes: fc.constantFrom(1_000, 400 << 10, 2 << 20, 64 << 20),
    readAheadBytes: fc.constantFrom(0, 700 << 10, 4 << 20),
    readsMax: fc.integer({ min: 1, max: 3 }),
  })
  await holds(
    fc.asyncProperty(aBound, fc.array(aStep, { maxLength: 12 }), async (bounds, steps) => {
      const reader = readerOf(store, bounds)
      store.readingMax = 0
      const look = async (section: PlacedSection, offset: number): Promise<void> => {
        const ref = refOf(section)
        const frame = reader.cachedFrame(ref, offset) ?? (await reader.loadFrame(ref, offset))
        assert.is(offsetIn(frame, offset), offset)
        assert.is(queueIn(frame, offset), section.queueId)
        assert.ok(reader.cache.bytes <= bounds.cacheBytes)
      }
      for (const { section: index, at, count, together } of steps) {
        const section = sections[index] as PlacedSection
        const first = section.from + (at % (section.to - section.from))
        const offsets = Array.from(
          { length: Math.min(count, section.to - first) },
          (_, n) => first + n,
        )
        if (together) await Promise.all(offsets.map((offset) => look(section, offset)))
        else for (const offset of offsets) await look(section, offset)
      }
      assert.ok(store.readingMax <= bounds.readsMax)
      reader.close()
      assert.equal(reader.cache.bytes, 0)
    }),
    { runs: 40 },
  )
})

Reader('reads ahead of one that goes on, together, and never beyond the section', async () => {
  const { store, sections } = await stored([
    [
      { queueId: 0, from: 0, count: 12 },
      { queueId: 1, from: 0, count: 12 },
    ],
  ])
  const reader = readerOf(store, { readAheadBytes: 1 << 20 })
  const [section] = sections
  const ref = refOf(section)
  for (let offset = 0; offset < 12; offset++) {
    if (reader.cachedFrame(ref, offset)) continue
    assert.is(offsetIn(await reader.loadFrame(ref, offset), offset), offset)
  }
  await new Promise((resolve) => setImmediate(resolve))
  const frames = store.gets.filter(({ to }) => to <= ref.section.namesAt)
  // The index, the first and the second frame, and then three at a time.
  assert.ok(frames.length <= 6, `${frames.length} reads for twelve frames`)
  assert.ok(store.gets.every(({ to }) => to <= ref.section.indexAt + ref.section.indexBytes))
  assert.is(
    frames.reduce((sum, { from, to }) => sum + to - from, 0),
    ref.section.namesAt - Math.min(...frames.map(({ from }) => from)),
    'nothing is read twice',
  )
  assert.is(reader.traffic.reading, 0)
})

Reader('never reads the same twice at a time', async () => {
  const { store, sections } = await stored([[{ queueId: 0, from: 0, count: 40, bodyBytes: 9 }]])
  const reader = readerOf(store)
  const ref = refOf(sections[0])
  await Promise.all(Array.from({ length: 40 }, (_, offset) => reader.loadFrame(ref, offset)))
  assert.is(store.gets.length, 2)
})

Reader('reads ahead of one up to what is on its way to another', async () => {
  const { store, sections } = await stored([[{ queueId: 0, from: 0, count: 6 }]])
  const reader = readerOf(store, { readAheadBytes: 4 << 20 })
  const ref = refOf(sections[0])
  await reader.loadFrame(ref, 0)
  const frames = await Promise.all([3, 1, 2].map((offset) => reader.loadFrame(ref, offset)))
  assert.equal(
    frames.map(({ from }) => from),
    [3, 1, 2],
  )
  const reads = store.gets.slice(1).sort((a, b) => a.from - b.from)
  assert.is(reads.length, 3)
  for (const [index, { from }] of reads.entries())
    assert.ok(index === 0 || from >= (reads[index - 1]?.to ?? 0), 'nothing is read twice')
})

Reader('returns its permits, whatever becomes of a read', async () => {
  const { store, sections } = await stored([[{ queueId: 0, from: 0, count: 6 }]])
  const reader = readerOf(store, { readsMax: 1, cacheBytes: 1_000 })
  const ref = refOf(sections[0])
  let fails = 5
  store.beforeGet = async () => {
    await new Promise((resolve) => setImmediate(resolve))
    if (fails-- > 0) throw trouble()
  }
  for (let round = 0; round < 5; round++)
    assert.ok(isBrokerError(await failure(reader.loadFrame(ref, 0)), 'TIER_UNAVAILABLE'))
  assert.equal([reader.traffic.reading, reader.traffic.waiters], [0, 0])
  const frames = await Promise.all([0, 1, 2, 3].map((offset) => reader.loadFrame(ref, offset)))
  assert.equal(
    frames.map((frame, offset) => offsetIn(frame, offset)),
    [0, 1, 2, 3],
  )
  assert.is(store.readingMax, 1)
  assert.equal([reader.traffic.reading, reader.traffic.waiters], [0, 0])
})

Reader('waits for no store that hangs', async () => {
  const { store, sections } = await stored([[{ queueId: 0, from: 0, count: 2 }]])
  const reader = readerOf(store, { requestMs: 20 })
  store.beforeGet = () => new Promise(() => {})
  const error = await failure(reader.loadFrame(refOf(sections[0]), 0))
  assert.ok(isBrokerError(error, 'TIER_UNAVAILABLE'))
  assert.is(reader.traffic.reading, 0)
})

Reader('names object and position of what is damaged, and reads what is not', async () => {
  const { store, sections } = await stored([[{ queueId: 0, from: 0, count: 6 }]])
  const reader = readerOf(store, { readAheadBytes: 4 << 20 })
  const ref = refOf(sections[0])
  const key = tierObjectKey(TOPIC_ID, ref.section.object)
  const index = await reader.index(ref)
  const damaged = index.frame(3).at
  store.afterGet = ({ from, to }, bytes) => {
    if (from <= damaged && damaged < to)
      bytes.writeUInt8(1 ^ bytes.readUInt8(damaged - from), damaged - from)
  }
  for (const offset of [0, 1, 2, 4, 5])
    assert.is(offsetIn(await reader.loadFrame(ref, offset), offset), offset)
  const error = await failure(reader.loadFrame(ref, 3))
  assert.ok(isBrokerError(error, 'CORRUPT'))
  assert.is(error.params.store, key)
  assert.is(error.params.position, damaged)
})

Reader('keeps nothing of a topic that ended, nor what arrives later', async () => {
  const { store, sections } = await stored([
    [{ queueId: 0, from: 0, count: 3 }],
    [{ queueId: 0, from: 3, count: 3 }],
  ])
  const reader = readerOf(store)
  const [first, second] = sections.map(refOf)
  assert.ok(first && second)
  await reader.loadFrame(first, 0)
  await reader.loadFrame(second, 3)
  reader.dropObject(TOPIC_ID, first.section.object)
  assert.is(reader.cachedFrame(first, 0), undefined)
  assert.ok(reader.cachedFrame(second, 3))
  let go = (): void => {}
  store.beforeGet = () =>
    new Promise<void>((resolve) => {
      go = resolve
    })
  const late = reader.loadFrame(second, 4)
  await new Promise((resolve) => setImmediate(resolve))
  reader.drop(TOPIC_ID)
  go()
  assert.is(offsetIn(await late, 4), 4)
  assert.equal(reader.cache, { bytes: 0, bytesMax: 64 << 20, frames: 0 })
})

Reader.run()
