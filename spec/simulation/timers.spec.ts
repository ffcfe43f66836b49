import fc from 'fast-check'
import { suite } from 'uvu'
import { holdsAndShows } from '../support/property.ts'
import { aScript, type Command } from './deferred/commands.ts'
import { examples } from './deferred/examples.ts'
import { DeferredWorld, type Tally } from './deferred/world.ts'

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
const tally: Tally = new Map()

for (const [title, script] of Object.entries(examples)) Timers(title, () => play(0, script, tally))

Timers('agree with a sorted list whatever happens', async () => {
  const property = fc.asyncProperty(fc.nat(), aScript, (seed, script) => play(seed, script, tally))
  await holdsAndShows(property, { runs: 150, tally, happenings })
})

Timers.run()
