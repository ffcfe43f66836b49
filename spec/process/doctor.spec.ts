import { once } from 'node:events'
import { chmod, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createBroker, systemRandom } from '../../index.ts'
import type { Check, Fault } from '../../model/doctor.ts'
import { parseIndexKey } from '../../storage/codec/index-key.ts'
import { chunkOffsetOf } from '../../storage/codec/chunk.ts'
import { LevelPlace } from '../../storage/level/level-place.ts'
import type { DatabaseName } from '../../storage/ports/place.ts'
import { runCli, startBroker } from './support/broker-process.ts'
import { built } from './support/built.ts'

interface Context {
  folder: string
  dataDir: string
}

interface Answer {
  readonly healthy: boolean
  readonly checks: readonly Check[]
  readonly verified?: { readonly messages: number; readonly faults: number }
  readonly faults: readonly Fault[]
}

const Doctor = suite<Context>('glasspost doctor')

Doctor.before(() => built())
Doctor.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'glasspost-doctor-'))
  context.dataDir = join(context.folder, 'data')
})
Doctor.after.each(({ folder }) => rm(folder, { recursive: true, force: true }))

const ports = ['--grpc-port', '0', '--http-port', '0']

const doctor = async (dataDir: string, ...flags: string[]) => {
  const ended = await runCli('doctor', '--json', '--data-dir', dataDir, ...ports, ...flags)
  const answer = JSON.parse(ended.stdout || '{}') as Partial<Answer>
  const wrong = (answer.checks ?? []).filter(({ state }) => state !== 'ok')
  return { ...ended, answer, wrong: wrong.map(({ name, state }) => `${name} ${state}`) }
}

const fill = async (dataDir: string): Promise<void> => {
  const broker = await createBroker({ dataDir })
  await broker.topics.create('orders', { queues: 1 })
  for (let index = 0; index < 200; index++)
    await broker.send('orders', { body: `${index}`.padEnd(1_000, 'x') })
  await broker.close()
}

/** Flips a byte of the first value that is wanted; returns its key. */
const rot = async (
  dataDir: string,
  name: DatabaseName,
  isWanted: (key: Uint8Array) => boolean,
): Promise<Uint8Array> => {
  const place = await LevelPlace.open({ dataDir, random: systemRandom })
  const database = await place.openDatabase(name)
  let rotten: Uint8Array | undefined
  for await (const { key, value } of database.entries()) {
    if (rotten !== undefined || !isWanted(key)) continue
    rotten = Uint8Array.from(key)
    const bytes = Uint8Array.from(value)
    bytes[60] = (bytes[60] as number) ^ 1
    await database.write([{ type: 'put', key: rotten, value: bytes }], { sync: true })
  }
  await place.close()
  return rotten ?? new Uint8Array()
}

Doctor('has nothing to say against a stopped broker, and reads all of it', async ({ dataDir }) => {
  assert.equal((await doctor(dataDir)).wrong, ['directory warning'])
  await fill(dataDir)
  const { code, answer, wrong } = await doctor(dataDir, '--verify')
  assert.equal([code, wrong, answer.healthy], [0, [], true])
  assert.equal([answer.verified?.messages, answer.verified?.faults], [200, 0])
  const text = await runCli('doctor', '--data-dir', dataDir, ...ports, '--verify')
  assert.is(text.code, 0)
  assert.match(text.stdout, /^ok +directory .*\nok +format +format 1\n/)
  assert.match(text.stdout, /\nok +verified +\d+ chunks .* with 200 messages/)
  assert.is(text.stderr, '')
})

Doctor('asks a running broker, and says when it cannot', async ({ dataDir }) => {
  await fill(dataDir)
  const broker = await startBroker({ dataDir })
  const asked = await doctor(dataDir, '--verify', '--url', `http://${broker.http}`)
  assert.equal([asked.code, asked.wrong], [0, []], asked.stderr)
  assert.is(asked.answer.verified?.messages, 200)
  const lock = asked.answer.checks?.find(({ name }) => name === 'lock')
  assert.match(lock?.says ?? '', 'a running broker is using')
  const silent = await doctor(dataDir, '--verify', '--url', 'http://127.0.0.1:1')
  assert.is(silent.code, 3)
  assert.match(silent.stderr, 'UNREACHABLE')
  await broker.end('SIGTERM')
})

Doctor('names the position of every fault, and what to do', async ({ dataDir }) => {
  await fill(dataDir)
  const chunk = await rot(dataDir, 'commit-log', (key) => chunkOffsetOf(key) > 0)
  const inLog = await doctor(dataDir, '--verify')
  assert.equal([inLog.code, inLog.answer.healthy], [1, false])
  const [fault] = inLog.answer.faults ?? []
  assert.equal([fault?.store, fault?.where], ['CommitLog', `position ${chunkOffsetOf(chunk)}`])
  assert.match(fault?.remedy ?? '', 'Delete nothing')
})

Doctor('finds a rotten index, and the next start makes it anew', async ({ dataDir }) => {
  await fill(dataDir)
  await rot(dataDir, 'index', (key) => parseIndexKey(key).kind === 'queueBlock')
  const { code, stdout } = await runCli('doctor', '--data-dir', dataDir, ...ports, '--verify')
  assert.is(code, 1)
  assert.match(stdout, /\nindex +topic 1 queue 0 offset 2 +the unit/)
  assert.match(stdout, 'move the directory index out of the data directory')
  const { rename } = await import('node:fs/promises')
  await rename(join(dataDir, 'index'), join(dataDir, '..', 'index'))
  await (await createBroker({ dataDir })).close()
  const mended = await doctor(dataDir, '--verify')
  assert.equal([mended.code, mended.answer.verified?.faults], [0, 0])
})

Doctor('looks at rights, format, clock, reserve and ports', async ({ folder, dataDir }) => {
  await fill(dataDir)
  await chmod(join(dataDir, 'secret'), 0o644)
  assert.equal((await doctor(dataDir)).wrong, ['directory warning'])
  await chmod(join(dataDir, 'secret'), 0o600)
  await rm(join(dataDir, 'ballast'))
  assert.equal((await doctor(dataDir)).wrong, ['ballast warning'])
  await writeFile(join(dataDir, 'ballast'), 'some')
  const later = new Date(Date.now() + 3_600_000)
  await utimes(join(dataDir, 'format.json'), later, later)
  const back = await doctor(dataDir)
  assert.equal([back.code, back.wrong], [1, ['clock fault']])
  await writeFile(join(dataDir, 'format.json'), '{"format":99}')
  assert.equal((await doctor(dataDir, '--verify')).wrong, ['format fault'])
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const port = String((taken.address() as AddressInfo).port)
  const ported = await doctor(join(folder, 'none'), '--grpc-port', port)
  assert.equal(ported.wrong, ['directory warning', 'port fault'])
  taken.close()
})

Doctor.run()
