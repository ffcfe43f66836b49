import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createBroker, type EmbeddedBroker, isBrokerError } from '../../../index.ts'

/** Scheduled messages and repeating schedules on a whole broker whose time stands still. */
const Schedules = suite('what is scheduled')

const START_MS = Date.UTC(2026, 2, 28, 12)
const HOUR_MS = 3_600_000

const aBroker = async (): Promise<EmbeddedBroker> => {
  const broker = await createBroker({ memory: true, clock: { startAt: START_MS } })
  await broker.topics.create('reports', { type: 'DELAY', queues: 2 })
  return broker
}

/** What came, with the times at which it came. */
const arrivals = async (broker: EmbeddedBroker): Promise<string[]> => {
  const seen: string[] = []
  for (;;) {
    const messages = await broker.receive({ topic: 'reports', group: 'readers' })
    if (messages.length === 0) return seen.sort()
    for (const message of messages) {
      const { messageId, storeAtMs } = message
      seen.push(`${messageId} ${new Date(storeAtMs).toISOString().slice(0, 16)}`)
      await message.ack()
    }
  }
}

const refusal = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'accepted',
    (error: unknown) => (isBrokerError(error) ? error.code : String(error)),
  )

Schedules('a message is in its topic when it is due, and not before', async () => {
  await using broker = await aBroker()
  await broker.send('reports', { body: 'x', messageId: 'later', delayMs: 3 * 24 * HOUR_MS })
  assert.is(broker.timers.count('reports'), 1)
  await broker.clock.advance(3 * 24 * HOUR_MS - 1)
  assert.equal(await arrivals(broker), [])
  await broker.clock.advance(1)
  assert.equal(await arrivals(broker), ['later 2026-03-31T12:00'])
  assert.is(broker.timers.count('reports'), 0)
})

Schedules('a recall says for certain what became of it', async () => {
  await using broker = await aBroker()
  const send = async () => {
    const { recallHandle = '' } = await broker.send('reports', { body: 'x', delayMs: HOUR_MS })
    return recallHandle
  }
  const [early, late] = [await send(), await send()]
  assert.is((await broker.timers.recall('reports', early)).outcome, 'recalled')
  await broker.clock.advance('1 hour')
  assert.is((await arrivals(broker)).length, 1)
  assert.is((await broker.timers.recall('reports', early)).outcome, 'recalled')
  assert.is((await broker.timers.recall('reports', late)).outcome, 'delivered')
})

Schedules('by interval keeps its grid, run after run, each with an id of its own', async () => {
  await using broker = await aBroker()
  const made = await broker.schedules.create('pulse', {
    topic: 'reports',
    every: '8 hours',
    message: { body: 'beat', tag: 't', keys: ['k'], properties: { a: 'b' } },
  })
  assert.equal(made, {
    name: 'pulse',
    topic: 'reports',
    rule: { everyMs: 8 * HOUR_MS, fromMs: START_MS },
    missed: 'once',
    state: 'active',
    createdAtMs: START_MS,
    nextRunAtMs: START_MS + 8 * HOUR_MS,
    timerId: made.timerId ?? 'none',
  })
  await broker.clock.advance('1 day')
  const [message] = await broker.receive({ topic: 'reports', group: 'lookers', batchMax: 1 })
  assert.equal([message?.text, message?.tag, message?.keys], ['beat', 't', ['k']])
  assert.equal(message?.properties, { a: 'b' })
  assert.equal(await arrivals(broker), [
    'pulse@2026-03-28T20:00:00.000Z 2026-03-28T20:00',
    'pulse@2026-03-29T04:00:00.000Z 2026-03-29T04:00',
    'pulse@2026-03-29T12:00:00.000Z 2026-03-29T12:00',
  ])
  assert.is(broker.timers.count(), 1)
})

Schedules('by cron runs at its hour in its zone, through a change of clocks', async () => {
  await using broker = await aBroker()
  await broker.schedules.create('nightly', {
    topic: 'reports',
    cron: '0 2 * * *',
    timeZone: 'Europe/Berlin',
    message: { body: 'go' },
  })
  await broker.clock.advance('3 days')
  assert.equal(await arrivals(broker), [
    'nightly@2026-03-29T01:00:00.000Z 2026-03-29T01:00',
    'nightly@2026-03-30T00:00:00.000Z 2026-03-30T00:00',
    'nightly@2026-03-31T00:00:00.000Z 2026-03-31T00:00',
  ])
})

Schedules('is paused, resumed and deleted, and what it planned with it', async () => {
  await using broker = await aBroker()
  const options = { topic: 'reports', every: '1 hour', message: { body: 'x' } }
  await broker.schedules.create('pulse', options)
  const paused = await broker.schedules.pause('pulse')
  assert.equal([paused.state, paused.nextRunAtMs, broker.timers.count()], ['paused', undefined, 0])
  await broker.clock.advance('210 minutes')
  assert.equal(await arrivals(broker), [])
  const { nextRunAtMs } = await broker.schedules.resume('pulse')
  assert.is(nextRunAtMs, START_MS + 4 * HOUR_MS)
  await broker.clock.advance('1 hour')
  assert.is((await arrivals(broker)).length, 1)
  await broker.schedules.delete('pulse')
  assert.equal([broker.schedules.list(), broker.timers.count()], [[], 0])
  await broker.clock.advance('1 day')
  assert.equal(await arrivals(broker), [])
  assert.is(await refusal(broker.schedules.pause('pulse')), 'SCHEDULE_NOT_FOUND')
})

Schedules('whose next run is cancelled goes on with the one after', async () => {
  await using broker = await aBroker()
  const options = { topic: 'reports', every: '1 hour', message: { body: 'x' } }
  const { timerId = '' } = await broker.schedules.create('pulse', options)
  assert.is(await broker.timers.cancel(timerId), true)
  await broker.clock.advance('2 hours')
  assert.equal(await arrivals(broker), ['pulse@2026-03-28T14:00:00.000Z 2026-03-28T14:00'])
})

Schedules('whose next run is delivered ahead runs again after its time, not at it', async () => {
  await using broker = await aBroker()
  const options = { topic: 'reports', every: '1 hour', message: { body: 'x' } }
  const { timerId = '' } = await broker.schedules.create('pulse', options)
  await broker.timers.fire(timerId)
  await broker.clock.advance('2 hours')
  assert.equal(await arrivals(broker), [
    'pulse@2026-03-28T13:00:00.000Z 2026-03-28T12:00',
    'pulse@2026-03-28T14:00:00.000Z 2026-03-28T14:00',
  ])
})

Schedules('ends with its topic, and leaves its name', async () => {
  await using broker = await aBroker()
  const options = { topic: 'reports', every: '1 hour', message: { body: 'x' } }
  await broker.schedules.create('pulse', options)
  await broker.topics.end('reports')
  assert.equal([broker.schedules.list(), broker.timers.count()], [[], 0])
  await broker.topics.create('reports', { type: 'MIXED' })
  await broker.clock.advance('1 day')
  assert.equal(await arrivals(broker), [])
  await broker.schedules.create('pulse', options)
  assert.is((await broker.audit()).clean, true)
})

Schedules('is created once: the same again is harmless, another is refused', async () => {
  await using broker = await aBroker()
  await broker.topics.create('orders')
  const options = { topic: 'reports', every: '1 hour', message: { body: 'x' } }
  const create = (name: string, change = {}) =>
    refusal(broker.schedules.create(name, { ...options, ...change }))
  assert.equal(await Promise.all([create('pulse'), create('pulse')]), ['accepted', 'accepted'])
  assert.is(await create('pulse', { every: '2 hours' }), 'SCHEDULE_EXISTS')
  assert.is(await create('pulse', { message: { body: 'y' } }), 'SCHEDULE_EXISTS')
  assert.is(broker.timers.count(), 1)
  assert.is(await create('other', { topic: 'orders' }), 'MESSAGE_TYPE_CONFLICT')
  assert.is(await create('other', { topic: 'unknown' }), 'TOPIC_NOT_FOUND')
  assert.is(await create('a b'), 'SCHEDULE_ILLEGAL')
  assert.is(await create('other', { cron: '* * * * *' }), 'SCHEDULE_ILLEGAL')
  assert.is(await create('other', { every: '10 ms' }), 'SCHEDULE_ILLEGAL')
  assert.is(await create('other', { every: 'often' }), 'DURATION_ILLEGAL')
  assert.is(await create('other', { message: { body: '' } }), 'MESSAGE_BODY_EMPTY')
  assert.is(await create('other', { missed: 'twice' }), 'SCHEDULE_ILLEGAL')
  const large = { message: { body: new Uint8Array(65_537) } }
  assert.is(await create('other', large), 'SCHEDULE_ILLEGAL')
})

Schedules('a committed transaction with a delivery time waits for both', async () => {
  await using broker = await aBroker()
  await broker.topics.create('orders', { type: 'MIXED', queues: 1 })
  const count = async () =>
    (await broker.receive({ topic: 'orders', group: 'readers', invisibleMs: 1 })).length
  const kept = await broker.transaction('orders', { body: 'x', delayMs: 5_000 })
  const dropped = await broker.transaction('orders', { body: 'y' })
  await dropped.rollback()
  await kept.commit()
  assert.is(await count(), 0)
  await broker.clock.advance(5_000)
  assert.is(await count(), 1)
})

Schedules('a transaction nobody resolves is asked about, and parked in the end', async () => {
  await using broker = await aBroker()
  await broker.topics.create('orders', { type: 'TRANSACTION', queues: 1 })
  const asked: string[] = []
  const stop = broker.checkTransactions('orders', ({ text }) => {
    asked.push(`${text} ${(broker.clock.wallMs() - START_MS) / 1_000}`)
    return 'unknown'
  })
  await broker.transaction('orders', { body: 'x' })
  await broker.clock.advance('1 day')
  assert.equal(asked.slice(0, 3), ['x 6', 'x 36', 'x 66'])
  assert.is(asked.length, 15)
  const { transactions } = await broker.transactions.list()
  assert.equal(
    transactions.map(({ state, checks }) => [state, checks]),
    [['parked', 15]],
  )
  stop()
})

Schedules.run()
