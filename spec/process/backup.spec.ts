import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { runCli, startBroker } from './support/broker-process.ts'
import { built } from './support/built.ts'

interface Context {
  folder: string
}

const Backup = suite<Context>('glasspost backup and restore')

Backup.before(async (context) => {
  await built()
  context.folder = await mkdtemp(join(tmpdir(), 'glasspost-backup-cli-'))
})
Backup.after(({ folder }) => rm(folder, { recursive: true, force: true }))

Backup('from a running broker to a new one', async ({ folder }) => {
  const broker = await startBroker({ dataDir: join(folder, 'data') })
  const url = `http://${broker.http}`
  await runCli('--url', url, 'topic', 'create', 'orders', '--queues', '1')
  await runCli('--url', url, 'send', 'orders', 'before')
  const backup = join(folder, 'backup')
  const taken = await runCli('--url', url, 'backup', backup)
  assert.is(taken.code, 0, taken.stderr)
  assert.match(
    taken.stdout,
    /^backed up \S+ K?i?B, all up to position \d+, in .*glasspost\.backup\n$/,
  )
  assert.is(taken.stderr, '', 'no bar where nobody watches')
  await runCli('--url', url, 'send', 'orders', 'later')
  const again = await runCli('--url', url, 'backup', backup, '--json')
  assert.is(again.code, 1)
  assert.is((JSON.parse(again.stderr) as { code: string }).code, 'TARGET_NOT_EMPTY')
  await broker.end('SIGTERM')

  const dataDir = join(folder, 'new')
  const restored = await runCli('restore', backup, '--data-dir', dataDir, '--json')
  assert.is(restored.code, 0, restored.stderr)
  assert.is((JSON.parse(restored.stdout) as { dataDir: string }).dataDir, dataDir)
  const next = await startBroker({ dataDir })
  const peeked = await runCli('--url', `http://${next.http}`, 'peek', 'orders')
  assert.match(peeked.stdout, 'before')
  assert.not.match(peeked.stdout, 'later')
  await next.end('SIGTERM')
})

Backup('says what is wrong, and what to do', async ({ folder }) => {
  const gone = await runCli('--url', 'http://127.0.0.1:1', 'backup', join(folder, 'none'))
  assert.is(gone.code, 3)
  const nothing = await runCli('restore', join(folder, 'nowhere'), '--data-dir', join(folder, 'x'))
  assert.is(nothing.code, 1)
  assert.match(nothing.stderr, /no usable backup: it does not exist\n {2}.*\(BACKUP_UNUSABLE\)/)
  const cut = join(folder, 'cut')
  await mkdir(cut)
  const whole = await readFile(join(folder, 'backup', 'glasspost.backup'))
  await writeFile(join(cut, 'glasspost.backup'), whole.subarray(0, whole.length - 10))
  const refused = await runCli('restore', cut, '--data-dir', join(folder, 'x'))
  assert.is(refused.code, 1)
  assert.match(refused.stderr, 'BACKUP_UNUSABLE')
})

Backup.run()
