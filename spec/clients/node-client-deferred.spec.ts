import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type GlasspostServer, startServer } from '../../index.ts'
import { run, startBroker } from '../process/support/broker-process.ts'
import { built } from '../process/support/built.ts'
import { definition } from '../protocols/grpc/support/official.ts'
import { leaveClientsBehind, startConsumer, startProducer } from '../support/clients.ts'
import { eventually, sleep } from '../support/waiting.ts'

/** Delivery times and transactions of the official Node client, against whole brokers. */
const Deferred = suite('the official Node client, later or perhaps')

Deferred.before(built)
Deferred.after(leaveClientsBehind)

const { COMMIT, ROLLBACK, TRANSACTION_RESOLUTION_UNSPECIFIED } = definition.TransactionResolution
const DELAY_MS = 1_500
const CHECKED_MS_MAX = 15_000
/** Sooner than by default, so that nobody waits long. */
const transactions = { checkAfterMs: 1_000, checkEveryMs: 1_000 }

const serving = (name: string, use: (server: GlasspostServer, at: string) => Promise<void>): void =>
  Deferred(name, async () => {
    await using server = await startServer({
      ...{ memory: true, grpcPort: 0, settings: { transactions } },
    })
    await server.broker.topics.create('later', { type: 'DELAY', queues: 2 })
    await server.broker.topics.create('halves', { type: 'TRANSACTION', queues: 2 })
    await use(server, server.grpcAddress)
  })

const textsIn = async (server: GlasspostServer, topic: string): Promise<string[]> => {
  const messages = await server.broker.receive({ topic, group: 'lookers', invisibleMs: 1 })
  return messages.map(({ text }) => text)
}

serving('a delayed message arrives at its time, and never before', async (server, at) => {
  const producer = await startProducer(at, { topics: ['later'] })
  const consumer = await startConsumer(at, { topic: 'later' }, 10_000)
  const deliverAtMs = Date.now() + DELAY_MS
  const message = {
    topic: 'later',
    body: Buffer.from('x'),
    deliveryTimestamp: new Date(deliverAtMs),
  }
  const receipt = await producer.send(message)
  assert.ok(receipt.recallHandle.length > 0)
  assert.is(server.broker.timers.count('later'), 1)
  const [received] = await consumer.receive(1, 15_000)
  if (received === undefined) throw new Error('nothing was received')
  assert.ok(Date.now() >= deliverAtMs, 'it came early')
  assert.is(received.body.toString(), 'x')
  assert.is(received.deliveryTimestamp?.getTime(), deliverAtMs)
  await consumer.ack(received)
  assert.is(server.broker.timers.count('later'), 0)
  await Promise.all([consumer.shutdown(), producer.shutdown()])
})

serving('a recall takes a message back, again and again, until it is late', async (server, at) => {
  const producer = await startProducer(at, { topics: ['later'] })
  const send = (body: string) =>
    producer.send({ topic: 'later', body: Buffer.from(body), delay: DELAY_MS })
  const [recalled, delivered] = [await send('recalled'), await send('delivered')]
  for (const _ of ['once', 'again']) {
    const { messageId } = await producer.recallMessage('later', recalled.recallHandle)
    assert.is(messageId, recalled.messageId)
  }
  await sleep(DELAY_MS + 200)
  assert.equal(await textsIn(server, 'later'), ['delivered'])
  const refusal = async (handle: string) =>
    producer.recallMessage('later', handle).then(
      () => 'recalled',
      (error: unknown) => String(error),
    )
  assert.match(await refusal(delivered.recallHandle), /was delivered already/)
  assert.match(await refusal('not-a-handle'), /not one of this topic/)
  await producer.shutdown()
})

serving(
  'a transaction shows its message once it is committed, and only then',
  async (server, at) => {
    const checker = { check: async () => TRANSACTION_RESOLUTION_UNSPECIFIED }
    const producer = await startProducer(at, { topics: ['halves'], checker })
    const prepare = async (body: string) => {
      const transaction = producer.beginTransaction()
      await producer.send({ topic: 'halves', body: Buffer.from(body) }, transaction)
      return transaction
    }
    const [kept, dropped] = [await prepare('kept'), await prepare('dropped')]
    assert.equal(await textsIn(server, 'halves'), [])
    assert.is(server.broker.transactions.count('halves'), 2)
    await dropped.rollback()
    await kept.commit()
    assert.equal(await textsIn(server, 'halves'), ['kept'])
    assert.is(server.broker.transactions.count('halves'), 0)
    await kept.commit()
    await producer.shutdown()
  },
)

serving('a check asks until it is answered, with the whole message', async (server, at) => {
  const asked: string[] = []
  const producer = await startProducer(at, {
    topics: ['halves'],
    checker: {
      check: async ({ body, tag, keys, properties }) => {
        asked.push([body.toString(), tag, ...keys, properties.get('colour')].join(' '))
        return body.toString() === 'kept' ? COMMIT : ROLLBACK
      },
    },
  })
  const properties = new Map([['colour', 'grün']])
  for (const body of ['kept', 'dropped'])
    await producer.send(
      { topic: 'halves', body: Buffer.from(body), tag: 'paid', keys: ['k'], properties },
      producer.beginTransaction(),
    )
  const isOver = () => server.broker.transactions.count('halves') === 0
  await eventually('both are resolved', isOver, CHECKED_MS_MAX)
  assert.equal(asked.sort(), ['dropped paid k grün', 'kept paid k grün'])
  assert.equal(await textsIn(server, 'halves'), ['kept'])
  await producer.shutdown()
})

const sender = fileURLToPath(new URL('support/send-half.ts', import.meta.url))

serving(
  'a producer killed between the phases leaves the decision to others',
  async (server, at) => {
    const half = run([process.execPath, '--import', 'tsx', sender, at, 'halves', 'orphan'])
    await eventually('it is prepared', () => half.stdout() === 'prepared\n', CHECKED_MS_MAX)
    await half.end('SIGKILL')
    const asked: string[] = []
    const checker = {
      check: async ({ body }: { body: Buffer }) => {
        asked.push(body.toString())
        return COMMIT
      },
    }
    const other = await startProducer(at, { topics: ['halves'], checker })
    assert.equal(await textsIn(server, 'halves'), [])
    const isOver = () => server.broker.transactions.count('halves') === 0
    await eventually('it is resolved', isOver, CHECKED_MS_MAX)
    assert.equal([asked, await textsIn(server, 'halves')], [['orphan'], ['orphan']])
    await other.shutdown()
  },
)

Deferred('a broker killed between the phases remembers what waits', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'glasspost-deferred-'))
  const dataDir = join(folder, 'data')
  const first = await startBroker({ dataDir })
  const checker = { check: async () => TRANSACTION_RESOLUTION_UNSPECIFIED }
  const producer = await startProducer(first.grpc, { topics: ['orders'], checker })
  const kept = producer.beginTransaction()
  await producer.send({ topic: 'orders', body: Buffer.from('kept') }, kept)
  const dropped = producer.beginTransaction()
  await producer.send({ topic: 'orders', body: Buffer.from('dropped') }, dropped)
  const later = { topic: 'orders', body: Buffer.from('later'), delay: 3 * DELAY_MS }
  await producer.send(later)
  const { recallHandle } = await producer.send({ ...later, body: Buffer.from('recalled') })
  await first.end('SIGKILL')
  const port = first.grpc.split(':').at(-1) ?? ''
  const second = await startBroker({ dataDir, flags: ['--grpc-port', port] })
  const again = (what: string, work: () => Promise<unknown>) =>
    eventually(what, () =>
      work().then(
        () => true,
        () => false,
      ),
    )
  await again('the transaction is committed', () => kept.commit())
  await again('the other is rolled back', () => dropped.rollback())
  await again('the message is recalled', () => producer.recallMessage('orders', recallHandle))
  const consumer = await startConsumer(second.grpc, { topic: 'orders' })
  const seen: string[] = []
  await eventually(
    'what was to come has come',
    async () => {
      for (const message of await consumer.receive(8, 15_000).catch(() => [])) {
        seen.push(message.body.toString())
        await consumer.ack(message)
      }
      return seen.length >= 2
    },
    CHECKED_MS_MAX,
  )
  await sleep(500)
  for (const message of await consumer.receive(8, 15_000).catch(() => []))
    seen.push(message.body.toString())
  assert.equal(seen, ['kept', 'later'])
  await second.end('SIGTERM')
  await rm(folder, { recursive: true, force: true })
})

Deferred.run()
