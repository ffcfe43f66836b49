import { createBroker, type EmbeddedBroker } from '../index.ts'
import { ackEach, ackTogether, type Batch, filled, receive } from './support/brokers.ts'
import { withDirectory } from './support/places.ts'
import { progress, runRow } from './support/row.ts'

/** Receives and acknowledges all of a stored backlog after a restart, in batches of 32. */
const CONSUMERS = 8
const BODY_BYTES = 1_024
const TOPIC = 'backlog'

type Ack = (broker: EmbeddedBroker, batch: Batch) => Promise<unknown>

/** Messages per second of a group of its own, from a broker that has just been opened. */
const drain = async (
  dataDir: string,
  { group, messages, ack }: { group: string; messages: number; ack: Ack },
): Promise<number> => {
  const broker = await createBroker({ dataDir })
  progress(`draining as ${group}`)
  let done = 0
  const consumer = async (): Promise<void> => {
    while (done < messages) {
      const batch = await receive(broker, { topic: TOPIC, group })
      await ack(broker, batch)
      done += batch.handles.length
    }
  }
  const startMs = performance.now()
  await Promise.all(Array.from({ length: CONSUMERS }, consumer))
  const ms = performance.now() - startMs
  await broker.close()
  return (messages * 1_000) / ms
}

await runRow('receive-ack', ({ quick, messages = quick ? 1_000_000 : 10_000_000 }) =>
  withDirectory(async (dataDir) => {
    progress(`storing ${messages} messages`)
    await filled(dataDir, { topics: [TOPIC], messages, bodyBytes: BODY_BYTES })
    const together = { group: 'together', ack: ackTogether }
    const each = { group: 'each', ack: ackEach }
    // What comes first pays for the compiler.
    for (const { group, ack } of [together, each])
      await drain(dataDir, { group: `${group}-warming-up`, messages: messages / 10, ack })
    const rateTogether = await drain(dataDir, { ...together, messages })
    const rateEach = await drain(dataDir, { ...each, messages })
    return {
      measures: [
        { name: 'messages stored', value: messages, unit: '' },
        {
          name: 'receive + ack, 1 ack call per batch',
          value: rateTogether,
          unit: 'msg/s',
          budget: { atLeast: 150_000 },
        },
        {
          name: 'receive + ack, 32 ack calls per batch',
          value: rateEach,
          unit: 'msg/s',
          budget: { atLeast: 100_000 },
        },
      ],
      notes: [
        `${CONSUMERS} consumers on 8 queues; nothing in the caches of the process, but the`,
        "operating system's page cache may hold the files",
      ],
    }
  }),
)
