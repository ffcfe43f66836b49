import { appendFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { startProducer } from '../../support/clients.ts'
import { eventually, sleep } from '../../support/waiting.ts'
import { startBroker } from './broker-process.ts'
import { Load } from './load.ts'
import { storedIn, wrongs } from './stored.ts'

/**
 * A process of its own that is given a small file system and a broker on it, takes the space away
 * under load, gives it back, and kills the broker. Ends with code 0 when nothing is lost.
 */
const disk = process.argv[2] ?? ''
const dataDir = join(disk, 'data')
const filler = join(disk, 'filler')
const topic = 'filling'
const REQUEST_MS = 15_000
const SENDS = 1_000

const fillAtOnce = (): void => {
  for (const size of [1 << 20, 1 << 12]) {
    const block = Buffer.alloc(size, 1)
    try {
      for (;;) appendFileSync(filler, block)
    } catch {
      // No such block fits any more.
    }
  }
}

const broker = await startBroker({ dataDir })
const options = { topics: [topic], requestTimeout: REQUEST_MS }
const producer = await startProducer(broker.grpc, options)
const load = new Load(topic)
const sending = load.run(producer, { restMs: 50 })
await eventually('many sends are answered', () => load.acknowledged.size > 500, REQUEST_MS)

fillAtOnce()
await eventually('a send fails', () => load.failures.size > 0, REQUEST_MS)
const acknowledgedWhenFull = load.acknowledged.size
for (let second = 0; second < 3; second++) {
  await sleep(1_000)
  fillAtOnce()
}
load.stop()
await sending
for (const [text, times] of load.failures) console.log(`${times} times: ${text}`)
for (const text of load.failures.keys())
  assert.match(text, /response-code=(42900|50001|50401)\]/, 'a code says why')
assert.is(broker.child.exitCode, null, 'the broker lives')

await rm(filler)
const one = () => load.run(producer, { sends: 1 })
const before = load.acknowledged.size
await eventually(
  'sends are taken again, without a restart',
  async () => {
    await one()
    return load.acknowledged.size > before
  },
  30_000,
)
const failuresOf = () => [...load.failures.values()].reduce((sum, times) => sum + times, 0)
const failuresBefore = failuresOf()
const acknowledgedBefore = load.acknowledged.size
await load.run(producer, { sends: SENDS })
assert.is(failuresOf(), failuresBefore, [...load.failures.keys()].join('\n'))
assert.is(load.acknowledged.size, acknowledgedBefore + SENDS)

await broker.end('SIGKILL')
const again = await startBroker({ dataDir })
assert.equal(await again.end('SIGTERM'), { code: 0, signal: null })
const stored = await storedIn({ dataDir }, topic)
assert.equal(wrongs(stored, load).slice(0, 10), [])
console.log(
  `${acknowledgedWhenFull} acknowledged until the disk was full, ${failuresBefore} refused, ` +
    `${load.acknowledged.size} acknowledged in all, ${stored.length} stored, none lost`,
)
process.exit(0)
