import { createBroker } from '../index.ts'
import { createTopics, fill, receive } from './support/brokers.ts'
import { memoryUse } from './support/memory.ts'
import { withDirectory } from './support/places.ts'
import { progress, runRow } from './support/row.ts'
import { inFlight } from './support/stats.ts'

/** What a message costs while it is out. */
const GROUPS = 1_000
const QUEUES = 8
const IN_FLIGHT_EACH = 100
const TOPIC = 'leased'

await runRow('leases', () =>
  withDirectory(async (dataDir) => {
    const broker = await createBroker({ dataDir })
    await createTopics(broker, [TOPIC], QUEUES)
    const messages = QUEUES * IN_FLIGHT_EACH
    await fill(broker, { topics: [TOPIC], messages, bodyBytes: 128 })
    const leaseAll = async (group: string): Promise<void> => {
      for (let leased = 0; leased < messages; )
        leased += (await receive(broker, { topic: TOPIC, group })).handles.length
    }
    await leaseAll('first')
    for (let group = 0; group < GROUPS; group++) await broker.groups.create(`group-${group}`)
    const before = await memoryUse()
    progress('leasing')
    await inFlight(GROUPS, 8, (group) => leaseAll(`group-${group}`))
    const after = await memoryUse()
    await broker.close()
    const leases = GROUPS * messages
    return {
      measures: [
        { name: 'leases', value: leases, unit: '' },
        {
          name: 'heap and buffers per lease',
          value: (after.heapBytes - before.heapBytes) / leases,
          unit: 'B',
          budget: { atMost: 100 },
        },
        {
          name: 'resident memory per lease',
          value: (after.rssBytes - before.rssBytes) / leases,
          unit: 'B',
        },
      ],
      notes: [
        `${GROUPS} groups × ${QUEUES} queues × ${IN_FLIGHT_EACH}; idle groups are not counted, their`,
        'subscriptions and the log of what was leased are',
      ],
    }
  }),
)
