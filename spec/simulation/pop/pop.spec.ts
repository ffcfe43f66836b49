import fc from 'fast-check'
import { suite } from 'uvu'
import { holdsAndShows } from '../../support/property.ts'
import { aScript, PopWorld, type Tally } from './play.ts'

const happenings = [
  ...['receive: done', 'receive: nothing', 'ack: done', 'ack: refused', 'extend: done'],
  ...['extend: refused', 'dead letter', 'reset', 'pause', 'end', 'restart', 'refused'],
  ...['a cut among several steps', 'a cut after a flush'],
]

const Pop = suite('pop consumption')

Pop('answers as an array of messages would; a crash forgets the newest steps only', async () => {
  const tally: Tally = new Map()
  const property = fc.asyncProperty(aScript, async (script) => {
    const world = await PopWorld.open(tally)
    for (const command of script) await world.run(command)
    await world.finish()
  })
  await holdsAndShows(property, { runs: 300, tally, happenings })
})

Pop.run()
