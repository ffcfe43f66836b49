import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startProducer } from '../support/clients.ts'
import { eventually } from '../support/waiting.ts'
import { startBroker } from './support/broker-process.ts'
import { built } from './support/built.ts'
import { type Sent, systemCallsOf, wrongOrder } from './support/system-calls.ts'

const topic = 'ordered'
const ONE_BY_ONE = 60
const EIGHT_IN_FLIGHT = 240
const CALLS = 'write,writev,pwrite64,sendmsg,sendto,fdatasync,fsync'

/** As a child that is not traced itself, `-D` leaves the broker the child of this process. */
const strace = (output: string): string[] => [
  ...['strace', '-D', '-f', '-y', '-s', '70000'],
  ...['-e', `trace=${CALLS}`, '-e', 'signal=none', '-o', output],
]

const canTrace = async (): Promise<boolean> =>
  promisify(execFile)('strace', ['-D', '-o', '/dev/null', 'true']).then(
    () => true,
    () => false,
  )

const SyncOrder = suite('the order of writing, syncing and answering')

SyncOrder('never answers a send before the sync of its bytes has returned', async () => {
  if (!(await canTrace())) {
    console.log('SKIPPED: the order of system calls cannot be seen here (it takes strace)')
    return
  }
  await built()
  const folder = await mkdtemp(join(tmpdir(), 'glasspost-order-'))
  const output = join(folder, 'calls')
  const broker = await startBroker({ dataDir: join(folder, 'data'), under: strace(output) })
  const producer = await startProducer(broker.grpc, { topics: [topic] })
  const sent: Sent[] = []
  let started = 0
  const send = async (): Promise<void> => {
    const marker = `marker-${String(started++).padStart(6, '0')}`
    // Three times, because LevelDB cuts records at block borders.
    const body = Buffer.from(`${marker} ${marker} ${marker}`)
    const { messageId } = await producer.send({ topic, body })
    sent.push({ marker, messageId })
  }
  for (let count = 0; count < ONE_BY_ONE; count++) await send()
  const lane = async (): Promise<void> => {
    while (started < ONE_BY_ONE + EIGHT_IN_FLIGHT) await send()
  }
  await Promise.all(Array.from({ length: 8 }, lane))
  await producer.shutdown()
  assert.equal(await broker.end('SIGTERM'), { code: 0, signal: null }, broker.stderr())
  const isWhole = async () => /\+\+\+ exited with 0 \+\+\+\s*$/.test(await readFile(output, 'utf8'))
  await eventually('the trace is written', isWhole)

  const calls = systemCallsOf(await readFile(output, 'utf8'))
  const wrong = sent.flatMap((message) => wrongOrder(calls, message) ?? [])
  assert.equal(wrong.slice(0, 5), [])
  assert.is(sent.length, ONE_BY_ONE + EIGHT_IN_FLIGHT)
  await rm(folder, { recursive: true })
})

SyncOrder.run()
