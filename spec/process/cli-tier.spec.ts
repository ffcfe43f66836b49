import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock, systemRandom } from '../../index.ts'
import { BrokerError } from '../../model/errors.ts'
import type { TierStatus } from '../../model/tier/tier-admin.ts'
import { DirectoryObjectStore } from '../../storage/directory/directory-object-store.ts'
import { openDoor, type OpenedDoor } from '../protocols/http/support/http-door.ts'
import {
  queueStatus,
  ScriptedTier,
  scriptedObjects,
  tierStatus,
  topicStatus,
} from '../support/scripted-tier.ts'
import { S3_BUCKET, S3_CREDENTIALS, openS3Server } from '../support/s3-server.ts'
import { eventually } from '../support/waiting.ts'
import { run, runCli, startBroker } from './support/broker-process.ts'
import { built, cli } from './support/built.ts'

interface Context {
  folder: string
  tier: ScriptedTier
  door: OpenedDoor
  glasspost: (...args: string[]) => ReturnType<typeof runCli>
}

const Tier = suite<Context>('glasspost tier')

Tier.before(() => built())
Tier.before.each(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'glasspost-tier-'))
  const tier = new ScriptedTier()
  const door = await openDoor({}, { tiering: tier })
  await door.broker.topics.create('orders', { queues: 1 })
  Object.assign(context, { tier, door })
  context.glasspost = (...args) => runCli('--url', door.url, ...args)
})
Tier.after.each(async ({ folder, door }) => {
  await door[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const filesIn = async (folder: string): Promise<string[]> => {
  const found = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = found.filter((entry) => entry.isFile())
  return files.map(({ parentPath, name }) => relative(folder, join(parentPath, name)))
}

const away = new BrokerError('TIER_UNAVAILABLE', {
  ...{ store: 's3://bucket', operation: 'put x' },
  reason: 'the connection was reset',
})

Tier('status: the store, its topics and costs; queues when asked for', async ({ glasspost }) => {
  const { code, stdout } = await glasspost('tier', 'status')
  assert.is(
    stdout,
    'tier     s3://bucket/prefix, namespace 0f3a5c7e9b1d2f40\n' +
      'buffers  1 hold 32 MiB of 128 MiB (64 MiB at most so far)\n' +
      'cache    3 MiB of 64 MiB\n' +
      'cost     0.0125 a month of a budget of 5.00\n' +
      '\n' +
      'TOPIC   STATE    OBJECTS    SIZE  BEHIND  STUCK  COST/MONTH\n' +
      'orders  serving        2  48 MiB     200      0      0.0125\n',
  )
  assert.is(code, 0)
  const one = await glasspost('tier', 'status', 'orders')
  assert.match(one.stdout, /\norders {6}0 {2}following {5}200 {2}0\.\.1000 {2}600\.\.1200/)
})

Tier('status: no stuck queue is hidden, and scripts hear of it', async ({ glasspost, tier }) => {
  const reason = 'the tier s3://bucket/prefix does not allow to put: \u001b[31mforbidden'
  const stuck = queueStatus({ queueId: 3, state: 'backingOff', reason, nextTryInMs: 4_000 })
  tier.told = tierStatus({ topics: [topicStatus({ queues: [queueStatus(), stuck] })] })
  const { code, stdout } = await glasspost('tier', 'status')
  assert.is(code, 5)
  assert.match(stdout, /\norders +serving +2 +48 MiB +400 +1 +0\.0125\n/)
  assert.match(stdout, /\norders +3 +backingOff +200 .* in 4 s +the tier .*\\x1b\[31mforbidden\n/)
  assert.not.match(stdout, /\norders +0 +following/)
  for (const state of ['behind', 'backingOff', 'trimmed']) {
    tier.told = tierStatus({ topics: [topicStatus({ queues: [queueStatus({ state })] })] })
    assert.is((await glasspost('tier', 'status')).code, 5, state)
  }
})

Tier('status: a used up budget is said aloud', async ({ glasspost, tier }) => {
  tier.told = tierStatus({ cost: { perMonth: 5.5, budgetPerMonth: 5, isPaused: true } })
  const { code, stdout } = await glasspost('tier', 'status')
  assert.is(code, 5)
  assert.match(stdout, /^cost +5\.50 a month of a budget of 5\.00: OFFLOADING IS PAUSED$/m)
})

Tier('status: JSON is what the broker says', async ({ glasspost, tier }) => {
  const { stdout } = await glasspost('tier', 'status', '--json')
  assert.equal(JSON.parse(stdout), tier.told)
})

Tier('offload and verify: how much, what is wrong, exit codes', async ({ glasspost, tier }) => {
  const all = await glasspost('tier', 'offload')
  assert.equal(all, { code: 0, stdout: 'offloaded 2 objects (68.4 KiB)\n', stderr: '' })
  const one = await glasspost('tier', 'verify', 'orders', '--json')
  assert.equal(JSON.parse(one.stdout), { objects: 2, bytes: 70_013, problems: [] })
  assert.equal(tier.calls, ['offload all', 'verify orders'])
  tier.problem = 'its checksum differs'
  const bad = await glasspost('tier', 'verify')
  assert.is(bad.code, 1)
  assert.match(bad.stdout, /^1 WRONG$/m)
  assert.match(bad.stdout, /\/0-0000000000000000\.segment {2}its checksum differs\n/)
  tier.failure = away
  const failed = await glasspost('tier', 'offload')
  assert.is(failed.code, 5)
  assert.match(
    failed.stderr,
    /^glasspost: .*the connection was reset\n {2}.*\(TIER_UNAVAILABLE\)\n/,
  )
  assert.is((await glasspost('tier', 'verify', 'nobody')).code, 4)
})

Tier('fetch: a directory that is a tier of its own', async ({ glasspost, folder }) => {
  const directory = join(folder, 'history')
  const { code, stdout } = await glasspost('tier', 'fetch', 'orders', '--to', directory)
  assert.equal([code, stdout], [0, `fetched 2 objects (68.4 KiB) into ${directory}\n`])
  for (const { key, content } of scriptedObjects)
    assert.ok((await readFile(join(directory, key))).equals(content), key)
  const store = await DirectoryObjectStore.open({
    ...{ directory, clock: systemClock, random: systemRandom },
  })
  const keys: string[] = []
  for await (const { key } of store.list('')) keys.push(key)
  assert.equal(keys, scriptedObjects.map(({ key }) => key).sort())
  await store.close()
  const again = await glasspost('tier', 'fetch', 'orders', '--to', directory)
  assert.is(again.code, 1)
  assert.match(again.stderr, /\(TARGET_NOT_EMPTY\)\n$/)
})

Tier('fetch: one that fails in the middle is not taken for whole', async ({ glasspost, ...c }) => {
  c.tier.failure = away
  const directory = join(c.folder, 'history')
  const { code, stdout } = await glasspost('tier', 'fetch', 'orders', '--to', directory)
  assert.equal([code, stdout], [5, ''])
  assert.equal(await readdir(directory), [], 'nothing that looks whole is left')
  c.tier.failure = undefined
  assert.is((await glasspost('tier', 'fetch', 'orders', '--to', directory)).code, 0)
})

Tier('audit --tier: what nobody claims, and exit code 1', async ({ glasspost, tier }) => {
  const clean = await glasspost('audit', '--tier')
  assert.is(clean.code, 0, clean.stdout)
  assert.match(clean.stdout, /\ntier: clean, every object is claimed\n/)
  tier.residues = [{ key: 'a/9/0.segment', bytes: 512, modifiedMs: 0, removedAfterMs: 86_400_000 }]
  const found = await glasspost('audit', '--tier')
  assert.is(found.code, 1)
  assert.match(found.stdout, /\na\/9\/0\.segment +512 B +1970-01-01T00:00:00.000Z +1970-01-02T00/)
  const { stdout } = await glasspost('audit', '--tier', '--json')
  assert.equal((JSON.parse(stdout) as { tier: unknown }).tier, tier.residues)
  assert.is((await glasspost('audit')).code, 0, 'the tier is listed only when asked for')
})

Tier('a broker without a tier says so, and how to get one', async ({ glasspost, tier }) => {
  tier.told = undefined
  for (const args of [
    ['tier', 'status'],
    ['tier', 'offload'],
    ['tier', 'verify'],
    ['audit', '--tier'],
  ]) {
    const { code, stderr, stdout } = await glasspost(...args)
    assert.equal([code, stdout], [1, ''], args.join(' '))
    assert.is(
      stderr,
      'glasspost: this broker has no tier\n' +
        '  Start it with `--tier directory` or `--tier s3`. (TIER_OFF)\n',
    )
  }
})

Tier('a broker with a directory: offloaded, verified, fetched, dropped', async ({ folder }) => {
  const flags = ['--tier', 'directory', '--local-age-ms', '1', '--upkeep-rest-ms', '50']
  const broker = await startBroker({ dataDir: join(folder, 'data'), flags })
  const glasspost = (...args: string[]) => runCli('--url', `http://${broker.http}`, ...args)
  const status = async () => {
    const { stdout } = await glasspost('tier', 'status', '--json')
    return JSON.parse(stdout) as TierStatus
  }
  const series = async () => {
    const answer = await fetch(`http://${broker.http}/metrics`)
    const lines = (await answer.text()).split('\n')
    return lines.filter((line) => line.includes('topic="history"') && line.includes('tier'))
  }
  await glasspost('topic', 'create', 'history', '--queues', '2')
  for (let index = 0; index < 4; index++) await glasspost('send', 'history', `message ${index}`)
  const before = await glasspost('tier', 'status', 'history')
  assert.match(before.stdout, /^history +0 +holding +2 +- +0\.\.2 +in /m)

  const offloaded = await glasspost('tier', 'offload', 'history')
  assert.match(offloaded.stdout, /^offloaded \d objects? /, offloaded.stderr)
  const [topic] = (await status()).topics
  assert.equal([topic?.topic, topic?.state], ['history', 'serving'])
  assert.equal(
    topic?.queues.map(({ tierMin, tierEnd, behind }) => [tierMin, tierEnd, behind]),
    [
      [0, 2, 0],
      [0, 2, 0],
    ],
  )
  assert.ok((topic?.traffic.requests.put ?? 0) > 0 && (topic?.costPerMonth ?? 0) > 0)
  const localMin = async () => (await status()).topics[0]?.queues.map((queue) => queue.localMin)
  await eventually('the log lets go', async () => String(await localMin()) === '2,2', 10_000)
  assert.match((await glasspost('peek', 'history')).stdout, 'message 0')
  const verified = await glasspost('tier', 'verify')
  assert.equal([verified.code, verified.stderr], [0, ''], verified.stdout)

  const to = join(folder, 'fetched')
  assert.is((await glasspost('tier', 'fetch', 'history', '--to', to)).code, 0)
  const cold = join(folder, 'data', 'tier')
  for (const name of await filesIn(to))
    assert.ok((await readFile(join(to, name))).equals(await readFile(join(cold, name))), name)
  assert.ok((await filesIn(to)).length > 1)
  const [segment = ''] = (await filesIn(cold)).filter((name) => name.endsWith('.segment'))
  const whole = await readFile(join(cold, segment))
  await writeFile(join(cold, segment), Buffer.from(whole).fill(7, 100, 101))
  const damaged = await glasspost('tier', 'verify', 'history')
  assert.equal([damaged.code, /^1 WRONG$/m.test(damaged.stdout)], [1, true], damaged.stdout)
  await writeFile(join(cold, segment), whole)
  assert.is((await glasspost('tier', 'verify', 'history')).code, 0)

  assert.ok((await series()).length > 10)
  await glasspost('topic', 'delete', 'history')
  assert.equal(await series(), [])
  const isEmpty = async () => (await filesIn(cold)).length === 0
  await eventually('its objects are gone', isEmpty, 10_000)
  assert.is((await glasspost('audit', '--tier')).code, 0)
  await broker.end('SIGTERM')
  assert.is(broker.stderr(), '')
})

Tier('a broker with S3: by the flags that docs/tiering.md shows', async ({ folder }) => {
  const s3 = await openS3Server()
  const { accessKeyId, secretAccessKey } = S3_CREDENTIALS
  const bucket = ['--s3-bucket', S3_BUCKET, '--s3-prefix', 'broker-a', '--s3-region', 'us-east-1']
  const endpoint = ['--s3-endpoint', s3.endpoint, '--s3-force-path-style']
  const ports = ['--grpc-port', '0', '--http-port', '0', '--data-dir', join(folder, 'data')]
  const broker = run(
    [process.execPath, cli, 'start', ...ports, '--tier', 's3', ...bucket, ...endpoint],
    { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
  )
  await eventually('it is ready', () => broker.stdout().includes('Ctrl-C'), 10_000)
  const place = `s3://${S3_BUCKET}/broker-a`
  assert.ok(broker.stdout().includes(`\n  tier    ${place} at ${s3.endpoint}\n`))
  const url = /admin +(http:\S+)/.exec(broker.stdout())?.[1] ?? ''
  const glasspost = (...args: string[]) => runCli('--url', url, ...args)
  await glasspost('topic', 'create', 'history', '--queues', '1')
  await glasspost('send', 'history', 'message')
  assert.match((await glasspost('tier', 'offload')).stdout, /^offloaded 1 objects /)
  assert.equal(
    [...s3.objects.keys()].map((key) => key.replace(/^broker-a\/[0-9a-f]{16}\/\d+\//, '')).sort(),
    ['0-0000000000000000.segment', 'manifest.json'],
  )
  assert.match((await glasspost('tier', 'status')).stdout, `tier     ${place}, namespace `)
  assert.is((await glasspost('tier', 'verify')).code, 0)
  await broker.end('SIGTERM')
  assert.is(broker.stderr(), '')
  await s3.close()
})

Tier('start says where the tier is, when there is one', async ({ folder }) => {
  const dataDir = join(folder, 'data')
  for (const [flags, expected] of [
    [[], undefined],
    [['--tier', 'directory'], `  tier    ${join(dataDir, 'tier')} (`],
    [['--tier', 'directory', '--tier-directory', join(folder, 'cold')], join(folder, 'cold')],
  ] as const) {
    const ports = ['--grpc-port', '0', '--http-port', '0']
    const broker = run([process.execPath, cli, 'start', ...ports, '--data-dir', dataDir, ...flags])
    await eventually('it is ready', () => broker.stdout().includes('Ctrl-C'), 10_000)
    await broker.end('SIGTERM')
    const line = broker
      .stdout()
      .split('\n')
      .find((each) => each.startsWith('  tier '))
    if (expected === undefined) assert.is(line, undefined)
    else assert.ok(line?.includes(expected), broker.stdout())
  }
})

Tier.run()
