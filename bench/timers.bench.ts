import { Level } from 'level'
import { createBroker, type EmbeddedBroker } from '../index.ts'
import { memoryUse } from './support/memory.ts'
import { randomSlices, withDirectory } from './support/places.ts'
import { type Measure, progress, runRow } from './support/row.ts'
import { inFlight, quantile, rateOf } from './support/stats.ts'

/**
 * Scheduled messages: so many pending, due over the next month; then very many due within one
 * second. Beside it what a program would do without a broker: a `setTimeout` each, which a
 * restart loses, and a LevelDB sorted by due time that is scanned every 10 ms.
 */
const TOPIC = 'timers'
const IN_FLIGHT = 256
const BODY_BYTES = 128
const MONTH_MS = 30 * 86_400_000
const AHEAD_MS = 6_000
/** Of so many handles one is kept, and recalled. */
const RECALLED_EACH = 20
const SPREAD_MS = 1_000
const SCAN_MS = 10
const MIB = 1 << 20

interface Fired {
  readonly lateMs: number[]
  /** From the first due time until the last one was fired. */
  readonly spanMs: number
}

const schedule = (broker: EmbeddedBroker, count: number, dueOf: (index: number) => number) => {
  const body = randomSlices(BODY_BYTES)
  const handles: string[] = []
  const sending = inFlight(count, IN_FLIGHT, async (index) => {
    const draft = { body: body(index), deliverAtMs: dueOf(index) }
    const { recallHandle = '' } = await broker.send(TOPIC, draft)
    if (index % RECALLED_EACH === 0) handles.push(recallHandle)
  })
  return sending.then(() => handles)
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until all have come, and reads how late each was admitted to its topic. */
const fireAll = async (broker: EmbeddedBroker, count: number, fromMs: number): Promise<Fired> => {
  const before = broker.topics.describe(TOPIC).messages
  while (broker.topics.describe(TOPIC).messages - before < count) await sleep(1)
  const spanMs = Date.now() - fromMs
  const lateMs: number[] = []
  for (;;) {
    const messages = await broker.receive({ topic: TOPIC, group: 'late', batchMax: 32 })
    if (messages.length === 0) return { lateMs, spanMs }
    for (const { deliverAtMs = 0, storeAtMs } of messages) lateMs.push(storeAtMs - deliverAtMs)
    await broker.ackAll(messages)
  }
}

const latenessOf = (who: string, { lateMs, spanMs }: Fired): Measure[] => [
  {
    name: `${who}: early`,
    value: lateMs.filter((ms) => ms < 0).length,
    unit: '',
    budget: { atMost: 0 },
  },
  { name: `${who}: lateness p50`, value: quantile(lateMs, 0.5), unit: 'ms' },
  { name: `${who}: lateness p99`, value: quantile(lateMs, 0.99), unit: 'ms' },
  { name: `${who}: lateness max`, value: quantile(lateMs, 1), unit: 'ms' },
  { name: `${who}: fired`, value: (lateMs.length * 1_000) / spanMs, unit: '/s' },
]

const ourselves = (pending: number, burst: number): Promise<Measure[]> =>
  withDirectory(async (dataDir) => {
    let broker = await createBroker({ dataDir })
    await broker.topics.create(TOPIC, { type: 'DELAY' })
    await broker.groups.create('late')
    const before = await memoryUse()
    progress(`scheduling ${pending}`)
    let handles: string[] = []
    const startMs = Date.now()
    const rate = await rateOf(pending, async () => {
      const dueOf = (index: number) =>
        startMs + 3_600_000 + ((index * 7_919) % pending) * (MONTH_MS / pending)
      handles = await schedule(broker, pending, dueOf)
    })
    const recalled = handles
    const after = await memoryUse()
    progress('starting again')
    await broker.close()
    const closedAtMs = performance.now()
    broker = await createBroker({ dataDir })
    const readyMs = performance.now() - closedAtMs
    const fresh = await memoryUse()
    progress(`recalling ${recalled.length}`)
    const recalls = await rateOf(recalled.length, () =>
      inFlight(recalled.length, IN_FLIGHT, (index) =>
        broker.timers.recall(TOPIC, recalled[index] as string),
      ),
    )
    const bursts: Measure[] = []
    for (const [who, count] of [
      ['glasspost, the first after a start', burst / 10],
      ['glasspost', burst],
    ] as const) {
      progress(`${count} due within one second`)
      const fromMs = Date.now() + AHEAD_MS
      await schedule(broker, count, (index) => fromMs + ((index * 7_919) % SPREAD_MS))
      bursts.push(...latenessOf(who, await fireAll(broker, count, fromMs)))
    }
    await broker.close()
    return [
      { name: 'scheduled', value: rate, unit: '/s' },
      {
        name: `resident with ${pending} pending`,
        value: after.rssBytes / MIB,
        unit: 'MiB',
        budget: { atMost: 300 },
      },
      {
        name: 'of that, since the first',
        value: (after.rssBytes - before.rssBytes) / MIB,
        unit: 'MiB',
      },
      { name: 'heap and buffers after a restart', value: fresh.heapBytes / MIB, unit: 'MiB' },
      { name: 'started with them', value: readyMs, unit: 'ms', budget: { atMost: 5_000 } },
      { name: 'recalled', value: recalls, unit: '/s' },
      ...bursts,
    ]
  })

const withTimeouts = async (pending: number, burst: number): Promise<Measure[]> => {
  const before = await memoryUse()
  const body = randomSlices(BODY_BYTES)
  const far = Array.from({ length: pending }, (_, index) =>
    setTimeout(() => body(index), 3_600_000 + index),
  )
  const after = await memoryUse()
  for (const timer of far) clearTimeout(timer)
  const lateMs: number[] = []
  const fromMs = Date.now() + 2_000
  await new Promise<void>((resolve) => {
    for (let index = 0; index < burst; index++) {
      const dueMs = fromMs + ((index * 7_919) % SPREAD_MS)
      setTimeout(() => {
        lateMs.push(Date.now() - dueMs)
        if (lateMs.length === burst) resolve()
      }, dueMs - Date.now())
    }
  })
  const bytes = after.rssBytes - before.rssBytes
  return [
    { name: `setTimeout: resident for ${pending}`, value: bytes / MIB, unit: 'MiB' },
    ...latenessOf('setTimeout', { lateMs, spanMs: Date.now() - fromMs }).map(unbudgeted),
  ]
}

const unbudgeted = ({ name, value, unit }: Measure): Measure => ({ name, value, unit })

const keyOf = (dueMs: number, index: number): Buffer => {
  const key = Buffer.allocUnsafe(12)
  key.writeUIntBE(dueMs, 0, 6)
  key.writeUIntBE(index, 6, 6)
  return key
}

const withLevel = (pending: number, burst: number): Promise<Measure[]> =>
  withDirectory(async (location) => {
    const level = new Level<Uint8Array, Uint8Array>(location, {
      keyEncoding: 'view',
      valueEncoding: 'view',
    })
    const body = randomSlices(BODY_BYTES)
    const insert = (count: number, dueOf: (index: number) => number) =>
      inFlight(count / IN_FLIGHT, 1, async (batch) => {
        const operations = Array.from({ length: IN_FLIGHT }, (_, offset) => {
          const index = batch * IN_FLIGHT + offset
          return { type: 'put', key: keyOf(dueOf(index), index), value: body(index) } as const
        })
        await level.batch(operations, { sync: true })
      })
    const startMs = Date.now()
    const rate = await rateOf(pending, () =>
      insert(pending, (index) => startMs + 3_600_000 + ((index * 7_919) % pending) * 2_000),
    )
    const fromMs = Date.now() + 5_000
    await insert(burst, (index) => fromMs + ((index * 7_919) % SPREAD_MS))
    const lateMs: number[] = []
    const wanted = Math.floor(burst / IN_FLIGHT) * IN_FLIGHT
    while (lateMs.length < wanted) {
      await sleep(SCAN_MS)
      const nowMs = Date.now()
      const due = await level.iterator({ lt: keyOf(nowMs + 1, 0) }).all()
      if (due.length === 0) continue
      await level.batch(
        due.map(([key]) => ({ type: 'del', key }) as const),
        { sync: true },
      )
      const doneMs = Date.now()
      for (const [key] of due) lateMs.push(doneMs - Buffer.from(key).readUIntBE(0, 6))
    }
    const spanMs = Date.now() - fromMs
    await level.close()
    return [
      { name: 'LevelDB by due time: inserted, 256 a synced batch', value: rate, unit: '/s' },
      ...latenessOf('LevelDB', { lateMs, spanMs }).map(unbudgeted),
    ]
  })

await runRow('timers', async ({ quick, messages = quick ? 100_000 : 1_000_000 }) => {
  const burst = quick ? 25_600 : 102_400
  return {
    measures: [
      ...(await ourselves(messages, burst)),
      ...(await withTimeouts(messages, burst)),
      ...(await withLevel(messages, burst)),
    ],
    notes: [
      `${messages} pending, due over 30 days, ${BODY_BYTES} B each, ${IN_FLIGHT} in flight; then ${burst}`,
      'due within one second. Lateness is from the due time to the admission into the topic; neither',
      'peer keeps a message: one forgets all in a restart, the other only deletes a key',
    ],
  }
})
