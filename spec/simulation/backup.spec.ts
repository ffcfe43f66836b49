import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { backup } from '../../actors/backup/backup.ts'
import { CoreBroker } from '../../actors/broker/broker.ts'
import { isBrokerError } from '../../model/errors.ts'
import { CrashablePlace } from '../../storage/crashable/crashable-place.ts'
import { offsetIn, openChunk, sealChunk } from '../../storage/codec/chunk.ts'
import { readBackup } from '../../storage/log/backup-stream.ts'
import { restoreLog } from '../../storage/log/restore-log.ts'
import { holds } from '../support/property.ts'
import { seededRandom } from '../support/random.ts'
import { tinySettings } from './lives.ts'
import { aStep, Scene } from './scene.ts'
import { differences, snapshotOf } from './snapshot.ts'

const parts = async (source: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> => {
  const all: Uint8Array[] = []
  for await (const part of source) all.push(part)
  return all
}

async function* streamOf(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces
}

/** Leases that have ended since are no longer told from those that had then. */
const at = (lines: readonly string[], nowMs: number): string[] =>
  lines
    .map((line) =>
      line.replace(/"untilMs":(\d+)/, (text, ms) => (Number(ms) <= nowMs ? '"untilMs":0' : text)),
    )
    .sort()

const Backup = suite('backup')

Backup('holds exactly its position, whatever goes on while it is read', () =>
  holds(
    fc.asyncProperty(
      fc.nat(),
      fc.array(aStep, { minLength: 1, maxLength: 30 }),
      fc.array(aStep, { maxLength: 30 }),
      fc.nat({ max: 3 }),
      async (seed, before, meanwhile, partsPerStep) => {
        const scene = new Scene(seed)
        const { clock } = scene.lives
        const { broker } = await scene.lives.open()
        for (const step of before) await scene.run(broker, step)
        const stream = backup(broker, { writtenBy: 'spec' })
        const pieces: Uint8Array[] = []
        const next = async (): Promise<boolean> => {
          const { done, value } = await scene.until(stream.next())
          if (value) pieces.push(value)
          return done !== true
        }
        await next()
        const then = snapshotOf(broker)
        for (const step of meanwhile) {
          await scene.run(broker, step)
          for (let count = 0; count < partsPerStep; count++) await next()
        }
        while (await next());
        const place = new CrashablePlace({ random: seededRandom(seed + 1), clock })
        const database = await scene.until(place.openDatabase('commit-log'))
        await scene.until(restoreLog(readBackup('spec', streamOf(pieces)), database))
        await scene.until(database.close())
        const quiet = { info: () => {}, warn: () => {}, error: () => {} }
        const components = { clock, logger: quiet, place, inspect: undefined }
        const restored = await scene.until(CoreBroker.open(components, tinySettings))
        const nowMs = clock.wallMs()
        const found = differences(at(then, nowMs), at(snapshotOf(restored), nowMs))
        assert.is(found.join('\n'), '')
        await scene.until(broker.close())
        await scene.until(restored.close())
      },
    ),
    { runs: 60 },
  ),
)

const aBackup = async (): Promise<Buffer> => {
  const scene = new Scene(1)
  const { broker } = await scene.lives.open()
  for (let round = 0; round < 6; round++) {
    await scene.run(broker, { type: 'send', topic: round % 3, count: 20 })
    await scene.run(broker, { type: 'receive', topic: round % 3, acks: 5 })
    await scene.run(broker, { type: 'advance', ms: 2_500 })
  }
  const bytes = Buffer.concat(await scene.until(parts(backup(broker, { writtenBy: 'spec' }))))
  await scene.until(broker.close())
  return bytes
}

const read = async (bytes: Buffer, size: number): Promise<string> => {
  const pieces: Buffer[] = []
  for (let from = 0; from < bytes.length; from += size)
    pieces.push(bytes.subarray(from, from + size))
  const copied: Uint8Array[] = []
  try {
    for await (const step of readBackup('spec', streamOf(pieces))) copied.push(step.bytes)
  } catch (error) {
    return isBrokerError(error) ? error.code : String(error)
  }
  return Buffer.concat(copied).equals(bytes) ? 'whole' : 'other bytes'
}

Backup('is read in parts of any size, and refused when one byte is missing or wrong', async () => {
  const whole = await aBackup()
  assert.ok(JSON.parse(whole.toString('utf8', 0, whole.indexOf('\n'))).gaps.length > 0)
  await holds(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5_000 }),
      fc.nat({ max: whole.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      async (size, where, mask) => {
        assert.is(await read(whole, size), 'whole')
        const flipped = Buffer.from(whole)
        flipped[where] = (whole[where] as number) ^ mask
        assert.is(await read(flipped, size), 'BACKUP_UNUSABLE')
        assert.is(await read(whole.subarray(0, where), size), 'BACKUP_UNUSABLE')
      },
    ),
    { runs: 100 },
  )
})

/** The parts of a backup: header, chunks, end. */
const stepsOf = async (whole: Buffer): Promise<Buffer[]> => {
  const steps: Buffer[] = []
  for await (const { bytes } of readBackup('spec', streamOf([whole])))
    steps.push(Buffer.from(bytes))
  return steps
}

Backup('is refused when a chunk is left out, or is a sound one of another log', async () => {
  const steps = await stepsOf(await aBackup())
  for (let index = 1; index < steps.length - 1; index++) {
    assert.is(await read(Buffer.concat(steps.toSpliced(index, 1)), 4096), 'BACKUP_UNUSABLE')
    if (index === steps.length - 2) continue
    const other = Buffer.from(steps[index] as Buffer)
    const { epoch, count, offset, previousOffset, previousChecksum } = openChunk(
      other,
      offsetIn(other),
    )
    other[other.length - 1] = (other[other.length - 1] as number) ^ 1
    sealChunk(other, { epoch, count, offset, previousOffset, previousChecksum })
    const replaced = Buffer.concat(steps.toSpliced(index, 1, other))
    // Behind a gap nobody names its predecessor.
    const isBeforeGap = offsetIn(steps[index + 1] as Buffer) !== offset + other.length
    assert.is(await read(replaced, 4096), isBeforeGap ? 'whole' : 'BACKUP_UNUSABLE')
  }
})

Backup('is not taken of a log that has lost a chunk', async () => {
  const scene = new Scene(1)
  const { broker } = await scene.lives.open()
  for (let round = 0; round < 4; round++)
    await scene.run(broker, { type: 'send', topic: 0, count: 9 })
  const taking = async (): Promise<string> => {
    const taken = scene.until(parts(backup(broker, { writtenBy: 'spec' })))
    const error = await taken.catch((reason: unknown) => reason)
    return isBrokerError(error, 'CORRUPT') ? `corrupt at ${error.params.position}` : 'taken'
  }
  assert.is(await taking(), 'taken')
  const offsets: number[] = []
  await scene.until(
    (async () => {
      for await (const offset of broker.log.chunks.offsets()) offsets.push(offset)
    })(),
  )
  const [, , lost = 0, after = 0] = offsets
  await scene.until(broker.log.chunks.trim(lost, after))
  assert.is(await taking(), `corrupt at ${lost}`)
  await scene.until(broker.close())
})

Backup.run()
