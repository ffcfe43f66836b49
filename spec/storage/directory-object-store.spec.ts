import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock, systemRandom } from '../../index.ts'
import { type BrokerErrorCode, isBrokerError } from '../../model/errors.ts'
import { DirectoryObjectStore } from '../../storage/directory/directory-object-store.ts'
import { systemCallsOf } from '../process/support/system-calls.ts'

const MIB = 1024 * 1024
const plain = { ifAbsent: false }
const ifAbsent = { ifAbsent: true }
const putObjects = fileURLToPath(new URL('../support/put-objects.ts', import.meta.url))

const open = (directory: string) =>
  DirectoryObjectStore.open({ directory, clock: systemClock, random: systemRandom })

const within = async (work: (folder: string) => Promise<void>): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), 'glasspost-spec-'))
  try {
    await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const refusalOf = async (
  work: Promise<unknown>,
): Promise<{ code: BrokerErrorCode; says: string }> => {
  const error: unknown = await work.catch((cause: unknown) => cause)
  assert.ok(isBrokerError(error), String(error))
  return { code: error.code, says: error.message }
}

const Directory = suite('DirectoryObjectStore')

Directory('removes what broken-off uploads left, and never lists it', () =>
  within(async (folder) => {
    await mkdir(join(folder, 'tier', '.uploads'), { recursive: true })
    await writeFile(join(folder, 'tier', '.uploads', 'draft'), 'half')
    const store = await open(join(folder, 'tier'))
    assert.equal(await readdir(join(folder, 'tier', '.uploads')), [])
    await writeFile(join(folder, 'tier', '.uploads', 'draft'), 'half')
    await writeFile(join(folder, 'tier', 'NOT-OURS.txt'), 'whose?')
    const keys = []
    for await (const { key } of store.list('')) keys.push(key)
    assert.equal(keys, [])
    await store.close()
  }),
)

Directory('leaves no draft of a put that was broken off or refused', () =>
  within(async (folder) => {
    const store = await open(folder)
    const ending = new AbortController()
    const parts = Array.from({ length: 64 }, () => Buffer.alloc(MIB))
    const putting = store.put('a', parts, { ifAbsent: true, signal: ending.signal })
    ending.abort(new Error('enough'))
    await putting.catch(() => {})
    await store.put('b', [Buffer.from('b')], plain)
    assert.is((await refusalOf(store.put('b', [], ifAbsent))).code, 'TIER_OBJECT_EXISTS')
    await store.close()
    assert.equal((await readdir(folder)).sort(), ['.uploads', 'b'])
    assert.equal(await readdir(join(folder, '.uploads')), [])
  }),
)

Directory('removes folders with their last object, while others put into them', () =>
  within(async (folder) => {
    const store = await open(folder)
    await Promise.all(
      Array.from({ length: 8 }, async (_, lane) => {
        for (let round = 0; round < 60; round++) {
          const key = `shared/deep/folder/${lane}`
          await store.put(key, [Buffer.from(String(round))], { ifAbsent: lane % 2 === 0 })
          assert.is((await store.get(key)).toString(), String(round))
          await store.remove([key])
        }
      }),
    )
    assert.equal(await readdir(folder), ['.uploads'])
    await store.close()
  }),
)

Directory('takes a directory that is no longer there for one that is away', () =>
  within(async (folder) => {
    const root = join(folder, 'tier')
    const store = await open(root)
    await store.put('a/b', [Buffer.from('kept')], plain)
    await rename(root, join(folder, 'unmounted'))
    await mkdir(root)
    for (const work of [
      () => store.put('c', [], ifAbsent),
      () => store.get('a/b'),
      () => store.head('a/b'),
      () => store.remove(['a/b']),
      () => store.list('')[Symbol.asyncIterator]().next(),
    ])
      assert.is((await refusalOf(work())).code, 'TIER_UNAVAILABLE')
    await rm(root, { recursive: true })
    await rename(join(folder, 'unmounted'), root)
    assert.is((await store.get('a/b')).toString(), 'kept')
    await store.close()
  }),
)

Directory('says what the disk said', () =>
  within(async (folder) => {
    const store = await open(join(folder, 'tier'))
    await store.put('object', [Buffer.from('kept')], plain)
    for (const options of [plain, ifAbsent]) {
      const { code, says } = await refusalOf(store.put('object/below', [], options))
      assert.is(code, 'TIER_UNAVAILABLE')
      assert.match(says, /EEXIST|ENOTDIR/)
    }
    assert.is((await store.get('object')).toString(), 'kept')
    await store.close()
    const { code, says } = await refusalOf(open(join(folder, 'tier', 'object')))
    assert.is(code, 'TIER_UNAVAILABLE')
    assert.match(says, /EEXIST|ENOTDIR/)
  }),
)

const canRun = (file: string, ...parameters: string[]): Promise<boolean> =>
  promisify(execFile)(file, parameters).then(
    () => true,
    () => false,
  )

Directory(
  'syncs object, link and folders, in this order, before it says that it has put',
  async () => {
    if (!(await canRun('strace', '-D', '-o', '/dev/null', 'true'))) {
      console.log('SKIPPED: the order of system calls cannot be seen here (it takes strace)')
      return
    }
    await within(async (folder) => {
      const output = join(folder, 'calls')
      const root = join(folder, 'tier')
      const calls =
        'trace=write,pwrite64,writev,pwritev,fsync,fdatasync,link,linkat,rename,renameat2'
      const strace = ['-f', '-y', '-s', '200', '-e', calls, '-e', 'signal=none', '-o', output]
      const puts = [process.execPath, '--import', 'tsx', putObjects, root, '3', '1000']
      await promisify(execFile)('strace', [...strace, ...puts])
      const seen = systemCallsOf(await readFile(output, 'utf8'))
      for (let index = 0; index < 3; index++)
        for (const name of ['once', 'again']) {
          const key = `topic-${index}/${name}`
          const placed = seen.find(
            ({ name: call, text }) => /link|rename/.test(call) && text.includes(`${key}"`),
          )
          const said = seen.find(({ text }) => text.includes(`"${key} put`))
          assert.ok(placed !== undefined && said !== undefined, key)
          const [draft = ''] = /[^"]*\.uploads\/[^"]*/.exec(placed.text) ?? []
          const isSyncedBetween = (file: string, after: number, before: number): boolean =>
            seen.some(
              (call) =>
                call.name.includes('sync') &&
                call.file === file &&
                call.began > after &&
                call.returned < before,
            )
          assert.ok(isSyncedBetween(draft, 0, placed.began), `${key}: the object`)
          for (const path of [join(root, `topic-${index}`), root])
            assert.ok(isSyncedBetween(path, placed.returned, said.began), `${key}: ${path}`)
        }
    })
  },
)

Directory('puts nothing by halves on a full disk, and goes on when there is room', async () => {
  const mount = 'mkdir "$0" && mount -t tmpfs -o size=2m tmpfs "$0"'
  if (!(await canRun('unshare', '-rm', 'sh', '-c', mount, join(tmpdir(), `gp-${process.pid}`)))) {
    console.log('SKIPPED: a full disk cannot be made here (it takes unshare and tmpfs)')
    return
  }
  await rm(join(tmpdir(), `gp-${process.pid}`), { recursive: true, force: true })
  await within(async (folder) => {
    // Each of four puts takes more than a third of the disk: two fit.
    const puts = `"${process.execPath}" --import tsx "${putObjects}" "$0/tier" 2 700000`
    const work = `${mount} && ${puts} && ls -A "$0/tier/.uploads" && ls "$0"/tier/*`
    const inside = ['-rm', 'sh', '-c', work, join(folder, 'disk')]
    const { stdout } = await promisify(execFile)('unshare', inside)
    const [first, second, third, fourth, ...files] = stdout.trim().split('\n')
    assert.equal([first, second], ['topic-0/once put', 'topic-0/again put'])
    for (const line of [third, fourth]) assert.match(line ?? '', 'ENOSPC')
    assert.equal(files.filter((line) => /^(once|again|[0-9a-f]{32})$/.test(line)).sort(), [
      'again',
      'once',
    ])
  })
})

Directory.run()
