import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BrokerMetrics } from '../../actors/metrics/broker-metrics.ts'
import { type BrokerErrorCode, isBrokerError } from '../../model/errors.ts'
import { encodeDraft } from '../../model/message/encode.ts'
import type { SendReceipt } from '../../model/ports.ts'
import type { TransactionCheck } from '../../model/transaction/transactions.ts'
import { type Life, Lives, tinySettings } from '../simulation/lives.ts'

const TOPIC = 'orders'
const settings = { ...tinySettings, timers: { ...tinySettings.timers, nearMax: 64 } }

const draft = (messageId: string) =>
  encodeDraft({ body: messageId }, { messageId, bornAtMs: 1, bornHost: 'here' })

/** A broker under a clock that stands still, restarted as often as it takes. */
class Bench {
  readonly lives = new Lives(1, settings, () => {})
  life!: Life

  static async open(type: 'DELAY' | 'TRANSACTION' | 'MIXED' = 'MIXED'): Promise<Bench> {
    const bench = new Bench()
    bench.life = await bench.lives.open()
    await bench.until(bench.broker.topics.create(TOPIC, { type, queues: 1 }))
    return bench
  }

  get broker() {
    return this.life.broker
  }

  get nowMs(): number {
    return this.lives.clock.wallMs()
  }

  until<Result>(work: Promise<Result>): Promise<Result> {
    return this.lives.clock.until(work)
  }

  schedule(messageId: string, dueMs: number): Promise<SendReceipt> {
    const message = { ...draft(messageId), type: 'DELAY', deliverAtMs: dueMs } as const
    return this.until(this.broker.append(TOPIC, message))
  }

  async restart({ checkpoint = true, rebuild = false } = {}): Promise<void> {
    if (checkpoint) await this.until(this.broker.close())
    this.life.die()
    this.lives.place.crash(1)
    if (rebuild) {
      const index = await this.until(this.lives.place.openDatabase('index'))
      await this.until(index.clear({}))
      await this.until(index.close())
    }
    this.life = await this.lives.open()
    await this.lives.clock.settle()
  }

  async recall({ recallHandle = '' }: SendReceipt): Promise<string> {
    return (await this.until(this.broker.timers.recall(TOPIC, recallHandle))).outcome
  }

  get delivered(): number {
    return this.broker.topics.describe(TOPIC).messages
  }

  count(): number {
    const gauges = [...new BrokerMetrics(this.broker).samples()].filter(
      ({ name, labels }) => name === 'rocketmq_timing_messages' && labels['topic'] === TOPIC,
    )
    assert.is(gauges[0]?.value, this.broker.timers.count(TOPIC), 'the metric is the size')
    return this.broker.timers.count(TOPIC)
  }
}

const refusedWith = async (work: () => Promise<unknown>, code: BrokerErrorCode): Promise<void> => {
  try {
    await work()
  } catch (error) {
    assert.ok(isBrokerError(error, code), String(error))
    return
  }
  assert.unreachable(`not refused with ${code}`)
}

const Timers = suite('timers')

type Restart = 'none' | 'close' | 'crash' | 'rebuild'

for (const restart of ['none', 'close', 'crash', 'rebuild'] as const satisfies Restart[])
  Timers(
    `are counted as the table says, with a restart between any two steps: ${restart}`,
    async () => {
      const bench = await Bench.open()
      const step = async (count: number): Promise<void> => {
        assert.is(bench.count(), count)
        if (restart === 'none') return
        await bench.restart({ checkpoint: restart === 'close', rebuild: restart === 'rebuild' })
        assert.is(bench.count(), count, 'the same after a restart')
      }
      const dueMs = bench.nowMs + 60_000
      const receipts = [
        await bench.schedule('a', dueMs),
        await bench.schedule('b', dueMs),
        await bench.schedule('c', dueMs),
      ] as const
      await step(3)
      assert.is(await bench.recall(receipts[0]), 'recalled')
      await step(2)
      assert.is(await bench.recall(receipts[0]), 'recalled', 'again')
      await step(2)
      assert.is(await bench.until(bench.broker.timers.cancel('999')), false, 'an unknown id')
      await step(2)
      assert.is(await bench.recall({ ...receipts[0], recallHandle: 'AgEB' }), 'invalid')
      await step(2)
      const last = receipts[1].recallHandle ?? ''
      const forged = `${last.slice(0, 4)}${last[4] === 'A' ? 'B' : 'A'}${last.slice(5)}`
      assert.is(
        await bench.recall({ ...receipts[1], recallHandle: forged }),
        'invalid',
        'a wrong time',
      )
      await step(2)
      await bench.schedule('at once', bench.nowMs)
      assert.is(bench.delivered, 1, 'due at once: delivered at once, never counted')
      await step(2)
      await bench.lives.clock.advance(dueMs - bench.nowMs - 1)
      assert.is(bench.delivered, 1, 'not early')
      await bench.lives.clock.advance(1_100)
      assert.is(bench.delivered, 3, 'two delivered, the recalled one is not')
      await step(0)
      assert.is(await bench.recall(receipts[1]), 'delivered')
      await step(0)
      const far = await bench.schedule('far', bench.nowMs + 40 * 86_400_000)
      await step(1)
      assert.is(await bench.recall(far), 'recalled', 'a far one, before it comes near')
      await step(0)
      await bench.schedule('with its topic', bench.nowMs + 60_000)
      await step(1)
      await bench.until(bench.broker.topics.end(TOPIC))
      assert.is(bench.broker.timers.count(), 0)
      const left = [...new BrokerMetrics(bench.broker).samples()].filter(
        ({ labels }) => labels['topic'] === TOPIC,
      )
      assert.equal(left, [], 'no series of the topic is left')
      await bench.restart()
      await bench.lives.clock.advance(100_000)
      assert.is(bench.broker.timers.count(), 0)
      await bench.until(bench.broker.close())
    },
  )

Timers('are exactly none after 1,000 sends, each recalled while others are under way', async () => {
  const bench = await Bench.open()
  const dueMs = bench.nowMs + 60_000
  const pair = async (number: number): Promise<string> => {
    const message = { ...draft(`m${number}`), type: 'DELAY', deliverAtMs: dueMs } as const
    const { recallHandle = '' } = await bench.broker.append(TOPIC, message)
    return (await bench.broker.timers.recall(TOPIC, recallHandle)).outcome
  }
  for (let round = 0; round < 20; round++) {
    const pairs = Array.from({ length: 50 }, (_, index) => pair(round * 50 + index))
    const outcomes = new Set(await bench.until(Promise.all(pairs)))
    assert.equal([...outcomes], ['recalled'])
  }
  assert.is(bench.count(), 0)
  await bench.lives.clock.advance(100_000)
  assert.is(bench.delivered, 0)
})

Timers('do not fire when they are recalled while their message is read', async () => {
  const bench = await Bench.open()
  const receipt = await bench.schedule('a', bench.nowMs + 1_000)
  const store = bench.broker.deferred.stores.timer
  const read = store.read.bind(store)
  let isRead = (): void => {}
  const gate = new Promise<void>((resolve) => {
    isRead = resolve
  })
  store.read = async (ids) => {
    const found = await read(ids)
    await gate
    return found
  }
  await bench.lives.clock.advance(1_500)
  bench.lives.place.slowWrites('commit-log', 500)
  const recalling = bench.broker.timers.recall(TOPIC, receipt.recallHandle ?? '')
  await bench.lives.clock.settle()
  isRead()
  await bench.lives.clock.advance(5_000)
  assert.is((await recalling).outcome, 'recalled')
  assert.is(bench.delivered, 0)
  assert.is(bench.count(), 0)
})

Timers('tell of no end before it is on disk', async () => {
  const bench = await Bench.open()
  const { recallHandle = '' } = await bench.schedule('a', bench.nowMs + 60_000)
  bench.lives.place.slowWrites('commit-log', 500)
  const told: string[] = []
  for (const who of ['first', 'second'])
    void bench.broker.timers
      .recall(TOPIC, recallHandle)
      .then(({ outcome }) => told.push(`${who} ${outcome}`))
  await bench.lives.clock.advance(400)
  assert.equal(told, [])
  assert.is(bench.count(), 1, 'the gauge is not ahead of the disk either')
  await bench.lives.clock.advance(2_000)
  assert.equal(told, ['first recalled', 'second recalled'])
  assert.is(bench.count(), 0)
})

Timers('notice within a second that the wall clock was set', async () => {
  const bench = await Bench.open()
  await bench.schedule('a', bench.nowMs + 200_000)
  await bench.lives.clock.advance(1)
  bench.lives.clock.jumpWall(250_000)
  await bench.lives.clock.advance(1_100)
  assert.is(bench.delivered, 1)
  await bench.schedule('b', bench.nowMs + 1_000)
  bench.lives.clock.jumpWall(-3_600_000)
  await bench.lives.clock.advance(3_000_000)
  assert.is(bench.delivered, 1, 'set back: it waits for its time by the wall')
  await bench.lives.clock.advance(602_000)
  assert.is(bench.delivered, 2)
})

Timers('come in due order after a long stop, more than fit in memory at once', async () => {
  const bench = await Bench.open()
  const count = 600
  const nowMs = bench.nowMs
  for (let number = 0; number < count; number++)
    await bench.schedule(`${number}`, nowMs + 10_000 + ((number * 7_919) % count) * 60_000)
  await bench.restart()
  bench.lives.clock.jumpWall(365 * 86_400_000)
  await bench.restart({ checkpoint: false })
  await bench.lives.clock.advance(60_000)
  assert.is(bench.delivered, count)
  const order: number[] = []
  while (order.length < count) {
    const query = { topic: TOPIC, queueId: 0, fromOffset: order.length, limit: 32 }
    const views = await bench.until(bench.broker.messages.peek(query))
    order.push(...views.map(({ messageId }) => (Number(messageId) * 7_919) % count))
  }
  assert.equal(
    order,
    order.map((_, index) => index),
    'in due order',
  )
})

Timers('refuse what lies beyond the horizon, and what the topic does not take', async () => {
  const bench = await Bench.open('DELAY')
  const { horizonMs } = tinySettings.timers
  await refusedWith(
    () => bench.schedule('far', bench.nowMs + horizonMs + 1),
    'DELIVERY_TIME_ILLEGAL',
  )
  await bench.schedule('far', bench.nowMs + horizonMs)
  await refusedWith(
    async () => bench.until(bench.broker.append(TOPIC, draft('plain'))),
    'MESSAGE_TYPE_CONFLICT',
  )
  assert.is(bench.count(), 1)
})

Timers('are held while their topic is paused, also over a restart, and come in order', async () => {
  const bench = await Bench.open('DELAY')
  await bench.schedule('b', bench.nowMs + 20_000)
  await bench.schedule('a', bench.nowMs + 10_000)
  await bench.until(bench.broker.topics.update(TOPIC, { paused: true }))
  await bench.lives.clock.advance(60_000)
  assert.equal([bench.count(), bench.delivered], [2, 0])
  for (const rebuild of [false, true]) {
    await bench.restart({ rebuild })
    assert.is(bench.broker.topics.describe(TOPIC).paused, true)
    await bench.lives.clock.advance(60_000)
    assert.equal([bench.count(), bench.delivered], [2, 0])
  }
  await bench.until(bench.broker.topics.update(TOPIC, { paused: false }))
  await bench.lives.clock.advance(100)
  assert.equal([bench.count(), bench.delivered], [0, 2])
  const query = { topic: TOPIC, queueId: 0, fromOffset: 0, limit: 2 }
  const views = await bench.until(bench.broker.messages.peek(query))
  assert.is(views.map(({ messageId }) => messageId).join(' '), 'a b')
})

Timers('are listed although they leave memory for the index meanwhile', async () => {
  const bench = await Bench.open()
  const dueMs = bench.nowMs + 40 * 86_400_000
  for (const messageId of ['a', 'b', 'c']) await bench.schedule(messageId, dueMs)
  const store = bench.broker.deferred.stores.timer
  const stored = store.stored.bind(store)
  let looks = 0
  store.stored = async function* (topicId, fromMs) {
    yield* stored(topicId, fromMs)
    if (looks++ === 0) await bench.broker.upkeep.checkpoint()
  }
  const { timers } = await bench.until(bench.broker.timers.list())
  assert.ok(looks > 1)
  assert.is(timers.map(({ messageId }) => messageId).join(' '), 'a b c')
})

Timers('are recalled although they leave memory again before it is decided', async () => {
  const bench = await Bench.open()
  const receipt = await bench.schedule('a', bench.nowMs + 40 * 86_400_000)
  await bench.until(bench.broker.upkeep.checkpoint())
  const store = bench.broker.deferred.stores.timer
  const bring = store.bring.bind(store)
  let brought = 0
  store.bring = async (id) => {
    const slot = await bring(id)
    if (brought++ === 0) store.set.changesWritten()
    return slot
  }
  assert.is(await bench.recall(receipt), 'recalled')
  assert.is(bench.count(), 0)
})

for (const change of ['end', 'pause'] as const)
  Timers(
    `come at once when it was not written that their topic takes none: ${change}`,
    async () => {
      const bench = await Bench.open()
      await bench.schedule('a', bench.nowMs + 1_000)
      let checks = 0
      bench.broker.transactions.register({ topics: new Set([TOPIC]), check: () => ++checks > 0 })
      const half = { ...draft('half'), type: 'TRANSACTION', checkAfterMs: 1_000 } as const
      await bench.until(bench.broker.append(TOPIC, half))
      const { place, clock } = bench.lives
      place.slowWrites('commit-log', 2_000)
      place.failWrites('commit-log', { error: 'EIO', leaves: 'nothing', count: 1 })
      const { topics } = bench.broker
      const changing = change === 'end' ? topics.end(TOPIC) : topics.update(TOPIC, { paused: true })
      const refused = refusedWith(() => changing, 'STORE_UNAVAILABLE')
      await clock.advance(1_500)
      place.slowWrites('commit-log', 0)
      await clock.advance(1_500)
      await bench.until(refused)
      assert.equal([bench.delivered, bench.count(), checks], [1, 0, 1])
    },
  )

Timers('hold while the log refuses, visibly, and come when it writes again', async () => {
  const bench = await Bench.open()
  await bench.schedule('a', bench.nowMs + 5_000)
  bench.lives.place.failWrites('commit-log', { error: 'EIO', leaves: 'nothing', count: 1_000 })
  bench.lives.place.failOpens('commit-log', { error: 'EIO', count: 1_000 })
  await bench.lives.clock.advance(20_000)
  const wheel = [...bench.broker.loops()].find(({ address }) => address === 'timer-wheel')
  assert.is(wheel?.state, 'held')
  assert.ok(wheel?.lastError, 'and why')
  assert.is(bench.count(), 1, 'it still waits')
  bench.lives.place.heal()
  await bench.lives.clock.advance(20_000)
  assert.is(bench.delivered, 1)
  assert.is(bench.count(), 0)
})

const Transactions = suite('transactions')

const half = (messageId: string) => ({ ...draft(messageId), type: 'TRANSACTION' }) as const

Transactions('are asked for after 6 s, then every 30 s, 15 times, and then parked', async () => {
  const bench = await Bench.open('TRANSACTION')
  const checks: number[] = []
  const startMs = bench.nowMs
  bench.broker.transactions.register({
    topics: new Set([TOPIC]),
    check: () => checks.push(bench.nowMs - startMs) > 0,
  })
  const sent = await bench.until(bench.broker.append(TOPIC, half('a')))
  await bench.lives.clock.advance(5_000)
  assert.equal(checks, [])
  await bench.lives.clock.advance(3_600_000)
  assert.is(checks.length, 15)
  const [first = 0] = checks
  assert.ok(first >= 6_000 && first < 6_100, `first after ${first} ms`)
  for (let index = 1; index < 15; index++) {
    const between = (checks[index] as number) - (checks[index - 1] as number)
    assert.ok(between >= 30_000 && between < 30_100, `${between} ms between`)
  }
  for (const checkpoint of [true, false]) {
    const { transactions } = await bench.until(bench.broker.transactions.list({ topic: TOPIC }))
    assert.is(transactions[0]?.state, 'parked')
    assert.is(transactions[0]?.checks, 15)
    await bench.restart({ checkpoint })
  }
  assert.is(bench.delivered, 0, 'nobody sees it')
  const { transactionId = '', messageId } = sent
  const end = { topic: TOPIC, transactionId, messageId }
  await bench.until(bench.broker.transactions.end({ ...end, resolution: 'commit' }))
  await bench.until(bench.broker.transactions.end({ ...end, resolution: 'commit' }))
  assert.is(bench.delivered, 1)
  await refusedWith(
    () => bench.until(bench.broker.transactions.end({ ...end, resolution: 'rollback' })),
    'TRANSACTION_NOT_FOUND',
  )
  assert.is(bench.broker.transactions.count(), 0)
})

Transactions(
  'are offered to the next producer when one cannot be asked, after a crash',
  async () => {
    const bench = await Bench.open('TRANSACTION')
    await bench.until(bench.broker.append(TOPIC, { ...half('a'), checkAfterMs: 10_000 }))
    await bench.restart({ checkpoint: false })
    const asked: TransactionCheck[] = []
    bench.broker.transactions.register({ topics: new Set(['other']), check: () => true })
    bench.broker.transactions.register({ topics: new Set([TOPIC]), check: () => false })
    await bench.lives.clock.advance(9_000)
    const leave = bench.broker.transactions.register({
      topics: new Set([TOPIC]),
      check: (check) => asked.push(check) > 0,
    })
    await bench.lives.clock.advance(2_000)
    assert.is(asked.length, 1)
    assert.is(Buffer.from(asked[0]?.message.body ?? []).toString(), 'a')
    leave()
    await bench.lives.clock.advance(100_000)
    assert.is(asked.length, 1)
    const transactionId = asked[0]?.transactionId ?? ''
    const end = { topic: TOPIC, transactionId, messageId: 'a' }
    await bench.until(bench.broker.transactions.end({ ...end, resolution: 'rollback' }))
    await bench.restart({ rebuild: true })
    await bench.until(bench.broker.transactions.end({ ...end, resolution: 'rollback' }))
    await bench.lives.clock.advance(100_000)
    assert.is(bench.delivered, 0)
    assert.is(bench.broker.transactions.count(TOPIC), 0)
  },
)

Transactions('with a delivery time wait for it once they are committed', async () => {
  const bench = await Bench.open()
  const deliverAtMs = bench.nowMs + 60_000
  const sent = await bench.until(bench.broker.append(TOPIC, { ...half('a'), deliverAtMs }))
  const { transactionId = '' } = sent
  const end = { topic: TOPIC, transactionId, messageId: 'a', resolution: 'commit' } as const
  await bench.until(bench.broker.transactions.end(end))
  assert.equal([bench.broker.transactions.count(), bench.count(), bench.delivered], [0, 1, 0])
  await bench.restart({ rebuild: true })
  assert.equal([bench.broker.transactions.count(), bench.count(), bench.delivered], [0, 1, 0])
  await bench.lives.clock.advance(61_100)
  assert.equal([bench.count(), bench.delivered], [0, 1])
})

Timers.run()
Transactions.run()
