import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type BrokerProcess, runCli, startBroker } from './support/broker-process.ts'
import { built } from './support/built.ts'

interface Context {
  folder: string
  broker: BrokerProcess
  /** `glasspost --url …` with these arguments. */
  glasspost: (...args: string[]) => ReturnType<typeof runCli>
}

const Later = suite<Context>('glasspost timer, schedule and transaction')

Later.before(async (context) => {
  await built()
  context.folder = await mkdtemp(join(tmpdir(), 'glasspost-later-'))
  context.broker = await startBroker({ dataDir: join(context.folder, 'data') })
  context.glasspost = (...args) => runCli('--url', `http://${context.broker.http}`, ...args)
  await context.glasspost('topic', 'create', 'later', '--type', 'MIXED', '--queues', '1')
})
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

Later.run()
