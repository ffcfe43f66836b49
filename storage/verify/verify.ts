import type { Fault, VerifyStep } from '../../model/doctor.ts'
import { isBrokerError } from '../../model/errors.ts'
import { chunkOffsetOf } from '../codec/chunk.ts'
import type { Readable } from '../ports/database.ts'
import { indexFault, IndexUnits } from './index-units.ts'
import { indexedTopics, verifyIndex } from './verify-index.ts'
import { LogWalk, logFault } from './verify-log.ts'

/** More faults than this are counted, and no longer told one by one. */
const FAULTS_TOLD_MAX = 1_000
const PROGRESS_BYTES = 8 << 20

export interface Verified {
  readonly log: Readable
  readonly index: Readable
}

/**
 * Reads everything once and compares it with itself: chunks with their checksums and their
 * predecessors, facts with their types, units of the index with the messages they name. Both must
 * be of one moment: of a stopped broker, or two snapshots. Changes nothing.
 */
export async function* verify({ log, index }: Verified): AsyncGenerator<VerifyStep> {
  const topics = await indexedTopics(index)
  const units = new IndexUnits(index, topics)
  const walk = new LogWalk(log, {
    message: (...found) => units.message(...found),
    registry: (fact, position) => {
      if (!('topicId' in fact) || position < (topics.get(fact.topicId)?.span.asOf ?? 0)) return
      if (fact.type === 'topicEnded' || fact.type === 'topicDropped') units.topicEnded(fact.topicId)
      if (fact.type === 'queueTrimmed')
        units.queueTrimmed(fact.topicId, fact.queueId, fact.offsetMin)
    },
  })
  let faults = 0
  const told = function* (fault: Fault): Generator<VerifyStep> {
    faults++
    if (faults <= FAULTS_TOLD_MAX) yield { type: 'fault', fault }
  }
  const of = await endOf(log)
  let shown = 0
  try {
    for await (const found of walk.run())
      if (typeof found !== 'number') yield* told(found)
      else if (found - shown >= PROGRESS_BYTES) {
        shown = found
        yield { type: 'progress', done: found, of }
      }
  } catch (error) {
    // LevelDB itself cannot read on.
    if (!isBrokerError(error, 'CORRUPT')) throw error
    yield* told(logFault(walk.visited.end, error.message))
  }
  let indexEntries = 0
  try {
    for await (const found of verifyIndex(index, walk.visited, units))
      if (found) yield* told(found)
      else indexEntries++
  } catch (error) {
    if (!isBrokerError(error, 'CORRUPT')) throw error
    yield* told(indexFault(`behind ${indexEntries} entries`, error.message))
  }
  for (const fault of units.rest()) yield* told(fault)
  const { offsets, bytes, messages } = walk.visited
  yield { type: 'progress', done: of, of }
  yield { type: 'verified', chunks: offsets.length, bytes, messages, indexEntries, faults }
}

const endOf = async (log: Readable): Promise<number> => {
  for await (const { key, value } of log.entries({ reverse: true, limit: 1 }))
    return key.length === 8 ? chunkOffsetOf(key) + value.length : 0
  return 0
}
