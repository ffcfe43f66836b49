import { slotState } from '../../machines/timer-wheel/deferred-table.ts'
import type { DeferredEntry } from '../../model/deferred/deferred.ts'
import type { DeferredStore } from './deferred-store.ts'

export interface DeferredRange {
  /** Missing: all topics. */
  readonly topicId?: number
  readonly fromMs: number
  readonly toMs: number
  /** Due time and id of the last one seen. */
  readonly after: string | undefined
  readonly limit: number
}

export interface DeferredPage {
  readonly entries: readonly DeferredEntry[]
  /** What to ask for `after`, when there is more. */
  readonly next?: string
}

const isBefore = (a: { dueMs: number; id: number }, b: { dueMs: number; id: number }): boolean =>
  a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.id < b.id)

const inOrder = (a: DeferredEntry, b: DeferredEntry): number => a.dueMs - b.dueMs || a.id - b.id

/** Pages through a deferred set in due order: what memory and index hold, as one list. */
export class DeferredList {
  readonly #store: DeferredStore

  constructor(store: DeferredStore) {
    this.#store = store
  }

  page(range: DeferredRange): Promise<DeferredPage> {
    return this.#store.whileNoneLeaves(() => this.#look(range))
  }

  async #look(range: DeferredRange): Promise<DeferredPage> {
    const begin = beginOf(range)
    const { set } = this.#store
    const topicIds = range.topicId === undefined ? [...set.topics.keys()] : [range.topicId]
    const found: DeferredEntry[] = []
    for (const topicId of topicIds) {
      if ((set.topics.get(topicId)?.admitted ?? 0) === 0) continue
      let taken = 0
      for await (const entry of this.#store.stored(topicId, Math.max(0, begin.dueMs))) {
        if (entry.dueMs >= range.toMs || taken > range.limit) break
        if (!isBefore(begin, entry)) continue
        found.push(entry)
        taken++
      }
    }
    // What came into memory while we looked is listed as it stands there.
    const stored = found.filter(({ id }) => set.table.slotOf(id) < 0 && set.outcomes.isPending(id))
    const all = [...stored, ...this.#inMemory(range, begin)].sort(inOrder)
    const entries = all.slice(0, range.limit)
    const last = entries.at(-1)
    return all.length > range.limit && last
      ? { entries, next: `${last.dueMs}-${last.id}` }
      : { entries }
  }

  *#inMemory(
    { topicId, toMs }: DeferredRange,
    begin: { dueMs: number; id: number },
  ): Generator<DeferredEntry> {
    const { table } = this.#store.set
    for (let slot = 0; slot < table.end; slot++) {
      if (table.state[slot] !== slotState.waiting) continue
      const dueMs = table.dueMs[slot] as number
      if (dueMs >= toMs || (topicId !== undefined && table.topicId[slot] !== topicId)) continue
      if (isBefore(begin, { dueMs, id: table.id[slot] as number })) yield table.entry(slot)
    }
  }
}

const beginOf = ({ fromMs, after }: DeferredRange): { dueMs: number; id: number } => {
  const [dueMs, id] = (after ?? '').split('-').map(Number)
  const start = { dueMs: fromMs, id: -1 }
  const seen = { dueMs: dueMs ?? Number.NaN, id: id ?? Number.NaN }
  return Number.isFinite(seen.dueMs) && Number.isFinite(seen.id) && isBefore(start, seen)
    ? seen
    : start
}
