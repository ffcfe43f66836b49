import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { holds } from './property.ts'
import { SimulatedClock } from './simulated-clock.ts'

const Clock = suite('SimulatedClock')

const someTimers = fc.array(fc.record({ ms: fc.nat(5), isCancelled: fc.boolean() }), {
  maxLength: 8,
})

Clock('runs timers when they are due, of equals the first set first, and none cancelled', () =>
  holds(
    fc.asyncProperty(someTimers, fc.array(fc.nat(3), { maxLength: 5 }), async (timers, steps) => {
      const clock = new SimulatedClock()
      const ran: string[] = []
      for (const [index, { ms, isCancelled }] of timers.entries()) {
        const cancel = clock.after(ms, () => ran.push(`${index} at ${clock.monotonicMs()}`))
        if (isCancelled) cancel()
      }
      for (const ms of steps) await clock.advance(ms)
      const endMs = steps.reduce((sum, ms) => sum + ms, 0)
      assert.is(clock.monotonicMs(), endMs)
      const due = timers
        .map((timer, index) => ({ ...timer, index }))
        .filter(({ ms, isCancelled }) => !isCancelled && steps.length > 0 && ms <= endMs)
        .sort((a, b) => a.ms - b.ms)
      assert.equal(
        ran,
        due.map(({ index, ms }) => `${index} at ${ms}`),
      )
    }),
  ),
)

Clock('lets promise chains and what is soon progress between two timers', async () => {
  const clock = new SimulatedClock()
  const told: string[] = []
  const tell = (what: string) => told.push(`${what} at ${clock.monotonicMs()}`)
  const chain = async (): Promise<void> => {
    for (let step = 0; step < 50; step++) await Promise.resolve()
    await new Promise<void>((resolve) => clock.soon(resolve))
    tell('chain')
    clock.after(5, () => tell('later timer'))
  }
  clock.after(10, () => {
    tell('timer')
    void chain()
  })
  clock.after(12, () => tell('next timer'))
  await clock.advance(20)
  assert.equal(told, ['timer at 10', 'chain at 10', 'next timer at 12', 'later timer at 15'])
})

Clock('stands still by itself', async () => {
  const clock = new SimulatedClock()
  let count = 0
  clock.soon(() => count++)
  clock.after(0, () => count++)
  await new Promise((resolve) => setTimeout(resolve, 5))
  assert.is(count, 0)
  await clock.settle()
  assert.is(count, 2)
})

Clock('jumps on the wall alone', async () => {
  const clock = new SimulatedClock({ wallMs: 1_000 })
  await clock.advance(10)
  clock.jumpWall(-500)
  assert.equal([clock.wallMs(), clock.monotonicMs()], [510, 10])
})

Clock('passes time until work is done, and says when it never will be', async () => {
  const clock = new SimulatedClock()
  const slow = new Promise<string>((resolve) => {
    clock.after(100, () => resolve('done'))
    clock.after(200, () => assert.unreachable())
  })
  assert.is(await clock.until(slow), 'done')
  assert.is(clock.monotonicMs(), 100)
  const failed: unknown = await new SimulatedClock()
    .until(new Promise(() => {}))
    .catch((error: unknown) => error)
  assert.match(String(failed), 'waits for nothing')
})

Clock.run()
