import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type BrokerErrorCode, isBrokerError } from '../../model/errors.ts'
import { LevelPlace, type LevelPlaceOptions } from '../../storage/level/level-place.ts'
import { databaseContract } from '../contracts/database.contract.ts'
import { placeContract } from '../contracts/place.contract.ts'
import { seededRandom } from '../support/random.ts'

const MIB = 1024 * 1024
let seed = 0

const aFolder = () => mkdtemp(join(tmpdir(), 'glasspost-spec-'))
const discard = (folder: string) => rm(folder, { recursive: true, force: true })

const open = (dataDir: string, options: Partial<LevelPlaceOptions> = {}) =>
  LevelPlace.open({ dataDir, random: seededRandom(seed++), ballastBytes: 3 * MIB, ...options })

const within = async (work: (dataDir: string) => Promise<void>): Promise<void> => {
  const folder = await aFolder()
  try {
    await work(join(folder, 'data'))
  } finally {
    await discard(folder)
  }
}

const codeOf = (work: Promise<unknown>): Promise<BrokerErrorCode | undefined> =>
  work.then(
    () => undefined,
    (error: unknown) => (isBrokerError(error) ? error.code : undefined),
  )

databaseContract('LevelDB', async () => {
  const folder = await aFolder()
  const place = await open(folder)
  return {
    openDatabase: () => place.openDatabase('index'),
    discard: async () => {
      await place.close()
      await discard(folder)
    },
  }
})

placeContract('LevelDB', async () => {
  const folder = await aFolder()
  return { openPlace: () => open(folder), discard: () => discard(folder) }
})

const Level = suite('LevelPlace')

Level('creates a directory that says who wrote it and keeps its secret to itself', () =>
  within(async (dataDir) => {
    const place = await open(join(dataDir, 'deep'), { createdBy: '1.2.3' })
    const files = await readdir(place.name)
    assert.equal(files.sort(), ['format.json', 'lock', 'secret'])
    const format: unknown = JSON.parse(await readFile(join(place.name, 'format.json'), 'utf8'))
    assert.equal(format, { format: 1, writtenBy: 'glasspost 1.2.3' })
    assert.is((await stat(join(place.name, 'secret'))).mode & 0o777, 0o600)
    await place.close()
  }),
)

const contentOf = async (folder: string): Promise<string[]> => {
  const names = (await readdir(folder, { recursive: true })).sort()
  const stats = await Promise.all(names.map((name) => stat(join(folder, name))))
  return names.map((name, index) => `${name} ${stats[index]?.size} ${stats[index]?.mtimeMs}`)
}

for (const [what, damage] of [
  ['a later format', (dataDir) => writeFile(join(dataDir, 'format.json'), '{"format":2}')],
  ['no JSON', (dataDir) => writeFile(join(dataDir, 'format.json'), 'format 1')],
  ['no format', (dataDir) => writeFile(join(dataDir, 'format.json'), 'null')],
  ['data without a format', (dataDir) => rm(join(dataDir, 'format.json'))],
] satisfies [string, (dataDir: string) => Promise<void>][]) {
  Level(`refuses a directory with ${what} and changes nothing in it`, () =>
    within(async (dataDir) => {
      const place = await open(dataDir)
      await (await place.openDatabase('index')).close()
      await place.close()
      await damage(dataDir)
      const before = await contentOf(dataDir)
      assert.is(await codeOf(open(dataDir)), 'DATA_FORMAT_UNKNOWN')
      assert.equal(await contentOf(dataDir), before)
    }),
  )
}

for (const [what, damage] of [
  ['gone', (secret) => rm(secret)],
  ['cut short', (secret) => writeFile(secret, 'half')],
] satisfies [string, (secret: string) => Promise<void>][]) {
  Level(`makes up no second secret when the first is ${what}`, () =>
    within(async (dataDir) => {
      await (await open(dataDir)).close()
      await damage(join(dataDir, 'secret'))
      assert.is(await codeOf(open(dataDir)), 'DATA_FORMAT_UNKNOWN')
    }),
  )
}

Level('finishes a creation that a crash broke off', () =>
  within(async (dataDir) => {
    await (await open(dataDir)).close()
    await rm(join(dataDir, 'format.json'))
    await writeFile(join(dataDir, 'secret'), 'half')
    const place = await open(dataDir)
    assert.is(place.secret.length, 32)
    await place.close()
  }),
)

Level('is for one process at a time, and free again when its holder is killed', () =>
  within(async (dataDir) => {
    const script = fileURLToPath(new URL('../support/hold-data-dir.ts', import.meta.url))
    const holder = spawn(process.execPath, ['--import', 'tsx', script, dataDir], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')])
    const whileHeld = await codeOf(open(dataDir))
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    assert.is(whileHeld, 'DATA_DIR_LOCKED')
    const place = await open(dataDir)
    assert.is(await codeOf(open(dataDir)), 'DATA_DIR_LOCKED')
    const database = await place.openDatabase('commit-log')
    await database.close()
    assert.is(await codeOf(open(dataDir)), 'DATA_DIR_LOCKED')
    await place.close()
    await (await open(dataDir)).close()
  }),
)

Level('opens nothing once it is closed', () =>
  within(async (dataDir) => {
    const place = await open(dataDir)
    await place.close()
    assert.is(await codeOf(place.openDatabase('index')), 'STORE_UNAVAILABLE')
  }),
)

Level('fills its ballast with real bytes, and none when there is no room', () =>
  within(async (dataDir) => {
    const place = await open(dataDir)
    assert.not((await readdir(dataDir)).includes('ballast'))
    await writeFile(join(dataDir, 'ballast'), 'left by a crash')
    assert.ok(await place.ballast.restore())
    const { size, blocks } = await stat(join(dataDir, 'ballast'))
    assert.is(size, 3 * MIB)
    assert.ok(blocks * 512 >= size)
    await place.ballast.release()
    assert.not((await readdir(dataDir)).includes('ballast'))
    await place.close()

    const greedy = await open(dataDir, { ballastBytes: 2 ** 60 })
    assert.not(await greedy.ballast.restore())
    assert.not((await readdir(dataDir)).includes('ballast'))
    await greedy.close()
  }),
)

Level('tells corruption from unavailability and keeps the cause', () =>
  within(async (dataDir) => {
    const place = await open(dataDir)
    await (await place.openDatabase('index')).close()
    await writeFile(join(dataDir, 'index', 'CURRENT'), 'nonsense')
    const error: unknown = await place.openDatabase('index').catch((cause: unknown) => cause)
    assert.ok(isBrokerError(error, 'CORRUPT'))
    assert.ok(error.cause instanceof Error)
    await (await place.openDatabase('commit-log')).close()
    await place.close()
  }),
)

for (const isHeld of [false, true])
  Level(`gives back the space of a cleared range${isHeld ? ' that a snapshot held' : ''}`, () =>
    within(async (dataDir) => {
      const place = await open(dataDir)
      const database = await place.openDatabase('commit-log')
      const value = seededRandom(1).bytes(64 * 1024)
      for (let index = 0; index < 100; index++)
        await database.write([{ type: 'put', key: Uint8Array.of(index), value }], { sync: false })
      const snapshot = isHeld ? database.snapshot() : undefined
      await database.clear({ lt: Uint8Array.of(99) })
      await snapshot?.close()
      await database.close()
      await (await place.openDatabase('commit-log')).close()
      const files = await contentOf(join(dataDir, 'commit-log'))
      const bytes = files.reduce((sum, file) => sum + Number(file.split(' ')[1]), 0)
      assert.ok(bytes < MIB, files.join('\n'))
      await place.close()
    }),
  )

Level('loses nothing that it acknowledged when the disk fills up', async () => {
  const script = fileURLToPath(new URL('../support/fill-disk.ts', import.meta.url))
  const mount = 'mkdir "$0" && mount -t tmpfs -o size=40m tmpfs "$0"'
  const folder = await aFolder()
  // A mount namespace of its own: the small file system is gone with the process.
  const inside = (work: string) =>
    promisify(execFile)('unshare', ['-rm', 'sh', '-c', work, join(folder, 'disk')])
  try {
    const isPossible = await inside(mount).catch(() => undefined)
    await rm(join(folder, 'disk'), { recursive: true, force: true })
    if (isPossible === undefined)
      console.log('SKIPPED: a full disk cannot be made here (it takes unshare and tmpfs)')
    else await inside(`${mount} && "${process.execPath}" --import tsx "${script}" "$0"`)
  } finally {
    await discard(folder)
  }
})

Level.run()
