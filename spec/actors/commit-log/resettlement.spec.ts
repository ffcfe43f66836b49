import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../../model/errors.ts'
import { holds } from '../../support/property.ts'
import { aLog, buffered } from './a-log.ts'

const Resettlement = suite('after a failed write')

Resettlement('what reached the log is acknowledged, and nothing is written twice', async () => {
  const { clock, place, log, send, answers, consequences, facts } = await aLog()
  place.failWrites('commit-log', { error: 'EIO', leaves: 'whole', count: 1 })
  send(1)
  send(2)
  await clock.settle()
  assert.is(log.mode, 'writing')
  assert.equal(answers, ['1 done', '2 done'])
  assert.equal(consequences, ['1 synced', '2 synced'])
  assert.equal(await facts(), ['d1', 'd2'])
})

for (const leaves of ['torn', 'nothing'] as const)
  Resettlement(
    `what did not reach the log (${leaves}) is refused, and its place is free`,
    async () => {
      const { clock, place, log, send, answers, consequences, facts } = await aLog()
      place.failWrites('commit-log', { error: 'EIO', leaves, count: 1 })
      const first = send(1)
      await clock.settle()
      assert.is(log.mode, 'writing')
      assert.equal(answers, ['1 STORE_UNAVAILABLE'])
      assert.equal(consequences, ['1 gone'])
      assert.ok(send(2) <= first + 100, 'the place is used again')
      await clock.settle()
      assert.equal(answers, ['1 STORE_UNAVAILABLE', '2 done'])
      assert.equal(await facts(), ['d2'])
    },
  )

Resettlement('what the store does not answer in time is said to be unknown, once', async () => {
  const { clock, place, log, send, answers, facts } = await aLog()
  place.hangWrites('commit-log')
  send(1)
  await clock.advance(3_000)
  assert.is(log.mode, 'refusing')
  assert.equal(answers, [])
  await clock.advance(1_000)
  assert.equal(answers, ['1 OUTCOME_UNKNOWN'])
  place.resumeWrites('commit-log')
  await clock.advance(2_000)
  assert.is(log.mode, 'writing')
  assert.equal(answers, ['1 OUTCOME_UNKNOWN'])
  assert.equal(await facts(), ['d1'])
})

Resettlement('what was never handed to the store is refused at once', async () => {
  const { clock, place, log, send, answers } = await aLog()
  place.failOpens('commit-log', { error: 'EIO' })
  place.failWrites('commit-log', { error: 'EIO', leaves: 'nothing', count: 1 })
  send(1)
  clock.soon(() => send(2))
  await clock.settle()
  assert.is(log.mode, 'refusing')
  assert.equal(answers, ['2 STORE_UNAVAILABLE'])
  assert.throws(
    () => send(3),
    (error: unknown) => isBrokerError(error, 'STORE_UNAVAILABLE'),
  )
})

type Step = 'durable' | 'buffered' | 'turn'
const aFault = fc.record({
  error: fc.constantFrom<'EIO' | 'ENOSPC'>('EIO', 'ENOSPC'),
  leaves: fc.constantFrom<'torn' | 'whole' | 'nothing'>('torn', 'whole', 'nothing'),
  count: fc.integer({ min: 1, max: 3 }),
})

Resettlement('buffered facts stay believed: each is on disk once, in order', () =>
  holds(
    fc.asyncProperty(
      fc.array(fc.constantFrom<Step>('durable', 'buffered', 'buffered', 'turn'), { maxLength: 60 }),
      fc.nat({ max: 60 }),
      aFault,
      async (script, at, fault) => {
        const { clock, place, log, send, answers, consequences, facts } = await aLog()
        const expected: string[] = []
        for (const [index, step] of script.entries()) {
          if (index === at) place.failWrites('commit-log', fault)
          if (step === 'turn') await clock.advance(7)
          else if (step === 'durable') {
            if (log.mode === 'writing') send(index)
          } else {
            log.admitBuffered(buffered(index))
            expected.push(`b${index}`)
          }
        }
        await clock.advance(10_000)
        assert.is(log.mode, 'writing')
        assert.is(log.unsyncedBytes, 0)
        const found = await facts()
        assert.equal(
          found.filter((fact) => fact.startsWith('b')),
          expected,
        )
        const done = answers.filter((answer) => answer.endsWith('done'))
        const synced = found.filter((fact) => fact.startsWith('d')).map((fact) => fact.slice(1))
        assert.equal(
          done.map((answer) => answer.split(' ')[0]),
          synced,
        )
        assert.equal(
          consequences.filter((one) => one.endsWith('synced')).map((one) => one.split(' ')[0]),
          synced,
        )
        assert.is(consequences.length, answers.length)
      },
    ),
    { runs: 300 },
  ),
)

Resettlement(
  'a full disk is reopened by the ballast, which is taken again afterwards',
  async () => {
    const { clock, place, log, events, send, answers } = await aLog()
    place.fillDisk()
    const before = events.length
    send(1)
    await clock.advance(100)
    place.freeDisk()
    await clock.advance(5_000)
    assert.is(log.mode, 'writing')
    assert.equal(answers, ['1 STORE_UNAVAILABLE'])
    const types = events.slice(before).map(({ type }) => type)
    assert.ok(types.indexOf('ballast.released') >= 0)
    assert.ok(types.indexOf('ballast.released') < types.indexOf('database.opened'))
    assert.ok(types.lastIndexOf('ballast.restored') > types.lastIndexOf('database.opened'))
  },
)

Resettlement(
  'a log that refuses for long takes no more than its share of buffered facts',
  async () => {
    const { clock, place, log, facts } = await aLog()
    place.failOpens('commit-log', { error: 'EIO' })
    place.failWrites('commit-log', { error: 'EIO', leaves: 'nothing', count: 1 })
    let taken = 0
    for (let round = 0; round < 2_000; round++) {
      try {
        log.admitBuffered(buffered(taken))
        taken++
      } catch (error) {
        assert.ok(isBrokerError(error, 'THROTTLED'))
      }
      if (round % 50 === 0) await clock.advance(500)
    }
    assert.ok(taken < 600, `${taken} facts were taken`)
    place.heal()
    await clock.advance(10_000)
    assert.is(log.mode, 'writing')
    assert.is((await facts()).length, taken)
  },
)

Resettlement('a log that ends before what it acknowledged never writes again', async () => {
  const { clock, place, log, actor, send, answers } = await aLog()
  send(1)
  await clock.settle()
  assert.equal(answers, ['1 done'])
  place.failWrites('commit-log', { error: 'EIO', leaves: 'nothing', count: 1 })
  place.failOpens('commit-log', { error: 'EIO', count: 1 })
  send(2)
  await clock.settle()
  const database = await clock.until(place.openDatabase('commit-log'))
  await clock.until(database.clear({}))
  await clock.until(database.close())
  await clock.advance(5_000)
  assert.is(log.mode, 'refusing')
  assert.match(String(actor.getSnapshot().context.lastError), 'was acknowledged')
})

Resettlement('closing tells everybody who still waits', async () => {
  const { clock, place, log, actor, send, answers } = await aLog()
  place.failOpens('commit-log', { error: 'EIO' })
  place.failWrites('commit-log', { error: 'EIO', leaves: 'nothing', count: 1 })
  send(1)
  await clock.settle()
  actor.send({ type: 'log.close' })
  await clock.settle()
  assert.is(log.mode, 'closed')
  assert.equal(answers, ['1 OUTCOME_UNKNOWN'])
  assert.is(clock.pending, 0)
})

Resettlement('a trim that fails makes the handle dead like any other write', async () => {
  const { clock, place, log, actor, send, answers, consequences } = await aLog()
  send(1)
  await clock.settle()
  place.hangWrites('commit-log')
  const trimming = log.trim(0, 1).catch((error: unknown) => error)
  send(2)
  await clock.settle()
  // The store acknowledges the send behind the torn record, and loses it at the next opening.
  place.failWrites('commit-log', { error: 'EIO', leaves: 'torn', count: 1 })
  place.resumeWrites('commit-log')
  await clock.advance(5_000)
  assert.ok(isBrokerError(await trimming, 'STORE_UNAVAILABLE'))
  assert.is(log.mode, 'writing')
  send(3)
  await clock.settle()
  actor.send({ type: 'log.close' })
  await clock.settle()
  assert.equal(answers, ['1 done', '2 STORE_UNAVAILABLE', '3 done'])
  assert.equal(consequences, ['1 synced', '2 gone', '3 synced'])
})

Resettlement('closing does not believe what was acknowledged behind a failed trim', async () => {
  const { clock, place, log, actor, send, answers } = await aLog()
  send(1)
  await clock.settle()
  place.hangWrites('commit-log')
  const trimming = log.trim(0, 1).catch(() => 'failed')
  send(2)
  await clock.settle()
  actor.send({ type: 'log.close' })
  place.failWrites('commit-log', { error: 'EIO', leaves: 'torn', count: 1 })
  place.resumeWrites('commit-log')
  await clock.settle()
  assert.is(await trimming, 'failed')
  assert.equal(answers, ['1 done', '2 OUTCOME_UNKNOWN'])
})

Resettlement.run()
