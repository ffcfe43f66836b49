import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../../model/errors.ts'
import {
  CHUNK_HEADER_BYTES,
  chunkKey,
  chunkOffsetOf,
  sealChunk,
} from '../../../storage/codec/chunk.ts'
import { encodeFields } from '../../../storage/codec/fields.ts'
import { recordsOf } from '../../../storage/codec/record.ts'
import { ChunkLog, type SealedChunk } from '../../../storage/log/chunk-log.ts'
import type { Database } from '../../../storage/ports/database.ts'
import { MemoryPlace } from '../../../storage/memory/memory-place.ts'
import { holds } from '../../support/property.ts'
import { seededRandom } from '../../support/random.ts'

/** Chunks as the log makes them: each begins where the last ends and names it. */
const chainOf = (sizes: readonly number[], start = 0): SealedChunk[] => {
  const chain: SealedChunk[] = []
  let offset = start
  let previous = { offset: 0, checksum: 0 }
  for (const size of sizes) {
    const record = encodeFields(10, ['x'.repeat(size)])
    const bytes = Buffer.concat([Buffer.alloc(CHUNK_HEADER_BYTES), record])
    const header = { epoch: 1, count: 1, offset }
    const checksum = sealChunk(bytes, {
      ...header,
      previousOffset: previous.offset,
      previousChecksum: previous.checksum,
    })
    chain.push({ offset, bytes, checksum })
    previous = { offset, checksum }
    offset += bytes.length
  }
  return chain
}

const withLog = async (
  use: (log: ChunkLog, database: Database) => Promise<void>,
): Promise<void> => {
  const place = new MemoryPlace({ random: seededRandom(1) })
  const database = await place.openDatabase('commit-log')
  await use(new ChunkLog(database), database)
  await database.close()
}

const scanned = async (log: ChunkLog, from = 0): Promise<(number | string)[]> => {
  const steps: (number | string)[] = []
  for await (const step of log.scan(from))
    steps.push(step.type === 'chunk' ? step.offset : `gap ${step.from} ${step.to}`)
  return steps
}

const corruptAt = async (work: Promise<unknown>): Promise<number | undefined> => {
  try {
    await work
    return undefined
  } catch (error) {
    if (isBrokerError(error, 'CORRUPT')) return error.params.position
    throw error
  }
}

const sizes = fc.array(fc.nat(200), { minLength: 3, maxLength: 8 })

const Chunks = suite('chunks')

Chunks('keys sort as offsets do', () =>
  holds(
    fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
      assert.is(chunkOffsetOf(chunkKey(a)), a)
      assert.is(Math.sign(Buffer.compare(chunkKey(a), chunkKey(b))), Math.sign(a - b))
    }),
  ),
)

Chunks('a chain is read back in order, from any of its chunks, and knows its tail', () =>
  holds(
    fc.asyncProperty(sizes, fc.nat(7), (lengths, pick) =>
      withLog(async (log) => {
        assert.equal(await log.tail(), { offset: 0, lastOffset: 0, lastChecksum: 0, epoch: 0 })
        const chain = chainOf(lengths)
        await log.write(chain)
        const offsets = chain.map(({ offset }) => offset)
        const from = pick % chain.length
        assert.equal(await scanned(log, offsets[from]), offsets.slice(from))
        const last = chain.at(-1) as SealedChunk
        const { offset, checksum } = last
        assert.equal(await log.tail(), {
          offset: offset + last.bytes.length,
          lastOffset: offset,
          lastChecksum: checksum,
          epoch: 1,
        })
      }),
    ),
    { runs: 50 },
  ),
)

Chunks('one flipped bit anywhere is CORRUPT with the position of its chunk, never skipped', () =>
  holds(
    fc.asyncProperty(sizes, fc.nat(7), fc.nat(10_000), fc.nat(7), (lengths, pick, at, bit) =>
      withLog(async (log, database) => {
        const chain = chainOf(lengths)
        await log.write(chain)
        const { offset, bytes } = chain[pick % chain.length] as SealedChunk
        const damaged = Buffer.from(bytes)
        damaged[at % bytes.length] = (damaged[at % bytes.length] as number) ^ (1 << bit)
        await database.write([{ type: 'put', key: chunkKey(offset), value: damaged }], {
          sync: true,
        })
        assert.is(await corruptAt(scanned(log)), offset)
        assert.is(await corruptAt(log.read(offset)), offset)
      }),
    ),
    { runs: 200 },
  ),
)

Chunks('a missing chunk is shown as a gap, and one of another chain is CORRUPT', () =>
  withLog(async (log, database) => {
    const chain = chainOf([10, 20, 30, 40])
    await log.write(chain)
    const [first, second, third, fourth] = chain.map(({ offset }) => offset)
    await log.trim(second as number, third as number)
    assert.equal(await scanned(log), [first, `gap ${second} ${third}`, third, fourth])
    const strangers = chainOf([99, 20], second).map(({ bytes }) => bytes)
    const value = strangers[0] as Buffer
    await database.write([{ type: 'put', key: chunkKey(second as number), value }], { sync: true })
    assert.is(await corruptAt(scanned(log)), second)
  }),
)

Chunks('records are read in order; one that does not fit is CORRUPT with its position', () => {
  const records = [encodeFields(10, [1]), encodeFields(11, [2, 'b'])]
  const chunk = Buffer.concat([Buffer.alloc(CHUNK_HEADER_BYTES), ...records])
  assert.equal(
    [...recordsOf(chunk, 500)].map(({ type }) => type),
    [10, 11],
  )
  const cut = chunk.subarray(0, chunk.length - 1)
  const at = CHUNK_HEADER_BYTES + (records[0] as Buffer).length
  try {
    assert.is([...recordsOf(cut, 500)].length, 0)
  } catch (error) {
    assert.ok(isBrokerError(error, 'CORRUPT'))
    assert.is(error.params.position, 500 + at)
  }
})

Chunks.run()
