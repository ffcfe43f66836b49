import fc from 'fast-check'
import { suite } from 'uvu'
import { holdsAndShows } from '../support/property.ts'
import { aScript, commandTypes } from './commands.ts'
import { examples } from './examples.ts'
import { play } from './play.ts'
import type { Tally } from './world.ts'

const happenings = [
  ...commandTypes,
  'acknowledged',
  'send refused',
  'send unknown',
  'received',
  'acked',
  'ack refused',
  'extended',
  'dead-lettered',
  'topic ended',
  'group ended',
  'rebuilt',
  'audited',
  'found by id',
  'checkpoint failed',
  'redelivered: deadline',
  'redelivered: negativeAck',
  'redelivered: sessionLost',
  'redelivered: crashRecovery',
  'redelivered: repeatedAttempt',
  'redelivered: reset',
  'offsets reset',
  'paused',
  'resumed',
  'write failed: commit-log',
  'write failed: index',
  'lives 3',
  'carried forward',
  'reclaimed a stretch of the commit log',
  'retention removed messages that the group had not acknowledged',
  'the commit log writes again',
  'the commit log could not be reopened yet',
  'closing without a checkpoint',
] as const

const WholeBroker = suite('the whole broker')
const tally: Tally = new Map()

// They are counted, too: what is rare has an example of its own.
for (const [title, script] of Object.entries(examples))
  WholeBroker(title, () => play(1, script, tally))

WholeBroker('keeps its promises whatever happens', async () => {
  const property = fc.asyncProperty(fc.nat(), aScript, (seed, script) => play(seed, script, tally))
  await holdsAndShows(property, { runs: 200, tally, happenings })
})

WholeBroker.run()
