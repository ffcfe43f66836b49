import type { DeferredChanges, DeferredSet } from '../../machines/timer-wheel/deferred-set.ts'
import {
  type DeferredSummary,
  encodeDeferredDue,
  encodeDeferredPlace,
  encodeOutcomes,
  encodeSummary,
  readOutcomes,
  readSummary,
} from '../../storage/codec/deferred-record.ts'
import {
  deferredAllKey,
  deferredDueKey,
  deferredKey,
  deferredOutcomesKey,
  deferredOutcomesRange,
  parseIndexKey,
} from '../../storage/codec/index-key.ts'
import type { Operation } from '../../storage/ports/database.ts'
import type { IndexStore } from './index-store.ts'

export interface DeferredCheckpoint {
  /** To be written one after the other; the last one says that all are. */
  readonly batches: Iterable<Operation[]>
  readonly written: () => void
  readonly lost: () => void
}

/**
 * What changed in a set, as of one admitted position. Facts behind the position of the checkpoint
 * before are folded anew until the last batch is written, and come to the same keys again: a
 * crash in between leaves nothing that they do not mend.
 */
export const checkpointDeferred = (
  set: DeferredSet,
  asOf: number,
  nowMs: number,
): DeferredCheckpoint => {
  set.sweep(nowMs)
  const changes = set.takeChanges()
  const { kind, outcomes } = set
  const last = changes.blocks.map((block): Operation => {
    const key = deferredOutcomesKey(kind, block)
    const values = outcomes.block(block)
    return values ? { type: 'put', key, value: encodeOutcomes(values) } : { type: 'del', key }
  })
  last.push({ type: 'put', key: deferredAllKey(kind), value: encodeSummary(summaryOf(set, asOf)) })
  return {
    batches: batchesOf(set, changes, last),
    written: () => {
      set.asOf = asOf
      set.changesWritten()
    },
    lost: () => set.changesLost(changes),
  }
}

function* batchesOf(
  { kind, entriesMax }: DeferredSet,
  { removed, put }: DeferredChanges,
  last: Operation[],
): Generator<Operation[]> {
  let operations: Operation[] = []
  for (const key of removed) {
    operations.push({ type: 'del', key: deferredDueKey(kind, key) })
    operations.push({ type: 'del', key: deferredKey(kind, key.id) })
    if (operations.length < entriesMax * 2) continue
    yield operations
    operations = []
  }
  for (const entry of put) {
    const value = encodeDeferredPlace(entry)
    operations.push({ type: 'put', key: deferredDueKey(kind, entry), value })
    const due = encodeDeferredDue(entry)
    operations.push({ type: 'put', key: deferredKey(kind, entry.id), value: due })
    if (operations.length < entriesMax * 2) continue
    yield operations
    operations = []
  }
  yield [...operations, ...last]
}

const summaryOf = (set: DeferredSet, asOf: number): DeferredSummary => ({
  asOf,
  nextId: set.nextId,
  swept: set.outcomes.swept,
  topics: [...set.topics]
    .filter(([, { admitted }]) => admitted > 0)
    .map(([topicId, { admitted, admittedBytes }]) => ({
      topicId,
      count: admitted,
      bytes: admittedBytes,
    })),
})

/** Takes up a set where the last checkpoint left it. What waits is read when it is needed. */
export const loadDeferred = async (set: DeferredSet, index: IndexStore): Promise<void> => {
  const value = await index.get(deferredAllKey(set.kind))
  if (value === undefined) return
  const { asOf, nextId, swept, topics } = readSummary(value)
  set.asOf = asOf
  set.nextId = nextId
  set.outcomes.swept = swept
  for (const { topicId, count, bytes } of topics) set.restoreTopic(topicId, { count, bytes })
  for await (const { key, value: values } of index.entries(deferredOutcomesRange(set.kind))) {
    const parsed = parseIndexKey(key)
    if (parsed.kind === 'deferredOutcomes') set.outcomes.restore(parsed.block, readOutcomes(values))
  }
}
