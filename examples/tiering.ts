import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createBroker } from 'glasspost'

/**
 * History beside the log: what is old moves into a tier, here a directory, and is read from there
 * as if it had never left. `{ s3: { bucket: 'my-history' } }` instead puts it into S3.
 */
const MESSAGES = 5_000
const dataDir = await mkdtemp(join(tmpdir(), 'glasspost-tiering-'))
const broker = await createBroker({
  dataDir,
  tier: 'directory',
  settings: {
    // The log keeps nothing that the tier has; 6 hours without this line.
    local: { ageMs: 1 },
    upkeepRestMs: 100,
  },
})

await broker.topics.create('orders', { queues: 1 })
const body = 'x'.repeat(1_000)
await Promise.all(
  Array.from({ length: MESSAGES }, (_, index) =>
    broker.send('orders', { body, properties: { order: String(index) } }),
  ),
)

// It goes by itself when 48 MiB are together, or after 10 minutes. This does not wait.
for await (const { key, bytes } of broker.tiering.offload('orders'))
  console.log(`uploaded ${key.replace(/^.*\//, '')}, ${Math.round(bytes / 2 ** 20)} MiB`)
for await (const { key, problem } of broker.tiering.verify('orders'))
  console.log(`verified ${key.replace(/^.*\//, '')}: ${problem ?? 'fine'}`)

const queueNow = () => broker.tiering.status('orders')?.topics[0]?.queues[0]
while ((queueNow()?.localMin ?? 0) < MESSAGES) await sleep(50)
const { tierMin, tierEnd, localMin, offsetMax } = queueNow() ?? {}
console.log(`in the tier: ${tierMin} to ${tierEnd}; in the log: ${localMin} to ${offsetMax}`)

// A new message is in the log; a consumer from the start crosses the border unnoticed.
await broker.send('orders', { body, properties: { order: String(MESSAGES) } })
let next = 0
for await (const message of broker.consume({ topic: 'orders', group: 'billing' })) {
  if (message.properties['order'] !== String(next)) throw new Error(`order ${next} is missing`)
  await message.ack()
  if (next++ === MESSAGES) break
}
console.log(`received ${next} of ${MESSAGES + 1}, in order and without a gap`)

const perMonth = broker.tiering.status()?.cost.perMonth ?? 0
console.log(
  `at the prices of S3 a month would cost ${perMonth < 1 ? 'less than a dollar' : perMonth}`,
)

// Its objects go with it, soon afterwards; were the store away, as soon as it is back.
await broker.topics.end('orders')
while (broker.tiering.status()?.topics.length !== 0) await sleep(50)
const left = await readdir(join(dataDir, 'tier'), { recursive: true })
console.log(`after its end ${left.filter((name) => !name.startsWith('.')).length} objects are left`)
const { clean } = await broker.audit()
console.log(`audit: ${clean ? 'clean' : 'NOT CLEAN'}`)

await broker.close()
await rm(dataDir, { recursive: true })
