import { join } from 'node:path'
import { createBroker, type EmbeddedBroker } from '../index.ts'
import { createTopics, fill } from './support/brokers.ts'
import { withDirectory } from './support/places.ts'
import { progress, runRow } from './support/row.ts'
import { median, quantile } from './support/stats.ts'

/**
 * What it is worth that receive and ack do not wait for the disk: the same broker with `ackFlush:
 * sync`, round by round in one process.
 */
const CONSUMERS = 16
const BATCH = 4
const TOPIC = 'flushed'

interface Round {
  readonly rate: number
  readonly receives: number[]
  readonly acks: number[]
}

const timed = async <T>(into: number[], work: Promise<T>): Promise<T> => {
  const startMs = performance.now()
  const result = await work
  into.push(performance.now() - startMs)
  return result
}

const oneRound = async (broker: EmbeddedBroker, messagesOfRound: number): Promise<Round> => {
  const receives: number[] = []
  const acks: number[] = []
  let done = 0
  const startMs = performance.now()
  const consumer = async (): Promise<void> => {
    while (done < messagesOfRound) {
      const messages = await timed(
        receives,
        broker.receive({ topic: TOPIC, group: 'readers', batchMax: BATCH }),
      )
      if (messages.length === 0) throw new Error('a receive found nothing')
      await Promise.all(messages.map((message) => timed(acks, message.ack())))
      done += messages.length
    }
  }
  await Promise.all(Array.from({ length: CONSUMERS }, consumer))
  return { rate: (done * 1_000) / (performance.now() - startMs), receives, acks }
}

await runRow('ack-flush', ({ quick, messages = quick ? 12_000 : 40_000 }) =>
  withDirectory(async (directory) => {
    const rounds = quick ? 5 : 9
    const kinds = ['async', 'sync'] as const
    const brokers = await Promise.all(
      kinds.map((ackFlush) =>
        createBroker({ dataDir: join(directory, ackFlush), settings: { ackFlush } }),
      ),
    )
    const results = new Map(kinds.map((kind) => [kind, [] as Round[]]))
    for (const [index, broker] of brokers.entries()) {
      const stored = (rounds + 2) * messages
      progress(`storing ${stored} messages for ${kinds[index]}`)
      await createTopics(broker, [TOPIC])
      await fill(broker, { topics: [TOPIC], messages: stored, bodyBytes: 1_024 })
    }
    for (let round = 0; round <= rounds; round++)
      for (const [index, broker] of brokers.entries()) {
        const measured = await oneRound(broker, messages)
        if (round > 0) results.get(kinds[index] ?? 'async')?.push(measured)
      }
    for (const broker of brokers) await broker.close()
    const rateOf = (kind: (typeof kinds)[number]) =>
      median((results.get(kind) ?? []).map(({ rate }) => rate))
    const p99Of = (kind: (typeof kinds)[number], what: 'receives' | 'acks') =>
      quantile(
        (results.get(kind) ?? []).flatMap((round) => round[what]),
        0.99,
      )
    return {
      measures: [
        ...kinds.flatMap((kind) => [
          { name: `${kind}: receive + ack`, value: rateOf(kind), unit: 'msg/s' },
          { name: `${kind}: receive p99`, value: p99Of(kind, 'receives'), unit: 'ms' },
          { name: `${kind}: ack p99`, value: p99Of(kind, 'acks'), unit: 'ms' },
        ]),
        { name: 'async over sync', value: rateOf('async') / rateOf('sync'), unit: '×' },
      ],
      notes: [
        `${CONSUMERS} consumers take batches of ${BATCH} and acknowledge each message by a call;`,
        `medians of interleaved rounds of ${messages} messages, nobody sends meanwhile`,
      ],
    }
  }),
)
