import { createBroker, type EmbeddedBroker, type ReceiptHandle } from '../../index.ts'
import { randomSlices } from './places.ts'
import { inFlight } from './stats.ts'

const CREATIONS_IN_FLIGHT = 64
const SENDS_IN_FLIGHT = 1_024

export const topicNames = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `topic-${index}`)

export const createTopics = (
  broker: EmbeddedBroker,
  topics: readonly string[],
  queues = 8,
): Promise<void> =>
  inFlight(topics.length, CREATIONS_IN_FLIGHT, (index) =>
    broker.topics.create(topics[index] as string, { queues }),
  )

/** Sends so many messages to topics in turn. */
export const fill = (
  broker: EmbeddedBroker,
  {
    topics,
    messages,
    bodyBytes,
  }: { topics: readonly string[]; messages: number; bodyBytes: number },
): Promise<void> => {
  const body = randomSlices(bodyBytes)
  return inFlight(messages, SENDS_IN_FLIGHT, (index) =>
    broker.send(topics[index % topics.length] as string, { body: body(index) }),
  )
}

/** Fills a directory and closes it again, so that what follows begins with a restart. */
export const filled = async (
  dataDir: string,
  options: { topics: readonly string[]; messages: number; bodyBytes: number; queues?: number },
): Promise<void> => {
  const broker = await createBroker({ dataDir })
  await createTopics(broker, options.topics, options.queues)
  await fill(broker, options)
  await broker.close()
}

export interface Batch {
  readonly handles: readonly ReceiptHandle[]
}

/** Receives up to 32; an empty batch when there is nothing. */
export const receive = async (
  broker: EmbeddedBroker,
  { topic, group, batchMax = 32 }: { topic: string; group: string; batchMax?: number },
): Promise<Batch> => {
  const messages = await broker.receive({ topic, group, batchMax, invisibleMs: 3_600_000 })
  return { handles: messages.map(({ handle }) => handle) }
}

/** One call for each, all at once. */
export const ackEach = (broker: EmbeddedBroker, { handles }: Batch): Promise<unknown> =>
  Promise.all(handles.map((handle) => broker.ack(handle)))

/** One call for all of them. */
export const ackTogether = (broker: EmbeddedBroker, { handles }: Batch): Promise<unknown> =>
  broker.ackAll(handles)
