import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type CopyProgress, createBroker, isBrokerError, restoreBackup } from '../../index.ts'

interface Context {
  folder: string
}

const Backup = suite<Context>('backup and restore')

Backup.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'glasspost-backup-'))
})
Backup.after.each(({ folder }) => rm(folder, { recursive: true, force: true }))

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: unknown) => (isBrokerError(error) ? error.code : String(error)),
  )

const body = (index: number): string => `${index} `.padEnd(2_000, 'x')

Backup('keeps what was acknowledged, while the broker goes on', async ({ folder }) => {
  const dataDir = join(folder, 'data')
  const broker = await createBroker({ dataDir })
  await broker.topics.create('orders', { queues: 2 })
  await broker.groups.create('billing', { attemptsMax: 5 })
  for (let index = 0; index < 500; index++) await broker.send('orders', { body: body(index) })
  const [first, held] = await broker.receive({ topic: 'orders', group: 'billing' })
  if (first === undefined || held === undefined) throw new Error('nothing was received')
  await broker.ack(first)

  const progress: CopyProgress[] = []
  const onProgress = (one: CopyProgress): void => {
    progress.push(one)
    assert.not(existsSync(join(folder, 'backup', 'glasspost.backup')), 'it is not whole yet')
  }
  let isTaking = true
  const sending = (async () => {
    for (let index = 500; isTaking; index++) await broker.send('orders', { body: body(index) })
  })()
  const { path } = await broker.backup(join(folder, 'backup'), { onProgress })
  isTaking = false
  await sending
  const { topicId } = broker.topics.describe('orders')
  await broker.close()
  assert.equal(await readdir(join(folder, 'backup')), ['glasspost.backup'])
  assert.is(path, join(folder, 'backup', 'glasspost.backup'))
  assert.equal(
    progress,
    progress.toSorted((a, b) => a.done - b.done),
  )
  assert.is(progress.at(-1)?.done, progress.at(-1)?.of)

  const restored: CopyProgress[] = []
  const header = await restoreBackup({
    backup: join(folder, 'backup'),
    dataDir: join(folder, 'new', 'data'),
    onProgress: (one) => restored.push(one),
  })
  assert.is(restored.at(-1)?.done, header.bytes)
  await using again = await createBroker({ dataDir: join(folder, 'new', 'data') })
  const topic = again.topics.describe('orders')
  assert.is(topic.topicId, topicId, 'the same incarnation')
  assert.ok(topic.messages >= 500)
  assert.is(again.groups.describe('billing').attemptsMax, 5)
  const seen = new Set<string>()
  for await (const message of again.consume({ topic: 'orders', group: 'other' })) {
    seen.add(message.text.split(' ')[0] ?? '')
    await message.ack()
    if (seen.size === topic.messages) break
  }
  for (let index = 0; index < 500; index++) assert.ok(seen.has(`${index}`), `message ${index}`)
  // What the backup does not know may stand where an old handle points.
  const text = again.port.sealHandle(held.handle)
  assert.equal(again.port.openHandle(text).queueOffset, held.handle.queueOffset)
  await again.send('orders', { body: 'goes on' })
})

Backup('refuses handles that were given out before', async ({ folder }) => {
  const broker = await createBroker({ dataDir: join(folder, 'data') })
  await broker.topics.create('orders')
  await broker.send('orders', { body: 'one' })
  const [message] = await broker.receive({ topic: 'orders', group: 'billing', invisibleMs: 100 })
  if (message === undefined) throw new Error('nothing was received')
  const handle = broker.port.sealHandle(message.handle)
  await broker.backup(join(folder, 'backup'))
  await broker.close()
  await restoreBackup({ backup: join(folder, 'backup'), dataDir: join(folder, 'new') })
  await using again = await createBroker({ dataDir: join(folder, 'new') })
  assert.throws(
    () => again.port.openHandle(handle),
    (error: unknown) => isBrokerError(error, 'RECEIPT_HANDLE_INVALID'),
  )
  const [repeated] = await again.receive({ topic: 'orders', group: 'billing', waitMs: 2_000 })
  assert.is(repeated?.text, 'one', 'it comes again')
})

Backup('writes into nothing that has something in it', async ({ folder }) => {
  await using broker = await createBroker({ memory: true })
  const full = join(folder, 'full')
  await mkdir(full)
  await writeFile(join(full, 'letter'), 'dear')
  assert.is(await codeOf(broker.backup(full)), 'TARGET_NOT_EMPTY')
  await mkdir(join(folder, 'empty'))
  const { path } = await broker.backup(join(folder, 'empty'))
  assert.is(await codeOf(restoreBackup({ backup: path, dataDir: full })), 'TARGET_NOT_EMPTY')
  assert.is(await codeOf(broker.backup(join(folder, 'empty'))), 'TARGET_NOT_EMPTY')
  assert.equal(await readdir(full), ['letter'])
  await restoreBackup({ backup: path, dataDir: join(folder, 'data') })
  const again = restoreBackup({ backup: path, dataDir: join(folder, 'data') })
  assert.is(await codeOf(again), 'TARGET_NOT_EMPTY')
})

Backup('restores nothing from a backup that is cut off or damaged', async ({ folder }) => {
  await using broker = await createBroker({ memory: true })
  await broker.topics.create('orders')
  for (let index = 0; index < 100; index++) await broker.send('orders', { body: body(index) })
  const { path } = await broker.backup(join(folder, 'backup'))
  const whole = await readFile(path)
  const dataDir = join(folder, 'data')
  const restore = (backup: string) => codeOf(restoreBackup({ backup, dataDir }))
  const flipped = Buffer.from(whole)
  flipped[100_000] = (flipped[100_000] as number) ^ 1
  for (const [name, bytes] of [
    ['empty', Buffer.alloc(0)],
    ['cut', whole.subarray(0, 100_000)],
    ['flipped', flipped],
    ['other', Buffer.from('{"a":1}\n')],
  ] as const) {
    await writeFile(join(folder, name), bytes)
    assert.is(await restore(join(folder, name)), 'BACKUP_UNUSABLE', name)
  }
  assert.is(await restore(join(folder, 'nothing')), 'BACKUP_UNUSABLE')
  await mkdir(join(folder, 'unfinished'))
  await writeFile(join(folder, 'unfinished', 'glasspost.backup.partial'), whole)
  assert.is(await restore(join(folder, 'unfinished')), 'BACKUP_UNUSABLE')
  // Nothing is left that could be taken for data.
  assert.equal(await readdir(dataDir), [])
  assert.is(await restore(path), 'done')
})

Backup('a restore that was killed is not taken for an empty broker', async ({ folder }) => {
  await mkdir(join(folder, 'data', 'restoring', 'commit-log'), { recursive: true })
  const opening = createBroker({ dataDir: join(folder, 'data') })
  assert.is(await codeOf(opening), 'DATA_FORMAT_UNKNOWN')
  assert.equal(await readdir(join(folder, 'data')), ['restoring'])
})

Backup.run()
