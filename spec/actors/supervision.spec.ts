import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type AnyActorLogic, fromTransition } from 'xstate'
import { Supervision } from '../../actors/system/supervision.ts'
import type { Logger } from '../../model/ports.ts'
import { SimulatedClock } from '../support/simulated-clock.ts'

const quiet: Logger = { info: () => {}, warn: () => {}, error: () => {} }

/** Counts what it is told, and throws when it is told to. */
const counting = (starts: string[]): AnyActorLogic =>
  fromTransition(
    (state: { name: string; count: number }, event: { type: string }) => {
      if (event.type === 'fail') throw new Error('told to')
      return { ...state, count: state.count + 1 }
    },
    ({ input }: { input: { name: string } }) => {
      starts.push(input.name)
      return { name: input.name, count: 0 }
    },
  )

const aSupervision = () => {
  const clock = new SimulatedClock()
  const lines: string[] = []
  const logger: Logger = { ...quiet, error: (fields) => lines.push(JSON.stringify(fields)) }
  const supervision = new Supervision('spec', { clock, logger })
  return { clock, lines, supervision }
}

const SupervisionSpec = suite('supervision')

SupervisionSpec('starts a child that throws again, later each time, and says so', async () => {
  const { clock, lines, supervision } = aSupervision()
  const starts: string[] = []
  supervision.start('a:1', counting(starts), () => ({ name: 'first' }))
  const waits: number[] = []
  for (let failures = 1; failures <= 4; failures++) {
    supervision.send('a:1', { type: 'fail' })
    const described = supervision.describe('a:1')
    assert.is(described?.restarts, failures)
    assert.match(String(described?.lastError), 'told to')
    const before = clock.monotonicMs()
    while (starts.length === failures) await clock.advance(10)
    waits.push(clock.monotonicMs() - before)
  }
  assert.equal(waits, [100, 200, 400, 800])
  assert.is(lines.length, 4)
})

SupervisionSpec('lets the siblings of a child that throws go on', async () => {
  const { clock, supervision } = aSupervision()
  const starts: string[] = []
  for (let number = 0; number < 200; number++)
    supervision.start(`a:${number}`, counting(starts), () => ({ name: `${number}` }))
  supervision.send('a:7', { type: 'fail' })
  supervision.send('a:8', { type: 'count' })
  await clock.advance(1_000)
  assert.is(supervision.size, 200)
  const restarts = [...supervision.all()].filter((child) => child.restarts > 0)
  assert.equal(
    restarts.map(({ address }) => address),
    ['a:7'],
  )
  assert.is(starts.length, 201)
  supervision.send('a:7', { type: 'count' })
  assert.is(supervision.deadEvents, 0)
})

SupervisionSpec('asks for the state anew at every start', async () => {
  const { clock, supervision } = aSupervision()
  const starts: string[] = []
  let state = 'before'
  supervision.start('a:1', counting(starts), () => ({ name: state }))
  state = 'after'
  supervision.send('a:1', { type: 'fail' })
  await clock.advance(100)
  assert.equal(starts, ['before', 'after'])
})

SupervisionSpec('starts nothing any more once it is stopped', async () => {
  const { clock, supervision } = aSupervision()
  const starts: string[] = []
  supervision.start('a:1', counting(starts), () => ({ name: 'a' }))
  supervision.send('a:1', { type: 'fail' })
  supervision.stop()
  supervision.start('a:2', counting(starts), () => ({ name: 'b' }))
  await clock.advance(60_000)
  assert.equal(starts, ['a'])
  assert.is(clock.pending, 0)
})

SupervisionSpec('counts events to those who are gone', () => {
  const { supervision } = aSupervision()
  supervision.send('a:1', { type: 'count' })
  assert.is(supervision.deadEvents, 1)
})

SupervisionSpec.run()
