import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { leaveClientsBehind, startConsumer, startProducer } from '../support/clients.ts'
import { eventually, sleep } from '../support/waiting.ts'
import { run, runCli, startBroker } from './support/broker-process.ts'
import { built, cli } from './support/built.ts'
import { storedIn } from './support/stored.ts'

const ENDS_MS_MAX = 10_000
const CLIENT_MS_MAX = 30_000
const STOPPED = { code: 0, signal: null }

const Cli = suite<{ folder: string }>('glasspost, the command')

Cli.before(built)
Cli.after(leaveClientsBehind)
Cli.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'glasspost-cli-'))
})
Cli.after.each(({ folder }) => rm(folder, { recursive: true, force: true }))

Cli('says on one line of JSON where it is ready, and stops when told to', async ({ folder }) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const broker = await startBroker({ dataDir: join(folder, 'data') })
    assert.match(broker.grpc, /^127\.0\.0\.1:\d+$/)
    assert.equal(await broker.end(signal), STOPPED, broker.stderr())
    assert.is(
      broker.stdout(),
      `${JSON.stringify({ ready: true, grpc: broker.grpc, http: broker.http })}\n`,
    )
    assert.is(broker.stderr(), '')
  }
})

Cli('tells a person where it is ready, where the data is, and what to do next', async (context) => {
  const dataDir = join(context.folder, 'deep', 'data')
  const flags = ['start', '--grpc-port', '0', '--data-dir', dataDir]
  const broker = run([process.execPath, cli, ...flags])
  await eventually('it is ready', () => broker.stdout().includes('Ctrl-C'), ENDS_MS_MAX)
  assert.equal(await broker.end('SIGTERM'), STOPPED)
  const text = broker.stdout()
  assert.match(text, /^glasspost \d+\.\d+\.\d+ is ready on 127\.0\.0\.1:\d+ /)
  for (const part of [dataDir, '--auto-create-topics', 'npm run first-message -- 127.0.0.1:'])
    assert.ok(text.includes(part), part)
})

Cli('drains: a parked receive is answered, sends in flight are settled', async ({ folder }) => {
  const dataDir = join(folder, 'data')
  const broker = await startBroker({ dataDir })
  const producer = await startProducer(broker.grpc, { topics: ['busy'] })
  const consumer = await startConsumer(broker.grpc, { topic: 'empty' }, 20_000)
  await producer.send({ topic: 'busy', body: Buffer.from('first') })
  const startMs = performance.now()
  const parked = consumer.receive(1, 15_000).then(
    (messages) => messages.length,
    (error: unknown) => String(error),
  )
  await sleep(300)
  const acknowledged: string[] = []
  const sends = Array.from({ length: 64 }, async (_, index) => {
    const { messageId } = await producer.send({ topic: 'busy', body: Buffer.from(`${index}`) })
    acknowledged.push(messageId)
  })
  const settled = Promise.allSettled(sends)
  assert.equal(await broker.end('SIGTERM'), STOPPED, broker.stderr())
  await settled
  assert.ok(performance.now() - startMs < ENDS_MS_MAX, 'it did not wait for the poll to end')
  assert.is(await parked, 0, 'the parked receive was answered: there is nothing')
  const ids = new Set((await storedIn({ dataDir }, 'busy')).map(({ messageId }) => messageId))
  assert.equal(
    acknowledged.filter((id) => !ids.has(id)),
    [],
  )

  // The same clients go on with the next process, and say goodbye to it.
  const flags = ['--grpc-port', broker.grpc.replace(/.*:/, '')]
  const again = await startBroker({ dataDir, flags })
  await eventually('the clients are back', () => isTaken(producer), CLIENT_MS_MAX)
  await Promise.all([producer.shutdown(), consumer.shutdown()])
  assert.equal(await again.end('SIGTERM'), STOPPED)
})

const isTaken = (producer: Awaited<ReturnType<typeof startProducer>>): Promise<boolean> =>
  producer.send({ topic: 'busy', body: Buffer.from('again') }).then(
    () => true,
    () => false,
  )

Cli('refuses a second process on one data directory', async ({ folder }) => {
  const broker = await startBroker({ dataDir: folder })
  const second = await runCli('start', '--data-dir', folder, '--grpc-port', '0')
  assert.is(second.code, 1)
  assert.match(second.stderr, /^glasspost: .*(in use|another process|locked)/i)
  assert.match(second.stderr, /\(DATA_DIR_LOCKED\)\n$/)
  assert.equal(await broker.end('SIGTERM'), STOPPED)
})

Cli('refuses data of a format that it does not know', async ({ folder }) => {
  await writeFile(join(folder, 'format.json'), '{"format":99,"writtenBy":"glasspost 99"}')
  const { code, stderr, stdout } = await runCli('start', '--data-dir', folder, '--grpc-port', '0')
  assert.equal([code, stdout], [1, ''])
  assert.match(stderr, /\(DATA_FORMAT_UNKNOWN\)\n$/)
})

Cli('refuses a directory with other things in it, and leaves nothing there', async (context) => {
  const { folder } = context
  for (const name of ['.bashrc', 'a.txt', 'b.txt', 'c.txt'])
    await writeFile(join(folder, name), name)
  const { code, stderr } = await runCli('start', '--data-dir', folder, '--grpc-port', '0')
  assert.is(code, 1)
  assert.match(stderr, `no data of a broker: '.bashrc', 'a.txt', 'b.txt' and 1 more\n`)
  assert.match(stderr, /\(DATA_DIR_FOREIGN\)\n$/)
  assert.equal((await readdir(folder)).sort(), ['.bashrc', 'a.txt', 'b.txt', 'c.txt'])
})

Cli('refuses a port that is taken, and lets go of the data', async ({ folder }) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const port = String((taken.address() as AddressInfo).port)
  const dataDir = join(folder, 'data')
  const { code, stderr } = await runCli('start', '--data-dir', dataDir, '--grpc-port', port)
  assert.is(code, 1)
  assert.match(stderr, new RegExp(`127\\.0\\.0\\.1:${port}`))
  assert.match(stderr, /\(ADDRESS_IN_USE\)\n$/)
  taken.close()
  const broker = await startBroker({ dataDir })
  assert.equal(await broker.end('SIGTERM'), STOPPED)
})

for (const [flags, teaches] of [
  [['start', '--grpc-port', 'eighty'], '--grpc-port: grpc.port is "eighty": give a whole number'],
  [['start', '--grpc-port', '70000'], 'give a whole number from 0 to 65535'],
  [['start', '--log-level', 'loud'], 'give one of silent, error, warn, info, debug'],
  [['start', '--data-di', 'x'], 'Did you mean --data-dir?'],
  [['start', '--nonsense'], 'glasspost start --help lists every flag'],
  [['start', '--host', '0.0.0.0'], '--host: whoever reaches 0.0.0.0 could send and receive'],
  [['start', '--config', '/no/such/file'], '--config /no/such/file: it cannot be read'],
  [['strat'], 'Did you mean start?'],
  [['explain', 'NO_SUCH_CODE'], 'TOPIC_NOT_FOUND'],
] satisfies [string[], string][]) {
  Cli(`teaches who says: glasspost ${flags.join(' ')}`, async () => {
    const { code, stdout, stderr } = await runCli(...flags)
    assert.is(code, 2)
    assert.is(stdout, '')
    assert.ok(stderr.includes(teaches), stderr)
    assert.not.match(stderr, /\n\s+at /, 'no stack')
  })
}

Cli('prints the effective settings and where each comes from', async ({ folder }) => {
  const file = join(folder, 'glasspost.json')
  const secret = 'a secret of many letters'
  const settings = { brokerName: 'b', grpc: { port: 9_000 }, http: { adminToken: secret } }
  await writeFile(file, JSON.stringify(settings, undefined, 2))
  const flags = ['--config', file, '--grpc-port', '9001', '--auto-create-topics']
  const { code, stdout } = await runCli('config', '--json', ...flags)
  assert.is(code, 0)
  const shown = JSON.parse(stdout) as Record<string, unknown>
  assert.equal(shown['brokerName'], { value: 'b', source: `${file}:2` })
  assert.equal(shown['grpc.port'], { value: 9_001, source: '--grpc-port' })
  assert.equal(shown['topics.autoCreate'], { value: true, source: '--auto-create-topics' })
  assert.equal(shown['disk.warnAtPercent'], { value: 75, source: 'default' })
  assert.equal(shown['http.adminToken'], { value: '(hidden)', source: `${file}:7` })
  assert.not.ok((await runCli('config', '--config', file)).stdout.includes(secret))
})

Cli('explains a code', async () => {
  const { code, stdout } = await runCli('explain', 'topic_not_found')
  assert.is(code, 0)
  assert.match(stdout, /^TOPIC_NOT_FOUND \(notFound\)\n {2}\S.*\.\n$/)
})

Cli.run()
