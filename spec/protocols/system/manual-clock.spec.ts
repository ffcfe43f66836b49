import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../../model/errors.ts'
import { ManualClock } from '../../../protocols/system/manual-clock.ts'
import { holds } from '../../support/property.ts'

const Clock = suite('ManualClock')

const aClock = () => new ManualClock({ wallMs: 1_000, setSoon: setImmediate })

const someTimers = fc.array(fc.record({ ms: fc.nat(5), isCancelled: fc.boolean() }), {
  maxLength: 8,
})

Clock('runs timers at their time, of equals the first set first, and none cancelled', () =>
  holds(
    fc.asyncProperty(someTimers, fc.array(fc.nat(3), { maxLength: 5 }), async (timers, steps) => {
      const clock = aClock()
      const ran: string[] = []
      for (const [index, { ms, isCancelled }] of timers.entries()) {
        const cancel = clock.after(ms + 1, () => ran.push(`${index} at ${clock.monotonicMs()}`))
        if (isCancelled) cancel()
      }
      for (const ms of steps) await clock.advance(ms)
      const endMs = steps.reduce((sum, ms) => sum + ms, 0)
      assert.equal([clock.monotonicMs(), clock.wallMs()], [endMs, endMs + 1_000])
      const due = timers
        .map((timer, index) => ({ ...timer, index }))
        .filter(({ ms, isCancelled }) => !isCancelled && ms + 1 <= endMs)
        .sort((a, b) => a.ms - b.ms)
      assert.equal(
        ran,
        due.map(({ index, ms }) => `${index} at ${ms + 1}`),
      )
    }),
  ),
)

Clock('does what needs no time while it stands still', async () => {
  const clock = aClock()
  await new Promise<void>((resolve) => clock.soon(resolve))
  await new Promise<void>((resolve) => clock.after(0, resolve))
  clock.after(0, () => assert.unreachable('it was cancelled'))()
  await new Promise<void>((resolve) => setImmediate(resolve))
  assert.is(clock.monotonicMs(), 0)
})

Clock('lets the consequences of a timer happen at its time, before the next', async () => {
  const clock = aClock()
  const told: string[] = []
  const tell = (what: string) => told.push(`${what} at ${clock.monotonicMs()}`)
  const work = async (): Promise<void> => {
    tell('first')
    for (let step = 0; step < 20; step++) await Promise.resolve()
    clock.soon(() => clock.soon(() => tell('its consequence')))
    clock.after(3, () => tell('what it set'))
  }
  clock.after(5, () => void work())
  clock.after(6, () => tell('second'))
  await clock.advance('1 s')
  assert.equal(told, ['first at 5', 'its consequence at 5', 'second at 6', 'what it set at 8'])
  assert.is(clock.monotonicMs(), 1_000)
})

Clock('advances one after the other when told twice', async () => {
  const clock = aClock()
  const seen: number[] = []
  clock.after(5, () => clock.soon(() => seen.push(clock.monotonicMs())))
  await Promise.all([clock.advance(5), clock.advance(10)])
  assert.equal([seen, clock.monotonicMs()], [[5], 15])
})

Clock('advances to a moment, and never back', async () => {
  const clock = aClock()
  await clock.advanceTo(4_000)
  await clock.advanceTo(new Date(5_000))
  await clock.advanceTo('1970-01-01T00:00:06Z')
  assert.is(clock.wallMs(), 6_000)
  for (const moment of [5_999, 'tomorrow'])
    await clock.advanceTo(moment).then(
      () => assert.unreachable('it went back'),
      (error: unknown) => assert.ok(isBrokerError(error, 'DURATION_ILLEGAL')),
    )
  await clock.advance(1)
  assert.is(clock.wallMs(), 6_001)
})

Clock.run()
