import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createBroker } from '../../index.ts'
import { startConsumer } from '../support/clients.ts'
import { eventually, sleep } from '../support/waiting.ts'
import {
  type BrokerProcess,
  launch,
  run,
  startBroker,
  type StartOptions,
} from './support/broker-process.ts'
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

/** All of it goes to the tier soon after it came, and out of the log soon after that. */
const busyTier = Object.entries({
  tier: 'directory',
  'tiering-segment-bytes': 1 << 20,
  'tiering-hold-ms': 50,
  'tiering-tick-ms': 100,
  'local-age-ms': 1,
  'upkeep-rest-ms': 50,
}).flatMap(([name, value]) => [`--${name}`, `${value}`])

interface Variant {
  readonly title: string
  readonly flags: readonly string[]
  readonly tier: 'off' | 'directory'
}

const variants: readonly Variant[] = [
  { title: 'loses nothing that it acknowledged, and invents nothing', flags: [], tier: 'off' },
  { title: 'as little while all of it moves to a tier', flags: busyTier, tier: 'directory' },
]

const anyMs = (maxMs: number): number => Math.random() * maxMs

const KillLoop = suite('a broker that is killed again and again')

/** Some recoveries are killed, too. */
const killWhileStarting = async (options: StartOptions): Promise<void> => {
  const starting = launch(options)
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

const killAgainAndAgain = async ({ flags, tier }: Variant): Promise<void> => {
  await built()
  const dataDir = await mkdtemp(join(tmpdir(), 'glasspost-kill-'))
  const options = { dataDir, flags }
  const load = new Load(topic)
  const seen = new Set<number>()
  const readyMs: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    if (round % 3 === 2) await killWhileStarting(options)
    const broker = await startBroker(options)
    readyMs.push(broker.readyMs)
    await killUnderLoad(broker, round, { load, seen })
    if (ROUNDS > 10 && round % 10 === 9)
      console.log(`${round + 1} rounds, ${load.acknowledged.size} acknowledged`)
  }
  const last = await startBroker(options)
  readyMs.push(last.readyMs)
  const hasTailAll = await finishTail(last, load, seen)
  assert.equal(await last.end('SIGTERM'), { code: 0, signal: null })

  if (tier !== 'off') await checkTier(dataDir)
  const stored = await storedIn({ dataDir, tier }, topic)
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
}

/** History is really there, as a whole, and claimed; the buffers of its way are free. */
const checkTier = async (dataDir: string): Promise<void> => {
  const settings = { tier: { graceMs: 0, janitorEveryMs: 100 } }
  await using broker = await createBroker({ dataDir, tier: 'directory', settings })
  const { tiering } = broker
  for await (const { problem } of tiering.offload()) assert.is(problem, undefined)
  let objects = 0
  for await (const { problem } of tiering.verify()) {
    assert.is(problem, undefined)
    objects++
  }
  const status = tiering.status(topic)
  const queues = status?.topics[0]?.queues ?? []
  const moved = queues.filter(({ tierMin = 0, localMin }) => localMin > tierMin)
  assert.ok(moved.length > 0, 'some of it is nowhere but in the tier')
  assert.is(status?.buffers.buffers, 0)
  console.log(`${objects} objects in the tier`)
  // What a kill broke off finds itself again, or went with another queue's object since.
  const isClean = async () => (await tiering.residue()).length === 0
  await eventually('the janitor has removed what nobody claims', isClean, CLIENT_MS_MAX)
}

for (const variant of variants) KillLoop(variant.title, () => killAgainAndAgain(variant))

KillLoop.run()
