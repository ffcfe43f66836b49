import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { createBroker, type EmbeddedBroker } from '../index.ts'
import { randomSlices, withDirectory } from './support/places.ts'
import { type Measure, progress, runRow } from './support/row.ts'
import { inFlight, median, rateOf } from './support/stats.ts'

/**
 * One message of 1 KiB per call, 256 in flight, beside the store alone with the same bytes
 * outstanding: a synced LevelDB batch of 256 KiB in three shapes, and a plain file.
 */
const IN_FLIGHT = 256
const MESSAGE_BYTES = 1_024
const BATCH_BYTES = IN_FLIGHT * MESSAGE_BYTES
const TOPICS_MANY = 1_000
const shapes = [1, 2, 4]

/** Sends, or lets the peer write, so many messages; yields messages per second. */
type Contender = (messages: number) => Promise<number>

/** As `storage/level/level-place` opens the CommitLog. */
const openLevel = async (location: string): Promise<Level<Uint8Array, Uint8Array>> => {
  const level = new Level<Uint8Array, Uint8Array>(location, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    compression: false,
    writeBufferSize: 32 << 20,
    cacheSize: 16 << 20,
  })
  await level.open()
  return level
}

const rawLevel = (level: Level<Uint8Array, Uint8Array>, chunksPerBatch: number): Contender => {
  const chunkBytes = BATCH_BYTES / chunksPerBatch
  const chunk = randomSlices(chunkBytes)
  let written = 0
  const writeBatch = async (): Promise<void> => {
    const batch = level.batch()
    for (let index = 0; index < chunksPerBatch; index++) {
      const key = Buffer.allocUnsafe(8)
      key.writeBigUInt64BE(BigInt(written * chunkBytes))
      batch.put(key, chunk(written++))
    }
    await batch.write({ sync: true })
  }
  return (messages) => rateOf(messages, () => inFlight(messages / IN_FLIGHT, 1, writeBatch))
}

const rawFile = (file: Awaited<ReturnType<typeof open>>): Contender => {
  const chunk = randomSlices(BATCH_BYTES)
  const writeBatch = async (index: number): Promise<void> => {
    await file.write(chunk(index))
    await file.datasync()
  }
  return (messages) => rateOf(messages, () => inFlight(messages / IN_FLIGHT, 1, writeBatch))
}

const sender = (broker: EmbeddedBroker, topics: readonly string[]): Contender => {
  const body = randomSlices(MESSAGE_BYTES)
  const send = (index: number) =>
    broker.send(topics[index % topics.length] as string, { body: body(index) })
  return (messages) => rateOf(messages, () => inFlight(messages, IN_FLIGHT, send))
}

const topicNames = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `topic-${index}`)

const createTopics = (broker: EmbeddedBroker, topics: readonly string[]): Promise<void> =>
  inFlight(topics.length, 64, (index) => broker.topics.create(topics[index] as string))

/** Every contender in turn, `rounds` times; the first round only warms up. */
const compete = async (
  contenders: Readonly<Record<string, Contender>>,
  { rounds, messages }: { rounds: number; messages: number },
): Promise<Record<string, number>> => {
  const rates: Record<string, number[]> = {}
  for (let round = 0; round <= rounds; round++)
    for (const [name, run] of Object.entries(contenders)) {
      const rate = await run(messages)
      if (round > 0) (rates[name] ??= []).push(rate)
    }
  for (const [name, all] of Object.entries(rates))
    progress(`${name}: ${all.map((rate) => `${Math.round(rate / 1_000)} k`).join(' ')}`)
  return Object.fromEntries(Object.entries(rates).map(([name, all]) => [name, median(all)]))
}

const versus = (
  label: string,
  topics: readonly string[],
  options: { rounds: number; messages: number },
): Promise<Measure[]> =>
  withDirectory(async (directory) => {
    const broker = await createBroker({ dataDir: join(directory, 'glasspost') })
    await createTopics(broker, topics)
    const levels = await Promise.all(
      shapes.map((chunks) => openLevel(join(directory, `level-${chunks}`))),
    )
    const file = await open(join(directory, 'file'), 'a')
    const peers = shapes.map((chunks, index) => [
      `LevelDB ${chunks} × ${BATCH_BYTES / chunks / 1_024} KiB`,
      rawLevel(levels[index] as Level<Uint8Array, Uint8Array>, chunks),
    ])
    const rates = await compete(
      {
        glasspost: sender(broker, topics),
        ...(Object.fromEntries(peers) as Record<string, Contender>),
        file: rawFile(file),
      },
      options,
    )
    await Promise.all([broker.close(), file.close(), ...levels.map((level) => level.close())])
    const { glasspost = 0, file: fileRate = 0, ...ofLevel } = rates
    const best = Math.max(...Object.values(ofLevel))
    return [
      { name: `${label}: sends`, value: glasspost, unit: 'msg/s' },
      ...Object.entries(ofLevel).map(([name, value]) => ({
        name: `${label}: raw ${name}, synced`,
        value,
        unit: 'msg/s',
      })),
      { name: `${label}: raw file append + fdatasync`, value: fileRate, unit: 'msg/s' },
      {
        name: `${label}: share of the best raw LevelDB`,
        value: (100 * glasspost) / best,
        unit: '%',
        budget: { atLeast: 60 },
      },
    ]
  })

const eventsPerMessage = (messages: number): Promise<Measure> =>
  withDirectory(async (dataDir) => {
    let events = 0
    const inspect = {
      next: ({ type }: { type: string }) => {
        if (type === '@xstate.event') events++
      },
    }
    const broker = await createBroker({ dataDir, inspect })
    const topics = topicNames(1)
    await createTopics(broker, topics)
    const before = events
    await sender(broker, topics)(messages)
    const value = (events - before) / messages
    await broker.close()
    return { name: 'XState events per message', value, unit: '', budget: { atMost: 0.05 } }
  })

await runRow('send', async ({ quick, messages }) => {
  const options = quick ? { rounds: 5, messages: 51_200 } : { rounds: 9, messages: 204_800 }
  if (messages !== undefined) options.messages = Math.ceil(messages / IN_FLIGHT) * IN_FLIGHT
  return {
    measures: [
      ...(await versus('1 topic', topicNames(1), options)),
      ...(await versus(`${TOPICS_MANY} topics`, topicNames(TOPICS_MANY), options)),
      await eventsPerMessage(options.messages),
    ],
    notes: ['medians of interleaved rounds; bodies are random bytes; 8 queues per topic'],
  }
})
