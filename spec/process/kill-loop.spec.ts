import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startConsumer } from '../support/clients.ts'
import { eventually, sleep } from '../support/waiting.ts'
import { type BrokerProcess, launch, run, startBroker } from './support/broker-process.ts'
import { built } from './support/built.ts'
import { drain, Load } from './support/load.ts'
import type { Orders, Told } from './support/send-until-killed.ts'
import { storedIn, wrongs } from './support/stored.ts'

/** `KILL_ROUNDS=100` or `npm run kill-loop` for more. */
const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 3)
const LOAD_MS_MAX = 2_000
const STARTING_MS_MAX = 500
const RECEIPTS_MAX = 1_000
const READY_MS_MAX = 5_000
const CLIENT_MS_MAX = 30_000
const TAIL_MS_MAX = 60_000
const topic = 'killed'

const anyMs = (maxMs: number): number => Math.random() * maxMs

const KillLoop = suite('a broker that is killed again and again')

/** Some recoveries are killed, too. */
const killWhileStarting = async (dataDir: string): Promise<void> => {
  const starting = launch({ dataDir })
  await sleep(anyMs(STARTING_MS_MAX))
  await starting.end('SIGKILL')
}

const sender = fileURLToPath(new URL('support/send-until-killed.ts', import.meta.url))

/** At a random moment, or in two rounds of three at a random receipt, which is the worst moment. */
const killUnderLoad = async (
  broker: BrokerProcess,
  round: number,
  { load, seen }: { load: Load; seen: Set<number> },
) => {
  const killAtReceipt = round % 3 === 0 ? 0 : 1 + Math.floor(Math.random() * RECEIPTS_MAX)
  const brokerPid = broker.child.pid ?? 0
  const orders: Orders = {
    endpoint: broker.grpc,
    topic,
    brokerPid,
    killAtReceipt,
    ...load.rest,
  }
  const sending = run([process.execPath, '--import', 'tsx', sender, JSON.stringify(orders)])
  await eventually('the client has started', () => sending.stdout() !== '', CLIENT_MS_MAX)
  if (killAtReceipt === 0) {
    await sleep(anyMs(LOAD_MS_MAX))
    await broker.end('SIGKILL')
  }
  const { code } = await sending.exited
  assert.is(code, 0, sending.stderr())
  assert.equal(await broker.exited, { code: null, signal: 'SIGKILL' })
  const told = JSON.parse(sending.stdout().slice('started\n'.length)) as Told
  load.absorb(told.load)
  for (const number of told.seen) seen.add(number)
  for (const [text, times] of told.refusals) console.log(`${times} times refused: ${text}`)
}

/** The group that consumed all the while has everything that was acknowledged, in the end. */
const finishTail = async (broker: BrokerProcess, load: Load, seen: Set<number>) => {
  const consumer = await startConsumer(broker.grpc, { topic, group: 'tail' })
  const isComplete = () => [...load.acknowledged.keys()].every((number) => seen.has(number))
  let isLate = false
  const draining = drain(consumer, seen, () => isLate || isComplete())
  await eventually('the tail has all', isComplete, TAIL_MS_MAX).catch(() => (isLate = true))
  for (const [text, times] of await draining) console.log(`${times} times refused: ${text}`)
  await consumer.shutdown()
  return isComplete()
}

KillLoop('loses nothing that it acknowledged, and invents nothing', async () => {
  await built()
  const dataDir = await mkdtemp(join(tmpdir(), 'glasspost-kill-'))
  const load = new Load(topic)
  const seen = new Set<number>()
  const readyMs: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    if (round % 3 === 2) await killWhileStarting(dataDir)
    const broker = await startBroker({ dataDir })
    readyMs.push(broker.readyMs)
    await killUnderLoad(broker, round, { load, seen })
    if (ROUNDS > 10 && round % 10 === 9)
      console.log(`${round + 1} rounds, ${load.acknowledged.size} acknowledged`)
  }
  const last = await startBroker({ dataDir })
  readyMs.push(last.readyMs)
  const hasTailAll = await finishTail(last, load, seen)
  assert.equal(await last.end('SIGTERM'), { code: 0, signal: null })

  const stored = await storedIn(dataDir, topic)
  const found = wrongs(stored, load)
  const retried = [...load.tries.values()].filter((tries) => tries > 1).length
  console.log(
    `${ROUNDS} kills, ${load.acknowledged.size} messages acknowledged, ${found.length} wrong, ` +
      `${retried} sent again, ${stored.length} stored, ` +
      `ready within ${Math.round(Math.max(...readyMs))} ms`,
  )
  assert.equal(found.slice(0, 10), [])
  assert.ok(hasTailAll, 'a consumer that went on after every crash misses nothing')
  assert.ok(load.acknowledged.size > 0)
  assert.ok(Math.max(...readyMs) < READY_MS_MAX, 'every start was ready within 5 s')
  await rm(dataDir, { recursive: true })
})

KillLoop.run()
