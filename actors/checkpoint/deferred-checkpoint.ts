import type { DeferredSet } from '../../machines/timer-wheel/deferred-set.ts'
import {
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

export interface DeferredSlice {
  readonly operations: Operation[]
  readonly written: () => void
  readonly lost: () => void
}

/**
 * What changed in a set, as of one admitted position: one batch, so that the index always holds
 * the whole set as it stood then.
 */
export const sliceDeferred = (set: DeferredSet, asOf: number, nowMs: number): DeferredSlice => {
  set.sweep(nowMs)
  const changes = set.takeChanges()
  const { kind, outcomes } = set
  const operations: Operation[] = []
  for (const key of changes.removed) {
    operations.push({ type: 'del', key: deferredDueKey(kind, key) })
    operations.push({ type: 'del', key: deferredKey(kind, key.id) })
  }
  for (const entry of changes.put) {
    const value = encodeDeferredPlace(entry)
    operations.push({ type: 'put', key: deferredDueKey(kind, entry), value })
    const due = encodeDeferredDue(entry)
    operations.push({ type: 'put', key: deferredKey(kind, entry.id), value: due })
  }
  for (const block of changes.blocks) {
    const key = deferredOutcomesKey(kind, block)
    const values = outcomes.block(block)
    if (values) operations.push({ type: 'put', key, value: encodeOutcomes(values) })
    else operations.push({ type: 'del', key })
  }
  const topics = [...set.topics]
    .filter(([, { admitted }]) => admitted > 0)
    .map(([topicId, { admitted, admittedBytes }]) => ({
      topicId,
      count: admitted,
      bytes: admittedBytes,
    }))
  const summary = { asOf, nextId: set.nextId, swept: outcomes.swept, topics }
  operations.push({ type: 'put', key: deferredAllKey(kind), value: encodeSummary(summary) })
  return {
    operations,
    written: () => {
      set.asOf = asOf
      set.changesWritten()
    },
    lost: () => set.changesLost(changes),
  }
}

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
