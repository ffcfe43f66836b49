import { createBroker, type EmbeddedBroker } from '../index.ts'
import { ackEach, filled, receive } from './support/brokers.ts'
import { withDirectory } from './support/places.ts'
import { progress, runRow } from './support/row.ts'

/** Receives and acknowledges all of a stored backlog after a restart, in batches of 32. */
const CONSUMERS = 8
const BODY_BYTES = 1_024
const TOPIC = 'backlog'

const drain = async (broker: EmbeddedBroker, messages: number): Promise<number> => {
  let done = 0
  const consumer = async (): Promise<void> => {
    while (done < messages) {
      const batch = await receive(broker, { topic: TOPIC, group: 'readers' })
      await ackEach(broker, batch)
      done += batch.handles.length
    }
  }
  const startMs = performance.now()
  await Promise.all(Array.from({ length: CONSUMERS }, consumer))
  return performance.now() - startMs
}

await runRow('receive-ack', ({ quick, messages = quick ? 1_000_000 : 10_000_000 }) =>
  withDirectory(async (dataDir) => {
    progress(`storing ${messages} messages`)
    await filled(dataDir, { topics: [TOPIC], messages, bodyBytes: BODY_BYTES })
    const broker = await createBroker({ dataDir })
    progress('draining')
    const ms = await drain(broker, messages)
    await broker.close()
    return {
      measures: [
        { name: 'messages stored', value: messages, unit: '' },
        {
          name: 'receive + ack, 32 ack calls per batch',
          value: (messages * 1_000) / ms,
          unit: 'msg/s',
          budget: { atLeast: 100_000 },
        },
      ],
      notes: [
        `${CONSUMERS} consumers on 8 queues; nothing in the caches of the process, but the`,
        "operating system's page cache may hold the files; acknowledging a batch in one call is",
        'not built, so its budget of 150 k msg/s has no number',
      ],
    }
  }),
)
