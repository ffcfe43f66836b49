import { createBroker } from '../index.ts'
import { createTopics, topicNames } from './support/brokers.ts'
import { memoryUse } from './support/memory.ts'
import { withDirectory } from './support/places.ts'
import { runRow } from './support/row.ts'
import { rateOf } from './support/stats.ts'

/** What topics cost that nobody uses. */
const TOPICS = 10_000
const KIB = 1_024

await runRow('idle-topics', () =>
  withDirectory(async (dataDir) => {
    const broker = await createBroker({ dataDir })
    await createTopics(broker, ['first'])
    const before = await memoryUse()
    const value = await rateOf(TOPICS, () => createTopics(broker, topicNames(TOPICS)))
    const after = await memoryUse()
    await broker.close()
    const each = (key: keyof typeof after): number => (after[key] - before[key]) / TOPICS / KIB
    return {
      measures: [
        { name: 'created, 64 in flight', value, unit: 'topics/s', budget: { atLeast: 1_000 } },
        {
          name: 'resident memory each',
          value: each('rssBytes'),
          unit: 'KiB',
          budget: { atMost: 10 },
        },
        { name: 'heap and buffers each', value: each('heapBytes'), unit: 'KiB' },
      ],
      notes: [`${TOPICS} topics of 8 queues, without a message; after garbage collection`],
    }
  }),
)
