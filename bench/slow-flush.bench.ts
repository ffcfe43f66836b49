import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CoreBroker } from '../actors/broker/broker.ts'
import { tierOff } from '../actors/tier/tier-off.ts'
import { brokerDefaults } from '../actors/broker/settings.ts'
import { createBroker, systemClock, systemRandom } from '../index.ts'
import { EmbeddedBroker } from '../protocols/embedded/embedded-broker.ts'
import { LevelPlace } from '../storage/level/level-place.ts'
import type { Database } from '../storage/ports/database.ts'
import type { Place } from '../storage/ports/place.ts'
import { createTopics, fill } from './support/brokers.ts'
import { withDirectory } from './support/places.ts'
import { type Measure, progress, runRow } from './support/row.ts'
import { loadSlowly, slowLoad, type SlowTimes } from './support/slow-load.ts'
import { runWithSlowSync } from './support/slow-sync.ts'
import { quantile } from './support/stats.ts'

/**
 * How long receive and ack take while every flush takes half a second: once delayed in the port,
 * where no thread waits, and once in the threads that sync, where the disk is slow in earnest.
 */
const { topic, group, flushMs, consumers, pauseMs, sendsInFlight } = slowLoad

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
    tiering: tierOff,
    owned: [place],
  })
  return { broker, core }
}

const filled = async (broker: EmbeddedBroker, forMs: number): Promise<void> => {
  await createTopics(broker, [topic])
  const messages = Math.ceil((forMs / pauseMs) * consumers * 32)
  progress(`storing ${messages} messages`)
  await fill(broker, { topics: [topic], messages, bodyBytes: 1_024 })
  await broker.receive({ topic, group })
}

const inPort = async (dataDir: string, forMs: number): Promise<SlowTimes> => {
  const delay = { ms: 0 }
  const { broker } = await openSlow(dataDir, delay)
  await filled(broker, forMs)
  delay.ms = flushMs
  progress('every flush is slow now')
  const times = await loadSlowly(broker, forMs)
  delay.ms = 0
  await broker.close()
  return times
}

const inThread = async (directory: string, forMs: number): Promise<SlowTimes | undefined> => {
  const dataDir = join(directory, 'data')
  const broker = await createBroker({ dataDir })
  await filled(broker, forMs)
  await broker.close()
  progress('every fdatasync is slow now')
  const file = fileURLToPath(new URL('./support/slow-flush-process.js', import.meta.url))
  const output = await runWithSlowSync(directory, flushMs, [file, dataDir, String(forMs)])
  return output === undefined ? undefined : (JSON.parse(output) as SlowTimes)
}

const measuresOf = (where: string, { receives, acks, sends }: SlowTimes): Measure[] => {
  const budget = { atMost: 20 }
  const ms = (name: string, values: readonly number[], q: number) => ({
    name: `${where}: ${name}`,
    value: quantile(values, q),
    unit: 'ms',
  })
  return [
    ms('receive p50', receives, 0.5),
    { ...ms('receive p99', receives, 0.99), budget },
    ms('ack p50', acks, 0.5),
    { ...ms('ack p99', acks, 0.99), budget },
    ms('send p50, which waits for the flush', sends, 0.5),
    { name: `${where}: messages acknowledged`, value: acks.length, unit: '' },
  ]
}

await runRow('slow-flush', ({ quick }) =>
  withDirectory(async (directory) => {
    const forMs = quick ? 10_000 : 60_000
    const ofPort = await inPort(join(directory, 'port'), forMs)
    await mkdir(join(directory, 'thread'))
    const ofThread = await inThread(join(directory, 'thread'), forMs)
    return {
      measures: [
        ...measuresOf('in the port', ofPort),
        ...(ofThread ? measuresOf('in the thread', ofThread) : []),
      ],
      notes: [
        `every CommitLog write is delayed by ${flushMs} ms, in the port or by a library preloaded`,
        `before fsync and fdatasync${ofThread ? '' : ' (no C compiler here, so not measured)'};`,
        `${consumers} consumers take batches of 32 with ${pauseMs} ms between, ${sendsInFlight}`,
        'sends are always waiting',
      ],
    }
  }),
)
