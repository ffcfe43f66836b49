import fc from 'fast-check'
import { suite } from 'uvu'
import { holdsAndShows } from '../support/property.ts'
import { aScript, type Command } from './tier/commands.ts'
import { examples } from './tier/examples.ts'
import { type Tally, TierWorld } from './tier/world.ts'

const happenings = [
  ...['topic ended', 'received', 'drained', 'read over the border', 'offload'],
  ...['found by time', 'found by key', 'found by id', 'landed late', 'the tier was out of reach'],
  ...['reset: earliest', 'reset: latest', 'reset: time'],
  ...['carried forward', 'the commit log writes again', 'the index is rebuilt from the commit log'],
]

const play = async (seed: number, script: readonly Command[], tally: Tally): Promise<void> => {
  const world = new TierWorld(seed, tally)
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

const Tier = suite('the tier')

const tally: Tally = new Map()

for (const [title, script] of Object.entries(examples)) Tier(title, () => play(0, script, tally))

Tier('agrees with arrays of messages whatever happens', async () => {
  const property = fc.asyncProperty(fc.nat(), aScript, (seed, script) => play(seed, script, tally))
  await holdsAndShows(property, { runs: 60, tally, happenings })
})

Tier.run()
