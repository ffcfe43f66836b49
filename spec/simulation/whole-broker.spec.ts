import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { holds } from '../support/property.ts'
import { aScript, commandTypes } from './commands.ts'
import { play } from './play.ts'
import type { Tally } from './world.ts'

const WholeBroker = suite('the whole broker')

WholeBroker('keeps its promises whatever happens', async () => {
  const tally: Tally = new Map()
  const property = fc.asyncProperty(fc.nat(), aScript, (seed, script) => play(seed, script, tally))
  await holds(property, { runs: 100 })
  if (process.env['TALLY']) console.log(Object.fromEntries(tally))
  if (process.env['SEED']) return
  assert.equal(
    commandTypes.filter((type) => !tally.has(type)),
    [],
    'every command ran',
  )
})

WholeBroker.run()
