import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { restingLog } from '../../../protocols/grpc/resting-log.ts'
import { SimulatedClock } from '../../support/simulated-clock.ts'

const Resting = suite('a log that rests')

Resting('writes one line for many, and says later how many it left out', async () => {
  const clock = new SimulatedClock()
  const lines: unknown[] = []
  const log = restingLog(clock, (fields) => void lines.push(fields))
  for (let index = 0; index < 100; index++) log({ index }, 'refused')
  await clock.advance(9_999)
  log({ index: 100 }, 'refused')
  await clock.advance(1)
  log({ index: 101 }, 'refused')
  await clock.advance(10_000)
  log({ index: 102 }, 'refused')
  assert.equal(lines, [{ index: 0 }, { index: 101, unsaid: 100 }, { index: 102 }])
})

Resting.run()
