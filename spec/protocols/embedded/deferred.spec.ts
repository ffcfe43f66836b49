import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { tierOff } from '../../../actors/tier/tier-off.ts'
import { isBrokerError } from '../../../model/errors.ts'
import type { MessageDraft } from '../../../model/message/encode.ts'
import { EmbeddedBroker } from '../../../protocols/embedded/embedded-broker.ts'
import { recordingLogger } from '../grpc/support/calls.ts'
import { FakeBroker } from '../grpc/support/fake-broker.ts'
import { SimulatedClock } from '../../support/simulated-clock.ts'
import { seededRandom } from '../../support/random.ts'

/** Delivery times and transactions of the embedded API, in front of a fake broker. */
const Deferred = suite('delivery times and transactions in a program')

const aProgram = () => {
  const clock = new SimulatedClock()
  const fake = new FakeBroker(clock)
  fake.addTopic('orders', 'MIXED')
  const logger = recordingLogger()
  const broker = new EmbeddedBroker({
    broker: Object.assign(fake, { close: async () => {} }),
    clock,
    logger,
    random: seededRandom(1),
    host: 'host',
    audit: () => Promise.reject(new Error('not part of this spec')),
    metrics: () => Promise.reject(new Error('not part of this spec')),
    backup: () => Promise.reject(new Error('not part of this spec')),
    tiering: tierOff,
    owned: [],
  })
  return { broker, fake, clock, logger }
}

const refusal = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'accepted',
    (error: unknown) => (isBrokerError(error) ? error.code : String(error)),
  )

Deferred('a delivery time is a moment, a delay, or one of the eighteen levels', async () => {
  const { broker, fake, clock } = aProgram()
  const nowMs = clock.wallMs()
  const dueAt = async (draft: Omit<MessageDraft, 'body'>) => {
    const { recallHandle = '' } = await broker.send('orders', { body: 'x', ...draft })
    const message = fake.scheduled.get(recallHandle)
    assert.is(message?.type, 'DELAY')
    return (message?.deliverAtMs ?? 0) - nowMs
  }
  assert.is(await dueAt({ deliverAtMs: nowMs + 5 }), 5)
  assert.is(await dueAt({ deliverAtMs: nowMs + 4.2 }), 5, 'never early, by no part of a ms')
  assert.is(await dueAt({ delayMs: 60_000 }), 60_000)
  assert.is(await dueAt({ delayLevel: 3 }), 10_000)
  assert.is(await dueAt({ delayLevel: 18 }), 7_200_000)
})

Deferred('a time that has passed means at once, level 0 no delay at all', async () => {
  const { broker, fake, clock } = aProgram()
  await broker.send('orders', { body: 'past', deliverAtMs: clock.wallMs() })
  await broker.send('orders', { body: 'none', delayLevel: 0 })
  assert.equal(
    fake.stored.get('orders')?.map(({ type }) => type),
    ['DELAY', 'NORMAL'],
  )
})

Deferred('what is no time is refused', async () => {
  const { broker } = aProgram()
  const illegal: Omit<MessageDraft, 'body'>[] = [
    { delayMs: 1, delayLevel: 1 },
    { deliverAtMs: 1, delayMs: 1 },
    { delayMs: Number.NaN },
    { deliverAtMs: Number.POSITIVE_INFINITY },
    { deliverAtMs: -1 },
    { delayLevel: 1.5 },
    { delayLevel: -1 },
  ]
  for (const draft of illegal)
    assert.is(
      await refusal(broker.send('orders', { body: 'x', ...draft })),
      'DELIVERY_TIME_ILLEGAL',
      JSON.stringify(draft),
    )
})

Deferred('a transaction is committed or rolled back', async () => {
  const { broker, fake } = aProgram()
  const one = await broker.transaction('orders', { body: 'one', messageId: 'm1' })
  const two = await broker.transaction('orders', { body: 'two', messageId: 'm2' })
  assert.equal([one.state, fake.halves.size], ['pending', 2])
  await one.commit()
  await two.rollback()
  assert.equal([one.state, two.state], ['committed', 'rolledBack'])
  assert.equal(fake.resolved, ['orders m1 commit', 'orders m2 rollback'])
})

Deferred('a block that is left without a commit rolls back', async () => {
  const { broker, fake } = aProgram()
  await (async () => {
    await using transaction = await broker.transaction('orders', { body: 'x', messageId: 'm1' })
    assert.is(transaction.messageId, 'm1')
    throw new Error('the program failed')
  })().catch(() => {})
  assert.equal(fake.resolved, ['orders m1 rollback'])
  {
    await using transaction = await broker.transaction('orders', { body: 'x', messageId: 'm2' })
    await transaction.commit()
  }
  assert.equal(fake.resolved.slice(1), ['orders m2 commit'])
})

Deferred('a block that is left after a check has committed is left in peace', async () => {
  const { broker, fake } = aProgram()
  await using transaction = await broker.transaction('orders', { body: 'x' })
  fake.halves.delete(transaction.transactionId)
})

/** A check as the broker asks it, of whoever says that it can. */
const ask = (fake: FakeBroker, transactionId: string): boolean => {
  const half = fake.halves.get(transactionId)
  if (half === undefined) throw new Error('there is no such transaction')
  const { topic, message } = half
  const place = { topicId: 1, queueId: 0, queueOffset: 0, physicalOffset: 0, storeAtMs: 0 }
  const asked = { transactionId, message: { topic, ...place, ...message } }
  return [...fake.checkers]
    .filter((checker) => checker.topics.has(topic))
    .filter((checker) => (checker.transactionId ?? transactionId) === transactionId)
    .some((checker) => checker.check(asked))
}

Deferred('a check of a transaction is asked about that one, while it is pending', async () => {
  const { broker, fake, clock } = aProgram()
  const asked: string[] = []
  const options = {
    checkAfterMs: 1_000,
    check: ({ text }: { text: string }) => {
      asked.push(text)
      return 'commit' as const
    },
  }
  const mine = await broker.transaction('orders', { body: 'mine', messageId: 'm1' }, options)
  const other = await broker.transaction('orders', { body: 'other' })
  assert.is(fake.halves.get(mine.transactionId)?.message.checkAfterMs, 1_000)
  assert.is(ask(fake, other.transactionId), false)
  assert.is(ask(fake, mine.transactionId), true)
  await clock.settle()
  assert.equal([asked, fake.resolved], [['mine'], ['orders m1 commit']])
  await other.rollback()
  const last = await broker.transaction('orders', { body: 'last' }, options)
  await last.rollback()
  assert.is(fake.checkers.size, 0)
})

Deferred('a checker of a topic answers for programs that have ended', async () => {
  const { broker, fake, clock, logger } = aProgram()
  const answers = ['unknown', 'fails', 'rollback'] as const
  let turn = 0
  const stop = broker.checkTransactions('orders', async () => {
    const answer = answers[turn++]
    if (answer === 'fails' || answer === undefined) throw new Error('the database is away')
    return answer
  })
  const { transactionId } = await broker.transaction('orders', { body: 'x', messageId: 'm1' })
  for (const _ of answers) {
    assert.equal(fake.resolved, [])
    assert.is(ask(fake, transactionId), true)
    await clock.settle()
  }
  assert.equal(fake.resolved, ['orders m1 rollback'])
  assert.equal(
    logger.lines.map(({ level }) => level),
    ['warn'],
  )
  stop()
  assert.is(fake.checkers.size, 0)
})

Deferred('a first check is asked for within an hour', async () => {
  const { broker } = aProgram()
  for (const checkAfterMs of [0, -1, 3_600_001, Number.NaN])
    assert.is(
      await refusal(broker.transaction('orders', { body: 'x' }, { checkAfterMs })),
      'TRANSACTION_RECOVERY_TOO_LONG',
    )
})

Deferred.run()
