import * as assert from 'uvu/assert'
import type { Command } from './commands.ts'
import { type Tally, World } from './world.ts'

/** One script in one world, from the first topic to the last restart. */
export const play = async (
  seed: number,
  script: readonly Command[],
  tally: Tally,
): Promise<void> => {
  const world = new World(seed, tally)
  try {
    await world.begin()
    for (const command of script) await world.run(command)
    await world.finish()
  } catch (error) {
    if (process.env['LINES']) console.log(world.lives.lines.join('\n'))
    if (error instanceof assert.Assertion && error.details) error.message += `\n${error.details}`
    throw error
  } finally {
    world.tallyLines()
  }
}
