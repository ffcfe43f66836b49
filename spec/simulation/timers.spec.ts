import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { holds } from '../support/property.ts'
import { aScript, type Command } from './deferred/commands.ts'
import { DeferredWorld, type Tally } from './deferred/world.ts'

/** What must have happened in so many runs, or the property says less than it seems to. */
const happenings = [
  'scheduled',
  'recalled',
  'delivered',
  'forgotten',
  'invalid',
  'cancelled',
  'rescheduled',
  'fired',
  'prepared',
  'commit',
  'rollback',
  'checked',
  'topic ended',
  'carried forward',
  'the wall clock was set',
  'the commit log writes again',
] as const

const play = async (seed: number, script: readonly Command[], tally: Tally): Promise<void> => {
  const world = new DeferredWorld(seed, tally)
  try {
    await world.begin()
    for (const command of script) await world.run(command)
    await world.finish()
  } catch (error) {
    if (process.env['LINES']) console.log(world.lives.lines.join('\n'))
    throw error
  } finally {
    world.tallyLines()
  }
}

const Timers = suite('timers and transactions')

Timers('agree with a sorted list whatever happens', async () => {
  const tally: Tally = new Map()
  const property = fc.asyncProperty(fc.nat(), aScript, (seed, script) => play(seed, script, tally))
  await holds(property, { runs: 150 })
  if (process.env['TALLY']) console.log(Object.fromEntries(tally))
  if (process.env['SEED'] || process.env['RUNS']) return
  assert.equal(
    happenings.filter((type) => !tally.has(type)),
    [],
    'everything happened',
  )
})

Timers.run()
