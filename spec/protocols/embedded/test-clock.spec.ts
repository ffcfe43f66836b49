import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createBroker, type EmbeddedBroker, isBrokerError } from '../../../index.ts'

const TestClock = suite('a broker whose time stands still')

const START_MS = Date.UTC(2026, 0, 5, 8)

const aBroker = async (): Promise<EmbeddedBroker> => {
  const broker = await createBroker({ memory: true, clock: { startAt: START_MS } })
  await broker.topics.create('orders', { type: 'MIXED', queues: 2 })
  return broker
}

const receive = async (broker: EmbeddedBroker, options = {}) =>
  (await broker.receive({ topic: 'orders', group: 'billing', ...options })).map(
    ({ text, attempt }) => `${text} ${attempt}`,
  )

TestClock('answers sends, receives and acks without any time passing', async () => {
  await using broker = await aBroker()
  await broker.send('orders', { body: 'now' })
  const [message] = await broker.receive({ topic: 'orders', group: 'billing' })
  assert.is(message?.text, 'now')
  assert.is(message?.storeAtMs, START_MS)
  await message?.ack()
  assert.is(broker.clock.wallMs(), START_MS)
})

TestClock('ends leases at their time, and not a millisecond before', async () => {
  await using broker = await aBroker()
  await broker.send('orders', { body: 'lease' })
  assert.equal(await receive(broker, { invisibleMs: 60_000 }), ['lease 1'])
  await broker.clock.advance(59_999)
  assert.equal(await receive(broker), [])
  await broker.clock.advance(1)
  assert.equal(await receive(broker), ['lease 2'])
})

TestClock('ends long polls, and wakes them when a lease ends', async () => {
  await using broker = await aBroker()
  const empty = receive(broker, { waitMs: 20_000 })
  await broker.clock.advance('20 seconds')
  assert.equal(await empty, [])
  await broker.send('orders', { body: 'lease' })
  await receive(broker, { invisibleMs: 5_000 })
  const waiting = receive(broker, { waitMs: 20_000 })
  let atMs = 0
  void waiting.then(() => {
    atMs = broker.clock.wallMs()
  })
  await broker.clock.advance('1 minute')
  assert.equal([await waiting, atMs], [['lease 2'], START_MS + 25_000])
})

TestClock('lets a consumer work through what comes while time passes', async () => {
  await using broker = await aBroker()
  const stopping = new AbortController()
  const seen: string[] = []
  const consuming = (async () => {
    const { signal } = stopping
    for await (const message of broker.consume({ topic: 'orders', group: 'billing', signal })) {
      seen.push(`${message.text} ${message.attempt}`)
      // Given up twice: it comes again when its lease ends.
      if (message.attempt === 3) await message.ack()
    }
  })()
  await broker.send('orders', { body: 'hard' })
  await broker.clock.advance('3 days')
  assert.equal(seen, ['hard 1', 'hard 2', 'hard 3'])
  stopping.abort()
  await consuming
})

TestClock('trims what its topic no longer keeps', async () => {
  await using broker = await aBroker()
  await broker.send('orders', { body: 'old' })
  await broker.clock.advance('4 days')
  assert.is(broker.topics.describe('orders').messages, 0)
})

TestClock('is for brokers in memory only, and others say so', async () => {
  const refused = (error: unknown) => isBrokerError(error, 'SETTINGS_ILLEGAL')
  await createBroker({ dataDir: '/nowhere', clock: 'manual' }).then(
    () => assert.unreachable('it stood still on a disk'),
    (error: unknown) => assert.ok(refused(error)),
  )
  await using broker = await createBroker({ memory: true })
  assert.throws(() => broker.clock, refused)
})

TestClock.run()
