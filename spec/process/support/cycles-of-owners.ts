import { audit } from '../../../actors/audit/audit.ts'
import { CoreBroker } from '../../../actors/broker/broker.ts'
import { brokerSettingsOf } from '../../../actors/broker/settings.ts'
import { BrokerMetrics } from '../../../actors/metrics/broker-metrics.ts'
import { systemClock, systemRandom } from '../../../index.ts'
import { tagFilter } from '../../../model/delivery/filter.ts'
import { encodeDraft, type MessageDraft } from '../../../model/message/encode.ts'
import { PrometheusMetrics } from '../../../protocols/metrics/prometheus.ts'
import { MemoryPlace } from '../../../storage/memory/memory-place.ts'
import { seededRandom } from '../../support/random.ts'
import { eventually, sleep } from '../../support/waiting.ts'
import type { CyclesReport } from './cycles-report.ts'

/**
 * Topics and groups come, are used in every way, and go, in any order and with requests in
 * flight. Prints what is left, as one line of JSON. Runs with `--expose-gc`.
 */
const cycles = Number(process.env['CYCLES'] ?? 1_000)
const seed = Number(process.env['SEED'] ?? 1)
const RECLAIM_MS = 200
const WARM_CYCLES = 100
const IN_FLIGHT_CYCLES = 8
const REST_MS_MAX = 30_000

const bytes = (() => {
  const random = seededRandom(seed)
  return () => random.bytes(1)[0] as number
})()
const chance = (percent: number): boolean => bytes() < (percent / 100) * 256
const upTo = (max: number): number => bytes() % (max + 1)

const settings = brokerSettingsOf({
  upkeepRestMs: 20,
  reclaim: { extentBytes: 64 << 10, carryBelow: 0.5, reclaimMs: RECLAIM_MS },
  commitLog: { cacheBytes: 1 << 20 },
  blockCacheBytes: 1 << 20,
  sessionGraceMs: 100,
})
const place = new MemoryPlace({ random: systemRandom })
const logger = { info: () => {}, warn: () => {}, error: () => {} }
const broker = await CoreBroker.open({ clock: systemClock, logger, place }, settings)
const metrics = new PrometheusMetrics([new BrokerMetrics(broker)], { clock: systemClock })

let sent = 0
const send = (topic: string, draft: MessageDraft): Promise<unknown> => {
  const context = { messageId: `m${sent++}`, bornAtMs: systemClock.wallMs(), bornHost: 'h' }
  return new Promise((resolve) => resolve(broker.append(topic, encodeDraft(draft, context))))
}
const request = { filter: tagFilter('*'), batchMax: 4, waitMs: 0, invisibleMs: 30_000 }

/** Everything that leaves a trace, some of it not waited for. */
const use = async (topic: string, group: string, isFifo: boolean): Promise<void> => {
  const flying: Promise<unknown>[] = []
  const receive = (waitMs: number) =>
    broker.receive({
      ...request,
      ...{ topic, group, waitMs },
      ...(chance(30) ? { clientId: `client-${topic}`, autoRenew: true } : {}),
      ...(chance(30) ? { attemptId: `attempt-${sent}` } : {}),
    })
  const messageGroup = isFifo ? { messageGroup: 'one' } : {}
  for (let count = upTo(6); count > 0; count--) {
    const keys = chance(50) ? { keys: [`key-${count}`], tag: 'tag' } : {}
    const sending = send(topic, { body: 'x'.repeat(upTo(200) + 1), ...keys, ...messageGroup })
    if (chance(50)) await sending
    else flying.push(sending)
  }
  for (let round = upTo(3); round > 0; round--) {
    const { deliveries } = await receive(0)
    for (const { handle } of deliveries) {
      const way = upTo(4)
      if (way === 0) await broker.ack(handle)
      if (way === 1) await broker.extend(handle, 0)
      if (way === 2) await broker.extend(handle, 60_000)
      if (way === 3) flying.push(broker.deadLetter(handle, 'as it is'))
    }
  }
  if (chance(60)) flying.push(receive(2_000))
  if (chance(40)) flying.push(receive(2_000))
  flying.push(end(topic, group))
  await Promise.allSettled(flying)
}

const end = async (topic: string, group: string): Promise<void> => {
  if (chance(30)) await sleep(upTo(3))
  const endings = [() => broker.topics.end(topic), () => broker.groups.end(group)]
  if (chance(50)) endings.reverse()
  if (chance(30)) await Promise.allSettled(endings.map((ending) => ending()))
  else for (const ending of endings) await ending().catch(() => {})
}

const cycle = async (number: number): Promise<void> => {
  // Names like those of the neighbours.
  const topic = ['ab', 'a-', '-a', 'a_a'][number % 4] + String(number)
  const group = ['ab', 'a-', '-a', 'a_a'][(number + 1) % 4] + String(number)
  const isFifo = chance(30)
  const type = isFifo ? 'FIFO' : 'NORMAL'
  await broker.topics.create(topic, { type, queues: 1 + upTo(3) })
  await broker.groups.create(group, { attemptsMax: 1 + upTo(2) })
  await use(topic, group, isFifo)
  for (const gone of [topic, `%DLQ%${group}`])
    if (broker.topics.find(gone)) await broker.topics.end(gone).catch(() => {})
  if (broker.groups.find(group)) await broker.groups.end(group).catch(() => {})
  if (chance(2)) await metrics.text()
}

const run = async (from: number, count: number): Promise<void> => {
  let next = from
  const work = async (): Promise<void> => {
    while (next < from + count) await cycle(next++)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT_CYCLES }, work))
}

const isNeighbour = (name: string): boolean => name === 'a' || name === 'b'

/** Nothing is on its way, and what was deleted has left the log. */
const rest = async (): Promise<void> => {
  await eventually(
    'what was deleted is gone',
    async () => {
      // A log that stands still is not reclaimed: its neighbours go on.
      await send('b', { body: 'x'.repeat(20_000) })
      if (broker.sessions.count > 0) return false
      return [...broker.state.topics.values(), ...broker.state.groups.values()].every(({ name }) =>
        isNeighbour(name),
      )
    },
    REST_MS_MAX,
  )
}

const memory = async (): Promise<{ heapBytes: number; bufferBytes: number }> => {
  for (let round = 0; round < 3; round++) {
    await sleep(50)
    globalThis.gc?.()
  }
  const { heapUsed, external } = process.memoryUsage()
  return { heapBytes: heapUsed, bufferBytes: external }
}

const seriesOf = async (): Promise<string[]> =>
  (await metrics.text())
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.replace(/ \S+$/, ''))
    .sort()

/** What of a neighbour nobody may change. */
const neighbour = () => {
  const { topicId, messages, offsets } = broker.topics.describe('a')
  const { groupId, ...group } = broker.groups.describe('a')
  const progress = group.progress.map(({ oldestUnackedAgeMs: _, ...row }) => row)
  return JSON.stringify({ topicId, messages, offsets, groupId, progress })
}

await broker.topics.create('a', { queues: 2 })
await broker.topics.create('b', { queues: 1, retention: { bytes: 40_000 } })
for (let count = 0; count < 10; count++) await send('a', { body: 'neighbour' })
const held = await broker.receive({ ...request, topic: 'a', group: 'a', invisibleMs: 3_600_000 })
await broker.ack(held.deliveries[0]?.handle as never)
await run(0, WARM_CYCLES)
await rest()
const before = { ...(await memory()), series: await seriesOf(), neighbour: neighbour() }
await run(WARM_CYCLES, cycles)
await rest()
const { clean, residue, awaitingReclaim } = await audit(broker, metrics, RECLAIM_MS)
const after = { ...(await memory()), series: await seriesOf(), neighbour: neighbour() }
const report: CyclesReport = {
  ...{ cycles, sent, clean, residue, awaitingReclaim: awaitingReclaim.length },
  ...{ before, after },
  actors: broker.supervisions.topics.size + broker.supervisions.groups.size,
  timers: [...broker.clock.pending()].map(({ owner }) => owner),
  parked: broker.lot.parked,
}
process.stdout.write(`${JSON.stringify(report)}\n`)
await broker.close()
process.exit()
