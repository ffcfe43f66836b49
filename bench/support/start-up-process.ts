import { createBroker, type EmbeddedBroker } from '../../index.ts'
import { ackEach, createTopics, fill, receive } from './brokers.ts'
import { inFlight } from './stats.ts'

/**
 * A process of the start-up row: `open <dir>` says when its broker serves; `work <dir> <unacked>
 * <acked> <timers>` says when all is prepared, and sends until it is killed.
 */
const QUEUES = 8
/** RocketMQ's bound on unacknowledged messages per group and queue, which is also ours. */
const UNACKED_PER_QUEUE = 10_000

const leaseAll = async (broker: EmbeddedBroker, unacked: number): Promise<void> => {
  const perGroup = Math.min(unacked, QUEUES * UNACKED_PER_QUEUE)
  await fill(broker, { topics: ['leased'], messages: perGroup, bodyBytes: 128 })
  await inFlight(Math.ceil(unacked / perGroup), 8, async (index) => {
    const wanted = Math.min(perGroup, unacked - index * perGroup)
    for (let leased = 0; leased < wanted; )
      leased += (await receive(broker, { topic: 'leased', group: `group-${index}` })).handles.length
  })
}

const ackAll = async (broker: EmbeddedBroker, acked: number): Promise<void> => {
  await fill(broker, { topics: ['acked'], messages: acked, bodyBytes: 128 })
  await inFlight(Math.ceil(acked / 32), 8, async () =>
    ackEach(broker, await receive(broker, { topic: 'acked', group: 'readers' })),
  )
}

const DAY_MS = 86_400_000

const scheduleAll = (broker: EmbeddedBroker, timers: number): Promise<void> =>
  inFlight(timers, 1_024, (index) =>
    broker.send('later', { body: 'x'.repeat(128), delayMs: DAY_MS + ((index * 7_919) % DAY_MS) }),
  )

const [mode, dataDir = '', unacked = '0', acked = '0', timers = '0'] = process.argv.slice(2)
const broker = await createBroker({ dataDir })
if (mode === 'work') {
  await createTopics(broker, ['leased', 'acked', 'load'], QUEUES)
  await broker.topics.create('later', { type: 'DELAY' })
  await scheduleAll(broker, Number(timers))
  await ackAll(broker, Number(acked))
  await leaseAll(broker, Number(unacked))
  void inFlight(Number.POSITIVE_INFINITY, 256, () =>
    broker.send('load', { body: 'x'.repeat(1_024) }),
  )
  await new Promise((resolve) => setTimeout(resolve, 500))
}
process.send?.({ readyMs: performance.now() })
