import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ScheduleDescription } from '../../model/schedule/schedules.ts'
import { type BrokerProcess, runCli, startBroker } from './support/broker-process.ts'
import { built } from './support/built.ts'
import { definition } from '../protocols/grpc/support/official.ts'
import { leaveClientsBehind, startProducer } from '../support/clients.ts'
import { eventually, sleep } from '../support/waiting.ts'

interface Context {
  folder: string
  broker: BrokerProcess
  /** `glasspost --url …` with these arguments. */
  glasspost: (...args: string[]) => ReturnType<typeof runCli>
}

interface MessageJson {
  readonly messageId: string
}

const DOWN_MS = 2_500
const RUNS_MS_MAX = 20_000

const Later = suite<Context>('glasspost timer, schedule and transaction')

Later.before(async (context) => {
  await built()
  context.folder = await mkdtemp(join(tmpdir(), 'glasspost-later-'))
  context.broker = await startBroker({ dataDir: join(context.folder, 'data') })
  context.glasspost = (...args) => runCli('--url', `http://${context.broker.http}`, ...args)
  await context.glasspost('topic', 'create', 'later', '--type', 'MIXED', '--queues', '1')
})
Later.after(leaveClientsBehind)
Later.after(async ({ folder, broker }) => {
  await broker.end('SIGTERM')
  await rm(folder, { recursive: true, force: true })
})

Later('timers: send, list, show, reschedule, fire, cancel, recall', async ({ glasspost }) => {
  const sent = await glasspost('send', 'later', 'one', '--delay', '1h', '--key', 'k', '--json')
  const { recallHandle = '' } = JSON.parse(sent.stdout) as { recallHandle?: string }
  await glasspost('send', 'later', 'two', '--deliver-at', '2999-01-01T00:00:00Z')
  await glasspost('send', 'later', 'two', '--delay-level', '18', '--message-id', 'two')
  const list = await glasspost('timer', 'list', '--topic', 'later', '--json')
  const { timers } = JSON.parse(list.stdout) as { timers: { timerId: string }[] }
  const [first = '', second = ''] = timers.map(({ timerId }) => timerId)
  assert.is(timers.length, 2, 'a year is the longest')
  assert.match((await glasspost('timer', 'list')).stdout, /^TIMER +DUE +TOPIC +TAG +MESSAGE\n/)
  assert.match((await glasspost('timer', 'show', second)).stdout, /^message +two$/m)
  const moved = await glasspost('timer', 'reschedule', second, '--in', '5m')
  assert.match(moved.stdout, new RegExp(`^timer +${second}$`, 'm'))
  const [next] = (await glasspost('timer', 'list')).stdout.split('\n').slice(1)
  assert.match(next ?? '', /two$/, 'it is the next one now')
  assert.is((await glasspost('timer', 'fire', second)).stdout, `delivered timer ${second}\n`)
  assert.match((await glasspost('peek', 'later')).stdout, /\n {2}two\n$/)
  const recalled = await glasspost('timer', 'recall', 'later', recallHandle)
  assert.equal([recalled.code, recalled.stdout], [0, 'recalled: it will not be delivered\n'])
  assert.is((await glasspost('timer', 'cancel', first)).code, 4)
  assert.is((await glasspost('timer', 'recall', 'later', 'nonsense')).code, 1)
  await glasspost('send', 'later', 'x', '--delay', '1h', '--key', 'mine')
  const cancelled = await glasspost('timer', 'cancel', '--topic', 'later', '--key', 'mine')
  assert.is(cancelled.stdout, 'cancelled 1 timers\n')
  assert.is((await glasspost('timer', 'list')).stdout, 'none waits\n')
})

Later('schedules: create, list, show, pause, resume, delete', async ({ glasspost }) => {
  const cron = ['--cron', '0 2 * * *', '--time-zone', 'Europe/Berlin', '--missed', 'skip']
  const about = ['nightly', '--topic', 'later', '--body', 'go', ...cron]
  const made = await glasspost('schedule', 'create', ...about)
  assert.match(made.stdout, /^runs +0 2 \* \* \* Europe\/Berlin\nmissed +skipped\nstate +active$/m)
  assert.match((await glasspost('schedule', 'list')).stdout, /^nightly +later +0 2 \* \* \* /m)
  assert.match((await glasspost('schedule', 'pause', 'nightly')).stdout, /^state +paused$/m)
  assert.match((await glasspost('schedule', 'show', 'nightly')).stdout, /^next +-$/m)
  assert.match((await glasspost('schedule', 'resume', 'nightly')).stdout, /^next +2\d{3}-/m)
  assert.is((await glasspost('schedule', 'delete', 'nightly')).stdout, 'deleted schedule nightly\n')
  assert.is((await glasspost('schedule', 'show', 'nightly')).code, 4)
  const often = ['create', 'often', '--topic', 'later', '--body', 'x', '--every', '1ms']
  assert.match((await glasspost('schedule', ...often)).stderr, 'SCHEDULE_ILLEGAL')
})

Later('transactions: none waits, and none is resolved', async ({ glasspost }) => {
  assert.is((await glasspost('transaction', 'list')).stdout, 'none waits\n')
  const json = await glasspost('transaction', 'list', '--json')
  assert.equal(JSON.parse(json.stdout), { transactions: [] })
  const ended = await glasspost('transaction', 'commit', 'nobody’s')
  assert.match(ended.stderr, 'TRANSACTION_NOT_FOUND')
})

Later('transactions: listed, committed and rolled back by hand', async ({ broker, glasspost }) => {
  const { TRANSACTION_RESOLUTION_UNSPECIFIED } = definition.TransactionResolution
  const checker = { check: async () => TRANSACTION_RESOLUTION_UNSPECIFIED }
  const producer = await startProducer(broker.grpc, { topics: ['halves'], checker })
  const prepare = async (body: string) =>
    producer.send({ topic: 'halves', body: Buffer.from(body) }, producer.beginTransaction())
  const [kept, dropped] = [await prepare('kept'), await prepare('dropped')]
  const list = await glasspost('transaction', 'list', '--topic', 'halves')
  assert.match(list.stdout, /^ *MESSAGE +TOPIC +STATE +CHECKS +PREPARED +NEXT CHECK\n/)
  assert.match(list.stdout, new RegExp(`^${kept.messageId} +halves +pending +0 `, 'm'))
  const committed = await glasspost('transaction', 'commit', kept.messageId)
  assert.is(committed.stdout, `committed ${kept.messageId}\n`)
  const rolledBack = await glasspost('transaction', 'rollback', dropped.transactionId)
  assert.is(rolledBack.stdout, `rolled back ${dropped.transactionId}\n`)
  assert.is((await glasspost('transaction', 'list')).stdout, 'none waits\n')
  const received = await glasspost('receive', 'halves', '--group', 'g', '--ack')
  assert.match(received.stdout, /\n {2}kept\n$/)
  await producer.shutdown()
})

Later('a schedule runs on when its broker was killed, and makes no run twice', async (context) => {
  const { glasspost, folder } = context
  await glasspost('topic', 'create', 'runs', '--type', 'DELAY', '--queues', '1')
  const created = ['create', 'pulse', '--topic', 'runs', '--body', 'x', '--every', '1s', '--json']
  const made = JSON.parse((await glasspost('schedule', ...created)).stdout) as ScheduleDescription
  const runsOf = async () => {
    const peeked = await context.glasspost('peek', 'runs', '--limit', '1000', '--json')
    return peeked.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => Date.parse((JSON.parse(line) as MessageJson).messageId.replace('pulse@', '')))
  }
  const runs = (count: number) => async () => (await runsOf()).length >= count
  await eventually('it runs', runs(3), RUNS_MS_MAX)
  await context.broker.end('SIGKILL')
  const killedMs = Date.now()
  await sleep(DOWN_MS)
  context.broker = await startBroker({ dataDir: join(folder, 'data') })
  const backMs = Date.now()
  context.glasspost = (...args) => runCli('--url', `http://${context.broker.http}`, ...args)
  await eventually(
    'it runs on',
    async () => (await runsOf()).some((atMs) => atMs > backMs + 2_000),
    RUNS_MS_MAX,
  )
  const times = await runsOf()
  assert.equal(
    times,
    [...new Set(times)].sort((a, b) => a - b),
    'in order, and none twice',
  )
  for (const atMs of times) assert.is((atMs - made.createdAtMs) % 1_000, 0)
  const missing = times.slice(1).filter((atMs, index) => atMs - (times[index] ?? 0) > 1_000)
  assert.ok(missing.length <= 1, 'at most one gap')
  for (const atMs of missing)
    assert.ok(atMs > killedMs && atMs < backMs + 1_500, 'while it was down')
})

Later.run()
