import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openDoor } from '../protocols/http/support/http-door.ts'
import { eventually } from '../support/waiting.ts'
import { type BrokerProcess, run, runCli, startBroker } from './support/broker-process.ts'
import { built, cli } from './support/built.ts'

interface Context {
  folder: string
  broker: BrokerProcess
  /** `glasspost --url …` with these arguments. */
  glasspost: (...args: string[]) => ReturnType<typeof runCli>
}

const TAIL_MS_MAX = 10_000

const Admin = suite<Context>('glasspost, the commands of an operator')

Admin.before(async (context) => {
  await built()
  context.folder = await mkdtemp(join(tmpdir(), 'glasspost-admin-'))
  context.broker = await startBroker({ dataDir: join(context.folder, 'data') })
  context.glasspost = (...args) => runCli('--url', `http://${context.broker.http}`, ...args)
})
Admin.after(async ({ folder, broker }) => {
  await broker.end('SIGTERM')
  await rm(folder, { recursive: true, force: true })
})

Admin('topics: create, list, describe, update, delete', async ({ glasspost }) => {
  const made = await glasspost('topic', 'create', 'orders', '--type', 'FIFO', '--queues', '4')
  assert.equal(made, { code: 0, stdout: 'created FIFO topic orders with 4 queues\n', stderr: '' })
  assert.is((await glasspost('topic', 'create', 'notes')).code, 0)
  const list = await glasspost('topic', 'list')
  assert.is(
    list.stdout,
    'NAME    TYPE    QUEUES  STATE\n' +
      'notes   NORMAL       8  serving\n' +
      'orders  FIFO         4  serving\n',
  )
  const json = await glasspost('topic', 'list', '--prefix', 'or', '--json')
  const { topics } = JSON.parse(json.stdout) as { topics: { name: string; topicId: number }[] }
  assert.equal(
    topics.map(({ name }) => name),
    ['orders'],
  )
  await glasspost('topic', 'update', 'orders', '--retention', '7d', '--retention-size', '10GiB')
  assert.match(
    (await glasspost('topic', 'describe', 'orders')).stdout,
    'kept      7 d, at most 10 GiB',
  )
  assert.is((await glasspost('topic', 'delete', 'orders')).stdout, 'deleted topic orders\n')
  assert.is((await glasspost('topic', 'describe', 'orders')).code, 4)
})

Admin('send, peek, receive, acknowledge', async ({ glasspost }) => {
  await glasspost('topic', 'create', 'mail', '--queues', '1')
  const flags = ['--tag', 'a', '--key', 'k', '--key', 'l', '--property', 'x=y=z']
  const sent = await glasspost('send', 'mail', 'héllo', ...flags)
  assert.match(sent.stdout, /^mail\/0@0 {2}[0-9A-F]{34}\n$/)
  const { stdout } = await glasspost('peek', 'mail', '--json')
  const seen = JSON.parse(stdout) as Record<string, unknown>
  const expected = { queueOffset: 0, tag: 'a', keys: ['k', 'l'], properties: { x: 'y=z' } }
  for (const [name, value] of Object.entries(expected)) assert.equal(seen[name], value, name)
  assert.is(seen['body'], 'héllo')
  const received = await glasspost('receive', 'mail', '--group', 'g', '--max', '5', '--json')
  const { receiptHandle = '' } = JSON.parse(received.stdout) as { receiptHandle?: string }
  const lag = async () => {
    const group = await glasspost('group', 'describe', 'g', '--json')
    return (JSON.parse(group.stdout) as { lag: number }).lag
  }
  assert.is(await lag(), 1, 'peeking moved nothing, receiving leases')
  assert.is((await glasspost('ack', receiptHandle)).stdout, 'acknowledged 1\n')
  assert.is(await lag(), 0)
  await glasspost('send', 'mail', 'again')
  assert.match(
    (await glasspost('receive', 'mail', '--group', 'g', '--ack')).stdout,
    /\n {2}again\n$/,
  )
  assert.is(await lag(), 0)
  assert.is((await glasspost('group', 'delete', 'g')).code, 0)
  assert.is((await glasspost('group', 'describe', 'g')).code, 4)
})

Admin('topics: paused, what is scheduled is held; resumed, it comes', async ({ glasspost }) => {
  await glasspost('topic', 'create', 'held', '--type', 'DELAY', '--queues', '1')
  assert.is((await glasspost('topic', 'pause', 'held')).stdout, 'paused topic held\n')
  assert.match((await glasspost('topic', 'describe', 'held')).stdout, /serving.*, paused\n/)
  await glasspost('send', 'held', 'later', '--delay', '1s')
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  const messages = async () => {
    const topic = await glasspost('topic', 'describe', 'held', '--json')
    return (JSON.parse(topic.stdout) as { messages: number }).messages
  }
  assert.is(await messages(), 0)
  assert.is((await glasspost('topic', 'resume', 'held')).stdout, 'resumed topic held\n')
  const receive = ['receive', 'held', '--group', 'patient', '--wait', '10s', '--ack']
  assert.match((await glasspost(...receive)).stdout, /\n {2}later\n$/)
  assert.is((await glasspost('topic', 'delete', 'held')).code, 0)
})

Admin('groups: paused, resumed, reset', async ({ glasspost }) => {
  await glasspost('topic', 'create', 'log', '--queues', '1')
  for (const body of ['a', 'b']) await glasspost('send', 'log', body)
  await glasspost('group', 'create', 'late', '--retry-steps', '1s,2m', '--attempts-max', '3')
  const receive = async () => (await glasspost('receive', 'log', '--group', 'late', '--ack')).stdout
  assert.is((await glasspost('group', 'pause', 'late')).stdout, 'paused group late\n')
  assert.is(await receive(), '')
  assert.match((await glasspost('group', 'describe', 'late')).stdout, /serving, paused\n/)
  assert.is((await glasspost('group', 'resume', 'late')).stdout, 'resumed group late\n')
  assert.match(await receive(), /\n {2}a\n$/)
  const reset = await glasspost('group', 'reset', 'late', '--topic', 'log', '--to', 'earliest')
  assert.is(reset.stdout, 'QUEUE  WAS AT  IS AT\n    0       1      0\n')
  assert.match(await receive(), /\n {2}a\n$/)
  const described = (await glasspost('group', 'describe', 'late')).stdout
  assert.match(described, 'after 1 s, 2 m\n')
})

Admin('tail prints what comes, and never leases', async ({ glasspost, broker }) => {
  await glasspost('topic', 'create', 'news')
  await glasspost('send', 'news', 'before')
  const flags = ['--limit', '3', '--last', '1', '--every', '50ms', '--json']
  const url = ['--url', broker.http]
  const tail = run([process.execPath, cli, ...url, 'tail', 'news', ...flags])
  await eventually('it began', () => tail.stdout().includes('before'), TAIL_MS_MAX)
  for (const body of ['one', 'two']) await glasspost('send', 'news', body)
  assert.equal(await tail.exited, { code: 0, signal: null })
  const bodies = tail
    .stdout()
    .trim()
    .split('\n')
    .map((line) => String(Object(JSON.parse(line)).body))
  assert.equal(bodies, ['before', 'one', 'two'])
})

Admin('bench puts a load on it, and leaves nothing', async ({ glasspost, folder }) => {
  const flags = ['bench', '--messages', '60', '--in-flight', '4', '--json']
  const phasesOf = (stdout: string) =>
    (JSON.parse(stdout) as { phases: { what: string; messages: number }[] }).phases
  const expected = ['send', 'receive and acknowledge'].map((what) => ({ what, messages: 60 }))
  for (const extra of [[], ['--in-process', folder]]) {
    const { code, stdout, stderr } = await glasspost(...flags, ...extra)
    assert.is(code, 0, stderr)
    assert.equal(
      phasesOf(stdout).map(({ what, messages }) => ({ what, messages })),
      expected,
    )
  }
  assert.not.match((await glasspost('topic', 'list')).stdout, 'bench')
  assert.equal(await readdir(folder), ['data'])
})

Admin('a body that a terminal would obey is shown, not sent', async ({ glasspost }) => {
  await glasspost('topic', 'create', 'nasty')
  await glasspost('send', 'nasty', '\x1b[2Jgone\nnext')
  assert.match((await glasspost('peek', 'nasty')).stdout, /\n {2}\\x1b\[2Jgone\n {2}next\n$/)
})

Admin('dead letters, and why a message came again', async ({ glasspost }) => {
  await glasspost('topic', 'create', 'parcels', '--queues', '1')
  const sent = await glasspost('send', 'parcels', 'fragile', '--key', 'p1', '--json')
  const { messageId = '' } = JSON.parse(sent.stdout) as { messageId?: string }
  const taking = ['receive', 'parcels', '--group', 'couriers', '--json', '--invisible', '50ms']
  await glasspost(...taking)
  await eventually(
    'it came again',
    async () => (await glasspost(...taking)).stdout.includes('"attempt":2'),
    TAIL_MS_MAX,
  )
  const why = await glasspost('why', messageId)
  assert.match(why.stdout, /stored .*\n.*leased +couriers +#1 .*\n.*expired +couriers +#1/)
  assert.match((await glasspost('show', messageId)).stdout, /\n {2}fragile\n$/)
  assert.match((await glasspost('find', 'parcels', '--key', 'p1')).stdout, /\n {2}fragile\n$/)
  assert.is((await glasspost('find', 'parcels', '--key', 'p2')).stdout, '')
  assert.is((await glasspost('why', 'unknown')).code, 4)
  await glasspost('group', 'create', 'brittle', '--attempts-max', '1')
  const breaking = taking.map((word) => (word === 'couriers' ? 'brittle' : word))
  await eventually(
    'it is dead-lettered',
    async () => {
      await glasspost(...breaking)
      return (await glasspost('dlq', 'list', 'brittle')).stdout.includes(messageId)
    },
    TAIL_MS_MAX,
  )
  assert.is(
    (await glasspost('group', 'delete', 'brittle')).stdout,
    'deleted group brittle\nits dead letters stay: glasspost dlq list brittle\n',
  )
  const redrive = await glasspost('dlq', 'redrive', 'brittle', '--id', messageId)
  assert.is(redrive.stdout, 'redriven 1\n')
  assert.is((await glasspost('dlq', 'list', 'brittle')).stdout, 'no dead letters\n')
  const purged = await glasspost('dlq', 'purge', 'brittle', '--all', '--json')
  assert.is(purged.stdout, '{"purged":0}\n')
  assert.is((await glasspost('dlq', 'purge', 'brittle')).code, 1)
})

Admin('status and audit say that all is well', async ({ glasspost }) => {
  const status = await glasspost('status')
  assert.is(status.code, 0)
  assert.match(status.stdout, /^commit-log +writing\./m)
  const audit = await glasspost('audit', '--json')
  assert.is(audit.code, 0)
  assert.match(audit.stdout, /^\{"clean":true,"residue":\[\],"awaitingReclaim":\[.*\]\}\n$/)
})

for (const [args, code, teaches] of [
  [['topic', 'describe', 'nope'], 4, 'TOPIC_NOT_FOUND'],
  [['group', 'delete', 'nope'], 4, 'GROUP_NOT_FOUND'],
  [['topic', 'create', 'a b'], 1, 'TOPIC_NAME_ILLEGAL'],
  [['send', 'nope', ''], 1, 'MESSAGE_BODY_EMPTY'],
  [['ack', 'nonsense'], 1, 'RECEIPT_HANDLE_INVALID'],
  [['topic', 'create', 'x', '--type', 'BIG'], 2, 'Allowed choices are NORMAL'],
  [['topic', 'creat', 'x'], 2, 'Did you mean create?'],
  [['receive', 'x'], 2, "required option '--group"],
  [['receive', 'x', '--group', 'g', '--wait', '5'], 2, 'Give a number with ms, s, m, h, d'],
] satisfies [string[], number, string][]) {
  Admin(`ends with ${code}: glasspost ${args.join(' ')}`, async ({ glasspost }) => {
    const ended = await glasspost(...args)
    assert.equal([ended.code, ended.stdout], [code, ''])
    assert.ok(ended.stderr.includes(teaches), ended.stderr)
    assert.not.match(ended.stderr, /\n\s+at /, 'no stack')
  })
}

Admin('audit ends with 1 where something has no owner, and says what it is', async () => {
  const found = { owner: 'topic:17', kind: 'indexKey', what: '0211', bytes: 2_048 } as const
  const report = { clean: false, residue: [found], awaitingReclaim: [] }
  await using door = await openDoor({}, { audit: () => Promise.resolve(report) })
  const json = await runCli('--url', door.url, 'audit', '--json')
  assert.equal([json.code, JSON.parse(json.stdout)], [1, report])
  const shown = await runCli('--url', door.url, 'audit')
  assert.is(shown.code, 1)
  assert.match(shown.stdout, /^NOT CLEAN: 1 /)
  assert.match(shown.stdout, /^topic:17 +indexKey +2 KiB +0211$/m)
})

Admin('status ends with 5 while sends are refused, a token that is wrong with 1', async () => {
  const refusal = () => 'the disk is full'
  await using door = await openDoor({ token: 'the-right-token' }, { refusal })
  const status = await runCli('--url', door.url, '--token', 'the-right-token', 'status')
  assert.is(status.code, 5)
  assert.match(status.stdout, 'REFUSES: the disk is full')
  const wrong = await runCli('--url', door.url, '--token', 'another-token', 'topic', 'list')
  assert.is(wrong.code, 1)
  assert.match(wrong.stderr, /\(TOKEN_REQUIRED\)\n$/)
  assert.not.match(wrong.stderr, 'another-token')
})

Admin('ends with 3 where no broker answers, in JSON where that was asked for', async () => {
  const ended = await runCli('--url', 'http://127.0.0.1:9', 'topic', 'list', '--json')
  assert.is(ended.code, 3)
  assert.is(Object(JSON.parse(ended.stderr)).code, 'UNREACHABLE')
})

Admin.run()
