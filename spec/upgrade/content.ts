import { createHash } from 'node:crypto'
import { tagFilter } from '../../model/delivery/filter.ts'
import { deliveryLimits } from '../../model/delivery/limits.ts'
import { decodeSystem } from '../../model/message/system-block.ts'
import { CoreBroker } from '../../actors/broker/broker.ts'
import { brokerDefaults, type BrokerSettings } from '../../actors/broker/settings.ts'
import type { Broker, Delivery } from '../../model/ports.ts'
import { LevelPlace } from '../../storage/level/level-place.ts'
import { seededRandom } from '../support/random.ts'
import { VERSION } from '../../index.ts'
import type { HandClock } from './hand-clock.ts'

/** Everything of a broker that a user can see, in plain values. */
export interface Content {
  readonly topics: readonly unknown[]
  readonly groups: readonly unknown[]
  /** Every message, as a group sees it that begins with the oldest. */
  readonly messages: readonly unknown[]
  /** Offsets that a filter finds by tag. */
  readonly paid: readonly unknown[]
  /** What is not acknowledged, as it comes again when every lease has ended. */
  readonly unacked: readonly unknown[]
  /** Handles that clients still hold, as text: they are good for an acknowledgement. */
  readonly handles: readonly string[]
}

const LEASES_MS = deliveryLimits.invisibleMsMax + 1
const quiet = { info: () => {}, warn: () => {}, error: () => {} }

export const openBroker = async (
  dataDir: string,
  clock: HandClock,
  settings: Partial<BrokerSettings> = {},
) => {
  const random = seededRandom(1)
  const place = await LevelPlace.open({ dataDir, random, createdBy: VERSION, ballastBytes: 4096 })
  const components = { clock, logger: quiet, place }
  try {
    const broker = await CoreBroker.open(components, { ...brokerDefaults, ...settings })
    const close = async (): Promise<void> => {
      await broker.close()
      await place.close()
    }
    return { broker, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await place.close()
    throw error
  }
}

export const topicsOf = ({ topics }: Broker) =>
  topics
    .list()
    .map(({ name }) => topics.describe(name))
    .map(({ name, topicId, type, queues, retention, messages, offsets }) => ({
      name,
      topicId,
      type,
      queues,
      retention,
      messages,
      offsets: offsets.map(({ offsetMin, offsetMax }) => [offsetMin, offsetMax]),
    }))

export const groupsOf = ({ groups }: Broker) =>
  groups
    .list()
    .map(({ name }) => groups.describe(name))
    .map(({ name, groupId, attemptsMax, progress }) => ({
      name,
      groupId,
      attemptsMax,
      progress: progress
        .map(({ topic, queueId, floor, lag }) => ({ topic, queueId, floor, lag }))
        .sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.queueId - b.queueId)),
    }))

/** Reads to the end; time goes on beyond every lease. Leaves a group of its own behind. */
export const contentOf = async (
  broker: Broker,
  clock: HandClock,
): Promise<Omit<Content, 'handles'>> => {
  const topics = topicsOf(broker)
  const groups = groupsOf(broker)
  const messages = await messagesOf(broker)
  const tagged = await takeAll(broker, 'orders', 'payer', 'paid')
  const paid = sorted(tagged.map(({ message }) => [message.queueId, message.queueOffset]))
  clock.advance(LEASES_MS)
  const unacked: unknown[] = []
  for (const { name, progress } of groups)
    for (const topic of new Set(progress.map((one) => one.topic)))
      for (const { message, attempt } of await takeAll(broker, topic, name))
        unacked.push([name, topic, message.queueId, message.queueOffset, attempt])
  return { topics, groups, messages, paid, unacked: sorted(unacked) }
}

const messagesOf = async (broker: Broker): Promise<unknown[]> => {
  const messages: unknown[] = []
  for (const { name } of broker.topics.list())
    for (const { message } of await takeAll(broker, name, 'reader')) {
      const { queueId, queueOffset, type, storeAtMs, system, properties, body } = message
      const { messageId } = decodeSystem(system)
      messages.push([name, queueId, queueOffset, messageId, type, storeAtMs, body.length])
      messages.push([name, queueId, queueOffset, digest(system), digest(properties), digest(body)])
    }
  return sorted(messages)
}

/** Every message that the group may have now, each acknowledged before the next are asked for. */
const takeAll = async (
  broker: Broker,
  topic: string,
  group: string,
  tag = '*',
): Promise<Delivery[]> => {
  const taken: Delivery[] = []
  const request = { topic, group, filter: tagFilter(tag), batchMax: 32, waitMs: 0 }
  for (;;) {
    const { deliveries } = await broker.receive({ ...request, invisibleMs: 60_000 })
    if (deliveries.length === 0) return taken
    taken.push(...deliveries)
    for (const { handle } of deliveries) await broker.ack(handle)
  }
}

const digest = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex').slice(0, 16)

const sorted = (rows: readonly unknown[]): unknown[] =>
  rows
    .map((row) => JSON.stringify(row))
    .sort()
    .map((row) => JSON.parse(row) as unknown)
