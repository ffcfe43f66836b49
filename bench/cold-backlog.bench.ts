import { createBroker, type EmbeddedBroker } from '../index.ts'
import { ackEach, filled, receive, topicNames } from './support/brokers.ts'
import { withDirectory } from './support/places.ts'
import { type Measure, progress, runRow } from './support/row.ts'

/**
 * A backlog whose neighbours in the log all belong to other topics, drained after a restart by
 * consumers that each serve a share of the topics.
 */
const TOPICS = 1_000
const CONSUMERS = 8
const BODY_BYTES = 1_024

type Order = 'batch by batch' | 'topic by topic'

/** Steps through all topics in an order in which neighbours do not share chunks of the log. */
const STRIDE = 617

/** Visits topics in turn, one batch each, or each until it is empty. */
const drain = async (
  broker: EmbeddedBroker,
  topics: readonly string[],
  options: { group: string; order: Order },
): Promise<number> => {
  let next = 0
  let done = 0
  const visit = async (topic: string): Promise<number> => {
    const batch = await receive(broker, { topic, group: options.group })
    await ackEach(broker, batch)
    done += batch.handles.length
    return batch.handles.length
  }
  const left = new Set(topics)
  const inTurn = async (): Promise<void> => {
    while (left.size > 0) {
      const topic = topics[next++ % topics.length] as string
      if (left.has(topic) && (await visit(topic)) === 0) left.delete(topic)
    }
  }
  const oneByOne = async (): Promise<void> => {
    while (next < topics.length) {
      const topic = topics[(next++ * STRIDE) % topics.length] as string
      while ((await visit(topic)) > 0);
    }
  }
  const consumer = options.order === 'batch by batch' ? inTurn : oneByOne
  const startMs = performance.now()
  await Promise.all(Array.from({ length: CONSUMERS }, consumer))
  return (done * 1_000) / (performance.now() - startMs)
}

const coldBacklog = (messages: number, queues: number): Promise<Measure[]> =>
  withDirectory(async (dataDir) => {
    const topics = topicNames(TOPICS)
    const measures: Measure[] = []
    await filled(dataDir, { topics, messages, bodyBytes: BODY_BYTES, queues })
    for (const order of ['batch by batch', 'topic by topic'] as const) {
      progress(`draining ${queues} queues per topic, ${order}`)
      const broker = await createBroker({ dataDir })
      const value = await drain(broker, topics, { group: order.replaceAll(' ', '-'), order })
      await broker.close()
      const name = `${queues} queue${queues > 1 ? 's' : ''} per topic, ${order}`
      measures.push({ name, value, unit: 'msg/s', budget: { atLeast: 50_000 } })
    }
    return measures
  })

await runRow('cold-backlog', async ({ quick, messages = quick ? 250_000 : 1_000_000 }) => ({
  measures: [
    { name: 'messages stored', value: messages, unit: '' },
    ...(await coldBacklog(messages, 1)),
    ...(await coldBacklog(messages, 8)),
  ],
  notes: [`${TOPICS} topics, ${CONSUMERS} consumers, one ack call per message`],
}))
