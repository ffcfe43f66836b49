import { CoreBroker } from '../actors/broker/broker.ts'
import { brokerDefaults } from '../actors/broker/settings.ts'
import { systemClock, systemRandom } from '../index.ts'
import { EmbeddedBroker } from '../protocols/embedded/embedded-broker.ts'
import { LevelPlace } from '../storage/level/level-place.ts'
import type { Database } from '../storage/ports/database.ts'
import type { Place } from '../storage/ports/place.ts'
import { createTopics, fill } from './support/brokers.ts'
import { withDirectory } from './support/places.ts'
import { progress, runRow } from './support/row.ts'
import { quantile } from './support/stats.ts'

/** How long receive and ack take while every flush of the CommitLog takes half a second. */
const FLUSH_MS = 500
const CONSUMERS = 4
const PAUSE_MS = 20
const SENDS_IN_FLIGHT = 64
const TOPIC = 'slow'

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Delays synced writes of the CommitLog by `delay.ms`. */
const delayed = (place: Place, delay: { ms: number }): Place => ({
  name: place.name,
  secret: place.secret,
  ballast: place.ballast,
  diskUsage: () => place.diskUsage(),
  close: () => place.close(),
  openDatabase: async (name) => {
    const database = await place.openDatabase(name)
    return name === 'commit-log' ? slow(database, delay) : database
  },
})

const slow = (database: Database, delay: { ms: number }): Database => ({
  write: async (operations, options) => {
    if (delay.ms > 0) await sleep(delay.ms)
    return database.write(operations, options)
  },
  get: (key) => database.get(key),
  getMany: (keys) => database.getMany(keys),
  entries: (range) => database.entries(range),
  keys: (range) => database.keys(range),
  clear: (range) => database.clear(range),
  snapshot: () => database.snapshot(),
  get snapshots() {
    return database.snapshots
  },
  close: () => database.close(),
})

const openSlow = async (
  dataDir: string,
  delay: { ms: number },
): Promise<{ broker: EmbeddedBroker; core: CoreBroker }> => {
  const logger = { info: () => {}, warn: () => {}, error: () => {} }
  const place = delayed(await LevelPlace.open({ dataDir, random: systemRandom }), delay)
  const core = await CoreBroker.open({ clock: systemClock, logger, place }, brokerDefaults)
  const unused = () => Promise.reject(new Error('not part of this row'))
  const broker = new EmbeddedBroker({
    broker: core,
    clock: systemClock,
    random: systemRandom,
    logger,
    host: 'bench',
    audit: unused,
    metrics: unused,
    backup: unused,
    owned: [place],
  })
  return { broker, core }
}

interface Times {
  readonly receives: number[]
  readonly acks: number[]
  readonly sends: number[]
}

const timed = async <T>(into: number[], work: () => Promise<T>): Promise<T> => {
  const startMs = performance.now()
  const result = await work()
  into.push(performance.now() - startMs)
  return result
}

const loaded = async (broker: EmbeddedBroker, forMs: number): Promise<Times> => {
  const times: Times = { receives: [], acks: [], sends: [] }
  const untilMs = performance.now() + forMs
  const consumer = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      const messages = await timed(times.receives, () =>
        broker.receive({ topic: TOPIC, group: 'readers' }),
      )
      await Promise.all(messages.map((message) => timed(times.acks, () => message.ack())))
      await sleep(PAUSE_MS)
    }
  }
  const producer = async (): Promise<void> => {
    while (performance.now() < untilMs)
      await timed(times.sends, () => broker.send(TOPIC, { body: 'x'.repeat(1_024) }))
  }
  await Promise.all([
    ...Array.from({ length: CONSUMERS }, consumer),
    ...Array.from({ length: SENDS_IN_FLIGHT }, producer),
  ])
  return times
}

await runRow('slow-flush', ({ quick }) =>
  withDirectory(async (dataDir) => {
    const forMs = quick ? 10_000 : 60_000
    const delay = { ms: 0 }
    const { broker } = await openSlow(dataDir, delay)
    await createTopics(broker, [TOPIC])
    const messages = Math.ceil((forMs / PAUSE_MS) * CONSUMERS * 32)
    progress(`storing ${messages} messages`)
    await fill(broker, { topics: [TOPIC], messages, bodyBytes: 1_024 })
    await broker.receive({ topic: TOPIC, group: 'readers' })
    delay.ms = FLUSH_MS
    progress('every flush is slow now')
    const times = await loaded(broker, forMs)
    delay.ms = 0
    await broker.close()
    const budget = { atMost: 20 }
    return {
      measures: [
        { name: 'receive p50', value: quantile(times.receives, 0.5), unit: 'ms' },
        { name: 'receive p99', value: quantile(times.receives, 0.99), unit: 'ms', budget },
        { name: 'ack p50', value: quantile(times.acks, 0.5), unit: 'ms' },
        { name: 'ack p99', value: quantile(times.acks, 0.99), unit: 'ms', budget },
        {
          name: 'send p50, which waits for the flush',
          value: quantile(times.sends, 0.5),
          unit: 'ms',
        },
        { name: 'messages acknowledged', value: times.acks.length, unit: '' },
      ],
      notes: [
        `every CommitLog write is delayed by ${FLUSH_MS} ms in the port; ${CONSUMERS} consumers take`,
        `batches of 32 with ${PAUSE_MS} ms between, ${SENDS_IN_FLIGHT} sends are always waiting`,
      ],
    }
  }),
)
