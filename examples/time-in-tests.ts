import { createBroker, type EmbeddedBroker } from 'glasspost'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

/**
 * Your own scheduled flows, tested in milliseconds: a broker in memory whose time stands still
 * until the test lets it pass. Leases, redeliveries and long polls follow the same clock.
 */
const trial = {
  /** Reminds whoever has not confirmed after three days. */
  begin: async (broker: EmbeddedBroker, user: string): Promise<string> => {
    const reminder = { body: `remind ${user}`, keys: [user], delayMs: 3 * 86_400_000 }
    const { recallHandle = '' } = await broker.send('mails', reminder)
    return recallHandle
  },
  /** True when the reminder was still to come, and now never will. */
  confirm: async (broker: EmbeddedBroker, recallHandle: string): Promise<boolean> =>
    (await broker.timers.recall('mails', recallHandle)).outcome === 'recalled',
}

const Time = suite('flows that take days')

const aBroker = async (): Promise<EmbeddedBroker> => {
  const broker = await createBroker({ memory: true, clock: { startAt: '2026-03-01T08:00:00Z' } })
  await broker.topics.create('mails', { type: 'DELAY' })
  return broker
}

const mails = async (broker: EmbeddedBroker): Promise<string[]> => {
  const received = await broker.receive({ topic: 'mails', group: 'mailer' })
  for (const mail of received) await mail.ack()
  return received.map(({ text }) => text)
}

Time('a trial that nobody confirms brings a reminder after three days', async () => {
  await using broker = await aBroker()
  await trial.begin(broker, 'ann')

  await broker.clock.advance('2 days 23 hours')
  assert.equal(await mails(broker), [])

  await broker.clock.advance('1 hour')
  assert.equal(await mails(broker), ['remind ann'])
})

Time('a trial that is confirmed brings none', async () => {
  await using broker = await aBroker()
  const recallHandle = await trial.begin(broker, 'bob')
  assert.is(broker.timers.count('mails'), 1)

  await broker.clock.advance('1 day')
  assert.is(await trial.confirm(broker, recallHandle), true)

  await broker.clock.advance('1 week')
  assert.equal(await mails(broker), [])
})

Time('a mail that the mailer fails on comes again by itself', async () => {
  await using broker = await aBroker()
  await trial.begin(broker, 'eve')
  await broker.clock.advance('3 days')

  const lease = { topic: 'mails', group: 'mailer', invisibleMs: 30_000 }
  const [first] = await broker.receive(lease)
  assert.is(first?.attempt, 1)

  await broker.clock.advance('30 seconds')
  const [again] = await broker.receive(lease)
  assert.is(again?.attempt, 2)
})

Time('a report is sent every working day, at the hour of its office', async () => {
  await using broker = await aBroker()
  await broker.schedules.create('daily-report', {
    topic: 'mails',
    cron: '0 9 * * 1-5',
    timeZone: 'Europe/Berlin',
    message: { body: 'report' },
  })

  const sent: string[] = []
  for (let day = 0; day < 7; day++) {
    await broker.clock.advance('1 day')
    sent.push(...(await mails(broker)))
  }
  assert.is(sent.length, 5)
})

Time.run()
