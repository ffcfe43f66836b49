import { appendFileSync, existsSync } from 'node:fs'
import { appendFile, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../model/errors.ts'
import type { Database } from '../../storage/ports/database.ts'
import { LevelPlace } from '../../storage/level/level-place.ts'
import { seededRandom } from './random.ts'

/**
 * A process of its own that is given a small file system, fills it, and asserts what the level
 * adapter promises then. Ends with code 0 when all of it holds.
 */
const MIB = 1024 * 1024
const disk = process.argv[2] ?? ''
const filler = join(disk, 'filler')
const ballast = join(disk, 'data', 'ballast')
const value = seededRandom(1).bytes(64 * 1024)
const keyOf = (index: number) => Uint8Array.of(index >>> 8, index & 0xff)
const isUnavailable = (error: unknown) => isBrokerError(error, 'STORE_UNAVAILABLE')

const fill = async (): Promise<void> => {
  const { bavail, bsize } = await statfs(disk)
  await appendFile(filler, seededRandom(2).bytes(bavail * bsize))
}

const fillAtOnce = (): void => {
  const block = seededRandom(2).bytes(MIB)
  try {
    for (;;) appendFileSync(filler, block)
  } catch {
    // No room is left.
  }
}

const put = (database: Database, index: number): Promise<void> =>
  database.write([{ type: 'put', key: keyOf(index), value }], { sync: true })

const place = await LevelPlace.open({
  dataDir: join(disk, 'data'),
  random: seededRandom(3),
  writeBufferBytes: 2 * MIB,
  ballastBytes: 6 * MIB,
})
assert.ok(await place.ballast.restore())
const database = await place.openDatabase('commit-log')
for (let index = 0; index < 8; index++) await put(database, index)

await fill()
const refused = await put(database, 8).catch((error: unknown) => error)
assert.ok(isUnavailable(refused), 'a full disk refuses the write')
await rm(filler)
const later = await put(database, 9).catch((error: unknown) => error)
assert.ok(isUnavailable(later), 'the handle stays refusing when there is room again')

await fill()
await database.close()
const tooFull = await place.openDatabase('commit-log').catch((error: unknown) => error)
assert.ok(isUnavailable(tooFull), 'a full disk cannot reopen')
await place.ballast.release()
const reopened = await place.openDatabase('commit-log')
for (let index = 0; index < 8; index++)
  assert.ok(await reopened.get(keyOf(index)), 'what was acknowledged is there')

await fill()
assert.not(await place.ballast.restore(), 'there is no room for the ballast')
await rm(filler)
const restoring = place.ballast.restore()
while (!existsSync(ballast)) await new Promise(setImmediate)
fillAtOnce()
assert.not(await restoring, 'somebody took the room meanwhile')
assert.not(existsSync(ballast), 'a part of the ballast is of no use')
await rm(filler)
await put(reopened, 10)
assert.ok(await place.ballast.restore(), 'there is room again')
await place.close()

// A start after a crash on a full disk.
await fill()
await (await LevelPlace.open({ dataDir: join(disk, 'data'), random: seededRandom(4) })).close()
