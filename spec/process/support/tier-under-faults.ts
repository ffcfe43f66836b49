import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { createBroker, type EmbeddedBroker, isBrokerError } from '../../../index.ts'
import type { S3ObjectStore } from '../../../storage/s3/s3-object-store.ts'
import { seededRandom } from '../../support/random.ts'
import { faultNames, type FaultDraw, type S3Faults } from '../../support/s3-faults.ts'
import { S3_BUCKET } from '../../support/s3-server.ts'
import { s3StoreOn } from '../../support/s3-store.ts'
import { eventually, sleep } from '../../support/waiting.ts'

/** `npm run tier-faults` for the long run: 100,000 messages. */
const MESSAGES = Number(process.env['TIER_MESSAGES'] ?? 4_000)
const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9))
const FAULTS = 0.3
const TOPICS = ['orders', 'prices', 'trades']
const IN_FLIGHT = 64
const COMES_TO_REST_MS = 60_000
const faultsMsMax = COMES_TO_REST_MS + 10 * MESSAGES
/** A request that is never answered costs this much of the run. */
const TIMEOUT_MS = 1_000
const OUTAGE_MS = 2_000

/** An S3 server, maybe behind a proxy, whose requests meet faults. */
export interface FaultyServer {
  readonly endpoint: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  readonly faults: S3Faults
  readonly requests: number
  /** Ends it alone, in the middle of the run; without it there is no outage. */
  stop?(): Promise<void>
  start?(): Promise<void>
  close(): Promise<void>
}

/** A whole run of a broker on it: nothing is lost, no buffer stays, no orphan is left. */
export const runUnderFaults = async (
  openServer: (draw: FaultDraw) => Promise<FaultyServer>,
): Promise<void> => {
  const draw = { random: seededRandom(SEED), rate: FAULTS, among: faultNames }
  const server = await openServer(draw)
  const { endpoint, credentials, faults } = server
  const dataDir = await mkdtemp(join(tmpdir(), 'glasspost-tier-'))
  const broker = await createBroker({
    dataDir,
    tier: {
      s3: {
        ...{ bucket: S3_BUCKET, endpoint, region: 'us-east-1' },
        ...{ credentials, forcePathStyle: true, attemptsMax: 2, timeoutMs: TIMEOUT_MS },
      },
    },
    settings: {
      tier: {
        ...{ segmentBytes: 64 << 10, holdMs: 200, tickMs: 50, bufferBytes: 1 << 20 },
        ...{ cacheBytes: 1 << 20, readAheadBytes: 256 << 10, graceMs: 500, janitorEveryMs: 500 },
        backoff: { msBase: 20, msMax: 200 },
      },
      local: { ageMs: 1 },
      upkeepRestMs: 50,
    },
  })
  const store = s3StoreOn(server, { credentials })
  try {
    for (const topic of TOPICS) await broker.topics.create(topic, { queues: 2 })
    const sent = new Set<string>()
    await sendAll(broker, sent, MESSAGES >> 1)
    if (server.stop !== undefined) {
      await server.stop()
      await sendAll(broker, sent, MESSAGES)
      await sleep(OUTAGE_MS)
      assert.not(hasMoved(broker), 'what the outage holds up is told')
      await server.start?.()
    }
    await sendAll(broker, sent, MESSAGES)
    await eventually('all of it has left the log', () => hasMoved(broker), faultsMsMax)
    const received = await receiveAll(broker, sent)
    assert.equal(
      [...sent].filter((text) => !received.has(text)),
      [],
      'nothing is lost',
    )
    const struck = Object.fromEntries(faults.struck)
    const highWater = broker.tiering.status()?.buffers.highWaterBytes
    faults.draw = undefined
    const read = await receiveAll(broker, sent, 'later')
    assert.is(read.size, sent.size, 'all of it is read again')
    const { buffers, bytes, waiters } = broker.tiering.status()?.buffers ?? {}
    assert.equal({ buffers, bytes, waiters }, { buffers: 0, bytes: 0, waiters: 0 })
    const isClean = async () => (await broker.tiering.residue()).length === 0
    await eventually('the janitor has removed all orphans', isClean, COMES_TO_REST_MS)
    for await (const { problem } of broker.tiering.verify()) assert.is(problem, undefined)
    console.log(
      `${sent.size} messages, ${server.requests} requests, faults ${JSON.stringify(struck)}, ` +
        `buffers never above ${Math.round((highWater ?? 0) / 1_024)} KiB, seed ${SEED}`,
    )
    assert.ok(Object.keys(struck).length > faultNames.length / 2, 'most faults have struck')
    for (const topic of TOPICS) await broker.topics.end(topic)
    const left = () => keysIn(store)
    const isEmpty = async () => (await left()).length === 0
    await eventually('nothing is left of ended topics', isEmpty, COMES_TO_REST_MS).catch(() => {})
    assert.equal(await left(), [], 'nothing is left of ended topics')
    assert.equal((await broker.audit()).residue, [])
  } finally {
    await broker.close()
    await store.close()
    await server.close()
    await rm(dataDir, { recursive: true })
  }
}

const keysIn = async (store: S3ObjectStore): Promise<string[]> => {
  const keys: string[] = []
  for await (const { key } of store.list('')) keys.push(key)
  return keys
}

/** Sends until so many are sent. */
const sendAll = async (broker: EmbeddedBroker, sent: Set<string>, to: number): Promise<void> => {
  let next = sent.size
  const send = async (): Promise<void> => {
    while (next < to) {
      const number = next++
      const text = `${number}`
      const body = text.padEnd(1_024, '.')
      await broker.send(TOPICS[number % TOPICS.length] as string, { body })
      sent.add(text)
      if (number % 1_000 === 0) await sleep(50)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, send))
}

/** Every message, whatever the tier says meanwhile: it says so, and the group asks again. */
const receiveAll = async (
  broker: EmbeddedBroker,
  sent: ReadonlySet<string>,
  group = 'at-once',
): Promise<Set<string>> => {
  const received = new Set<string>()
  const endsMs = performance.now() + faultsMsMax
  while (received.size < sent.size && performance.now() < endsMs)
    for (const topic of TOPICS)
      try {
        const batch = await broker.receive({ topic, group, batchMax: 32, waitMs: 0 })
        for (const message of batch) {
          received.add(message.text.replaceAll('.', ''))
          await message.ack()
        }
      } catch (error) {
        if (!isBrokerError(error, 'TIER_UNAVAILABLE', 'TIER_DENIED')) throw error
      }
  return received
}

const hasMoved = (broker: EmbeddedBroker): boolean => {
  const topics = broker.tiering.status()?.topics ?? []
  return topics.every(({ queues }) =>
    queues.every(({ behind, localMin, offsetMax }) => behind === 0 && localMin === offsetMax),
  )
}
