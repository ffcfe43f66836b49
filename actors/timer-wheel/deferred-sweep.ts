import { slotState } from '../../machines/timer-wheel/deferred-table.ts'
import { snapshotBoundsS } from '../../machines/timer-wheel/deferred-times.ts'
import type { Clock, Logger } from '../../model/ports.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { DeferredStore } from './deferred-store.ts'

export interface DeferredSweepDeps {
  readonly store: DeferredStore
  readonly index: IndexStore
  readonly clock: Clock
  readonly logger: Logger
  readonly everyMs: number
}

/**
 * Counts what really waits, from time to time, and compares it with the sizes that the gauges
 * show. It should never find anything, and says so loudly if it does. On its way it notes when
 * all of it is due.
 */
export class DeferredSweep {
  readonly #deps: DeferredSweepDeps
  #dueAtMs = Number.NEGATIVE_INFINITY
  /** Waiting messages by the time that is left; the last is of all. */
  snapshot: readonly number[] = [...snapshotBoundsS, Number.POSITIVE_INFINITY].map(() => 0)
  /** Topics whose size was wrong, since the start. */
  mismatches = 0

  constructor(deps: DeferredSweepDeps) {
    this.#deps = deps
  }

  /** Does nothing until it is time. */
  async sweep(): Promise<void> {
    const { clock, everyMs, index } = this.#deps
    if (clock.monotonicMs() < this.#dueAtMs) return
    this.#dueAtMs = clock.monotonicMs() + everyMs
    // Under the checkpoint's lock: nothing moves between memory and index meanwhile.
    await index.exclusive(() => this.#count())
  }

  async #count(): Promise<void> {
    const { store, clock } = this.#deps
    const { set } = store
    const { farChanges, brought } = set
    const counts = new Map<number, number>()
    const lefts: number[] = []
    const nowMs = clock.wallMs()
    const note = (topicId: number, dueMs: number): void => {
      counts.set(topicId, (counts.get(topicId) ?? 0) + 1)
      const leftS = (dueMs - nowMs) / 1_000
      const index = snapshotBoundsS.findIndex((bound) => leftS <= bound)
      const at = index < 0 ? snapshotBoundsS.length : index
      lefts[at] = (lefts[at] ?? 0) + 1
    }
    for (const [topicId, { admitted }] of set.topics)
      if (admitted > 0) for await (const { dueMs } of store.stored(topicId, 0)) note(topicId, dueMs)
    // What was in the index alone changed while we looked: another time.
    if (set.farChanges !== farChanges || set.brought !== brought) return
    const { table } = set
    for (let slot = 0; slot < table.end; slot++) {
      const state = table.state[slot]
      if (state === slotState.waiting || state === slotState.admitted)
        note(table.topicId[slot] as number, table.dueMs[slot] as number)
    }
    for (const [topicId, { admitted }] of set.topics)
      this.#compare(topicId, admitted, counts.get(topicId) ?? 0)
    let sum = 0
    this.snapshot = this.snapshot.map((_, index) => (sum += lefts[index] ?? 0))
  }

  #compare(topicId: number, says: number, waits: number): void {
    if (says === waits) return
    this.mismatches++
    const { logger, store } = this.#deps
    const { kind } = store.set
    logger.error({ kind, topicId, says, waits }, 'a count of deferred messages is wrong')
  }
}
