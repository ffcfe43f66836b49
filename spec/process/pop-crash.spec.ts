import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { MessageView, SimpleConsumer } from '../protocols/grpc/support/official-client.ts'
import { leaveClientsBehind, startConsumer, startProducer } from '../support/clients.ts'
import { sleep } from '../support/waiting.ts'
import { type BrokerProcess, startBroker } from './support/broker-process.ts'
import { built } from './support/built.ts'

/** `POP_ROUNDS=20` for more; a round takes half a minute. */
const ROUNDS = Number(process.env['POP_ROUNDS'] ?? 1)
const MESSAGES = 1_000
const ACKED = MESSAGES / 2
/** Acknowledged so long before the kill that the flush must have taken them along. */
const SETTLED = ACKED / 2
const SETTLE_MS = 3_500
/** So lazily that acknowledgements are young for certain, and still within the time to settle. */
const LAZY_MS = 3_000
const INVISIBLE_MS = 15_000
const RETURN_MS_MAX = INVISIBLE_MS + 15_000
const SENDS_AT_ONCE = 32
const topic = 'popped'

const PopCrash = suite('a broker that is killed after a receive')

PopCrash.after(leaveClientsBehind)

const numberOf = ({ body }: MessageView): number => Number(body.toString())

const send = async (endpoint: string): Promise<void> => {
  const producer = await startProducer(endpoint, { topics: [topic] })
  const numbers = Array.from({ length: MESSAGES }, (_, number) => number)
  const lane = async (): Promise<void> => {
    for (let number = numbers.shift(); number !== undefined; number = numbers.shift())
      await producer.send({ topic, body: Buffer.from(`${number}`) })
  }
  await Promise.all(Array.from({ length: SENDS_AT_ONCE }, lane))
  await producer.shutdown()
}

/** Receives until each number of `wanted` has come once, or it takes too long. */
const pop = async (
  consumer: SimpleConsumer,
  isWanted: (number: number) => boolean,
  count: number,
): Promise<Map<number, MessageView>> => {
  const popped = new Map<number, MessageView>()
  const endMs = performance.now() + RETURN_MS_MAX
  let wanted = 0
  while (wanted < count && performance.now() < endMs)
    for (const message of await consumer.receive(32, INVISIBLE_MS)) {
      const number = numberOf(message)
      if (isWanted(number) && !popped.has(number)) wanted++
      popped.set(number, message)
    }
  return popped
}

/** Acknowledges at once; kills the broker in the turn in which the last answer arrives. */
const ackAndKill = async (
  broker: BrokerProcess,
  consumer: SimpleConsumer,
  messages: readonly MessageView[],
): Promise<void> => {
  let left = messages.length
  await Promise.all(
    messages.map(async (message) => {
      await consumer.ack(message)
      if (--left === 0) broker.child.kill('SIGKILL')
    }),
  )
  assert.equal(await broker.exited, { code: null, signal: 'SIGKILL' })
}

/** How many acknowledged messages came again; all others are for certain as they should be. */
const oneRound = async (flags: readonly string[] = []): Promise<number> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'glasspost-pop-'))
  const broker = await startBroker({ dataDir, flags })
  await send(broker.grpc)
  const first = await startConsumer(broker.grpc, { topic })
  const popped = [...(await pop(first, () => true, MESSAGES)).values()]
  assert.is(popped.length, MESSAGES)
  await Promise.all(popped.slice(0, SETTLED).map((message) => first.ack(message)))
  await sleep(SETTLE_MS)
  await ackAndKill(broker, first, popped.slice(SETTLED, ACKED))

  const again = await startBroker({ dataDir })
  const second = await startConsumer(again.grpc, { topic })
  const unacked = new Set(popped.slice(ACKED).map(numberOf))
  const returned = await pop(second, (number) => unacked.has(number), unacked.size)
  await Promise.all([...returned.values()].map((message) => second.ack(message)))
  const rest = await second.receive(32, INVISIBLE_MS)
  await second.shutdown()
  assert.equal(await again.end('SIGTERM'), { code: 0, signal: null })

  const settled = popped.slice(0, SETTLED).map(numberOf)
  const young = popped.slice(SETTLED, ACKED).map(numberOf)
  const back = (numbers: Iterable<number>) => [...numbers].filter((each) => returned.has(each))
  const asFirst = [...unacked].filter((each) => returned.get(each)?.deliveryAttempt === 1)
  console.log(
    `of ${unacked.size} unacknowledged ${back(unacked).length} came again` +
      ` (${asFirst.length} as if for the first time),` +
      ` of ${settled.length} acknowledged ${SETTLE_MS} ms before ${back(settled).length},` +
      ` of ${young.length} acknowledged right before ${back(young).length}`,
  )
  assert.is(back(unacked).length, unacked.size, 'every message that was not acknowledged came back')
  assert.equal(back(settled), [], 'none came back whose acknowledgement was older than the flush')
  assert.is(rest.length, 0, 'then there is no more')
  await rm(dataDir, { recursive: true })
  return back(young).length
}

PopCrash('gives back what was not acknowledged, and only the youngest of what was', async () => {
  await built()
  for (let round = 0; round < ROUNDS; round++) {
    const [, lazy] = await Promise.all([
      oneRound(),
      oneRound(['--commit-log-buffered-linger-ms', `${LAZY_MS}`]),
    ])
    assert.ok(lazy > 0, 'with a lazy flush the youngest acknowledgements are lost')
  }
})

PopCrash.run()
