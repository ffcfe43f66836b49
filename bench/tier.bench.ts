import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { createBroker, type EmbeddedBroker } from '../index.ts'
import { memoryUse } from './support/memory.ts'
import { randomSlices, withDirectory } from './support/places.ts'
import { type Measure, progress, runRow } from './support/row.ts'
import type { S3Process } from './support/s3-process.ts'
import { inFlight, median, rateOf } from './support/stats.ts'

/**
 * Messages of 1 KiB go into a bucket and come back, beside the S3 client alone with the same bytes
 * in objects of the same size; the bucket is a process of its own on this machine.
 */
const MESSAGE_BYTES = 1_024
const SEGMENT_BYTES = 48 << 20
const MIB = 1 << 20
const UPLOADS = 2
const SENDS = 256
const TOPIC = 'history'

const startBucket = async () => {
  const child = fork(fileURLToPath(new URL('./support/s3-process.js', import.meta.url)), [], {
    execArgv: [],
  })
  const [bucket] = (await once(child, 'message')) as [S3Process]
  return { bucket, stop: () => child.disconnect() }
}

const openClient = ({ endpoint, credentials }: S3Process): S3Client =>
  new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true })

/** MiB per second of the client alone, up and down again. */
const rawClient = async (bucket: S3Process, bytes: number): Promise<Record<string, number>> => {
  const client = openClient(bucket)
  const body = randomSlices(MIB)
  const content = Buffer.concat(Array.from({ length: SEGMENT_BYTES / MIB }, (_, at) => body(at)))
  const objects = Math.ceil(bytes / SEGMENT_BYTES)
  const mib = (objects * SEGMENT_BYTES) / MIB
  const named = (index: number) => ({ Bucket: bucket.bucket, Key: `raw-${index}` })
  const up = await rateOf(mib, () =>
    inFlight(objects, UPLOADS, (index) =>
      client.send(new PutObjectCommand({ ...named(index), Body: content })),
    ),
  )
  const down = await rateOf(mib, () =>
    inFlight(objects, UPLOADS, async (index) => {
      const { Body } = await client.send(new GetObjectCommand(named(index)))
      await Body?.transformToByteArray()
    }),
  )
  client.destroy()
  return { up, down }
}

const tierOf = ({ endpoint, bucket, credentials }: S3Process) => ({
  s3: { endpoint, bucket, credentials, forcePathStyle: true, region: 'us-east-1' },
})

const sender = (broker: EmbeddedBroker) => {
  const body = randomSlices(MESSAGE_BYTES)
  return (messages: number): Promise<number> =>
    rateOf(messages, () =>
      inFlight(messages, SENDS, (index) => broker.send(TOPIC, { body: body(index) })),
    )
}

/** The most that the process held while the work went on, over what it held before, in MiB. */
const highWater = async (work: () => Promise<unknown>) => {
  const before = await memoryUse()
  let resident = before.rssBytes
  let owned = before.heapBytes
  const timer = setInterval(() => {
    const { rss, heapUsed, arrayBuffers } = process.memoryUsage()
    resident = Math.max(resident, rss)
    owned = Math.max(owned, heapUsed + arrayBuffers)
  }, 20)
  await work()
  clearInterval(timer)
  return {
    resident: (resident - before.rssBytes) / MIB,
    owned: (owned - before.heapBytes) / MIB,
  }
}

const offload = async (broker: EmbeddedBroker): Promise<void> => {
  for await (const { problem } of broker.tiering.offload(TOPIC))
    if (problem !== undefined) throw new Error(problem)
}

const localMessages = (broker: EmbeddedBroker): number => {
  const [topic] = broker.tiering.status(TOPIC)?.topics ?? []
  return (topic?.queues ?? []).reduce((sum, queue) => sum + queue.offsetMax - queue.localMin, 0)
}

const waitUntil = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 100))
}

const readBack = async (broker: EmbeddedBroker, messages: number): Promise<void> => {
  let left = messages
  const consume = async (): Promise<void> => {
    while (left > 0) {
      const batch = await broker.receive({
        topic: TOPIC,
        group: 'readers',
        batchMax: 32,
        waitMs: 0,
      })
      left -= batch.length
      for (const message of batch) void message.ack()
    }
  }
  await Promise.all(Array.from({ length: 8 }, consume))
}

const thereAndBack = (bucket: S3Process, messages: number): Promise<Measure[]> =>
  withDirectory(async (directory) => {
    const bytes = messages * MESSAGE_BYTES
    const broker = await createBroker({
      dataDir: join(directory, 'glasspost'),
      tier: tierOf(bucket),
      // Nothing goes by itself while it is sent, and all of it leaves the log when it is offloaded.
      settings: {
        tier: {
          segmentBytes: SEGMENT_BYTES,
          uploadsMax: UPLOADS,
          holdMs: 3_600_000,
          tickMs: 3_600_000,
        },
        local: { ageMs: 1 },
        upkeepRestMs: 200,
      },
    })
    await broker.topics.create(TOPIC, { queues: 4 })
    await sender(broker)(messages)
    progress(`sent ${Math.round(bytes / MIB)} MiB`)
    let up = 0
    const held = await highWater(async () => {
      up = await rateOf(bytes / MIB, () => offload(broker))
    })
    const traffic = broker.tiering.status(TOPIC)?.topics[0]?.traffic
    progress(`offloaded with ${traffic?.requests.put} puts`)
    await waitUntil(() => localMessages(broker) === 0)
    const down = await rateOf(bytes / MIB, () => readBack(broker, messages))
    const buffers = broker.tiering.status()?.buffers
    await broker.close()
    const raw = await rawClient(bucket, bytes)
    const putsPerGib = ((traffic?.requests.put ?? 0) * 1_024 * MIB) / bytes
    return [
      { name: 'offload', value: up, unit: 'MiB/s' },
      { name: 'the S3 client alone, up', value: raw['up'] ?? 0, unit: 'MiB/s' },
      {
        name: 'offload: share of the client alone',
        value: (100 * up) / (raw['up'] ?? 1),
        unit: '%',
      },
      {
        name: 'PUTs per GiB, manifests included',
        value: putsPerGib,
        unit: '',
        budget: { atMost: 64 },
      },
      { name: 'heap and buffers over before, at most', value: held.owned, unit: 'MiB' },
      { name: 'resident memory over before, at most', value: held.resident, unit: 'MiB' },
      { name: 'buffers: high water', value: (buffers?.highWaterBytes ?? 0) / MIB, unit: 'MiB' },
      {
        name: 'buffers in use afterwards',
        value: buffers?.buffers ?? 0,
        unit: '',
        budget: { atMost: 0 },
      },
      { name: 'receive + ack of all of it from the bucket', value: down, unit: 'MiB/s' },
      { name: 'the S3 client alone, down', value: raw['down'] ?? 0, unit: 'MiB/s' },
      {
        name: 'read back: share of the client alone',
        value: (100 * down) / (raw['down'] ?? 1),
        unit: '%',
      },
    ]
  })

/** Sends with the tier following behind, beside sends without one, in turns. */
const sendsBeside = (bucket: S3Process, options: { rounds: number; messages: number }) =>
  withDirectory(async (directory) => {
    const open = (name: string, tier: ReturnType<typeof tierOf> | 'off') =>
      createBroker({ dataDir: join(directory, name), tier, settings: { tier: { tickMs: 100 } } })
    const rates: Record<'on' | 'off', number[]> = { on: [], off: [] }
    for (let round = 0; round <= options.rounds; round++)
      for (const which of ['off', 'on'] as const) {
        const broker = await open(`${which}-${round}`, which === 'on' ? tierOf(bucket) : 'off')
        await broker.topics.create(TOPIC)
        const rate = await sender(broker)(options.messages)
        if (round > 0) rates[which].push(rate)
        await broker.close()
      }
    const on = median(rates.on)
    const off = median(rates.off)
    return [
      { name: 'sends with the tier on, offloading', value: on, unit: 'msg/s' },
      { name: 'sends with the tier off', value: off, unit: 'msg/s' },
      { name: 'sends: on over off', value: (100 * on) / off, unit: '%' },
    ] satisfies Measure[]
  })

await runRow('tier', async ({ quick, messages = quick ? 256 << 10 : 2 << 20 }) => {
  const { bucket, stop } = await startBucket()
  try {
    const there = await thereAndBack(bucket, messages)
    const sends = await sendsBeside(bucket, {
      rounds: quick ? 2 : 5,
      messages: quick ? 102_400 : 409_600,
    })
    return {
      measures: [...there, ...sends],
      notes: ['the bucket shares the two cores with the broker; 4 queues, bodies of random bytes'],
    }
  } finally {
    stop()
  }
})
