import type { DeferredEntry } from '../../model/deferred/deferred.ts'

const CAPACITY_MIN = 64

/** What a slot stands for; 0 is a free one. */
export const slotState = {
  free: 0,
  /** Not synced yet: nobody sees it. */
  admitted: 1,
  waiting: 2,
  /** Its end is admitted and not synced yet. */
  ending: 3,
} as const

const NOT_QUEUED = -1

/**
 * Deferred messages in typed arrays, 47 bytes each, and a binary heap of those in the near
 * window, by due time and then by id.
 */
export class DeferredTable {
  id = new Float64Array(0)
  dueMs = new Float64Array(0)
  chunk = new Float64Array(0)
  topicId = new Uint32Array(0)
  at = new Uint32Array(0)
  size = new Uint32Array(0)
  checks = new Uint8Array(0)
  state = new Uint8Array(0)
  /** Differs from the index. */
  isDirty = new Uint8Array(0)
  /** The index may have a key of it. */
  isIndexed = new Uint8Array(0)
  /** Where it stands in the heap; of a free slot, the next free one. */
  #place = new Int32Array(0)
  #heap = new Int32Array(0)
  #slots = new Map<number, number>()
  #free = NOT_QUEUED
  /** Slots in use are below. */
  end = 0
  /** In the heap. */
  queued = 0

  get count(): number {
    return this.#slots.size
  }

  /** -1 when it is not in memory. */
  slotOf(id: number): number {
    return this.#slots.get(id) ?? -1
  }

  take(entry: DeferredEntry, state: number): number {
    const slot = this.#allot()
    this.id[slot] = entry.id
    this.dueMs[slot] = entry.dueMs
    this.chunk[slot] = entry.chunk
    this.topicId[slot] = entry.topicId
    this.at[slot] = entry.at
    this.size[slot] = entry.size
    this.checks[slot] = entry.checks
    this.state[slot] = state
    this.isDirty[slot] = 0
    this.isIndexed[slot] = 0
    this.#place[slot] = NOT_QUEUED
    this.#slots.set(entry.id, slot)
    return slot
  }

  release(slot: number): void {
    this.unqueue(slot)
    this.#slots.delete(this.id[slot] as number)
    this.state[slot] = slotState.free
    this.#place[slot] = this.#free
    this.#free = slot
  }

  entry(slot: number): DeferredEntry {
    return {
      id: this.id[slot] as number,
      topicId: this.topicId[slot] as number,
      dueMs: this.dueMs[slot] as number,
      chunk: this.chunk[slot] as number,
      at: this.at[slot] as number,
      size: this.size[slot] as number,
      checks: this.checks[slot] as number,
    }
  }

  clear(): void {
    this.#slots.clear()
    this.#free = NOT_QUEUED
    this.end = 0
    this.queued = 0
    this.state.fill(slotState.free)
  }

  // ——— the heap

  isQueued(slot: number): boolean {
    return this.state[slot] !== slotState.free && (this.#place[slot] as number) >= 0
  }

  /** The slot that is due first; -1 when the heap is empty. */
  get first(): number {
    return this.queued === 0 ? -1 : (this.#heap[0] as number)
  }

  queue(slot: number): void {
    if (this.isQueued(slot)) return
    this.#rise(this.queued++, slot)
  }

  unqueue(slot: number): void {
    if (!this.isQueued(slot)) return
    const at = this.#place[slot] as number
    this.#place[slot] = NOT_QUEUED
    const last = this.#heap[--this.queued] as number
    if (at === this.queued) return
    this.#rise(at, last)
    this.#sink(this.#place[last] as number, last)
  }

  #isBefore(a: number, b: number): boolean {
    const due = (this.dueMs[a] as number) - (this.dueMs[b] as number)
    return due < 0 || (due === 0 && (this.id[a] as number) < (this.id[b] as number))
  }

  #put(at: number, slot: number): void {
    this.#heap[at] = slot
    this.#place[slot] = at
  }

  #rise(from: number, slot: number): void {
    let at = from
    while (at > 0) {
      const parentAt = (at - 1) >> 1
      const parent = this.#heap[parentAt] as number
      if (!this.#isBefore(slot, parent)) break
      this.#put(at, parent)
      at = parentAt
    }
    this.#put(at, slot)
  }

  #sink(from: number, slot: number): void {
    let at = from
    for (;;) {
      let childAt = at * 2 + 1
      if (childAt >= this.queued) break
      const right = childAt + 1
      if (
        right < this.queued &&
        this.#isBefore(this.#heap[right] as number, this.#heap[childAt] as number)
      )
        childAt = right
      const child = this.#heap[childAt] as number
      if (!this.#isBefore(child, slot)) break
      this.#put(at, child)
      at = childAt
    }
    this.#put(at, slot)
  }

  // ——— room

  #allot(): number {
    if (this.#free !== NOT_QUEUED) {
      const slot = this.#free
      this.#free = this.#place[slot] as number
      return slot
    }
    if (this.end === this.id.length) this.#grow()
    return this.end++
  }

  #grow(): void {
    const capacity = Math.max(CAPACITY_MIN, Math.ceil(this.id.length * 1.5))
    this.id = grown(this.id, new Float64Array(capacity))
    this.dueMs = grown(this.dueMs, new Float64Array(capacity))
    this.chunk = grown(this.chunk, new Float64Array(capacity))
    this.topicId = grown(this.topicId, new Uint32Array(capacity))
    this.at = grown(this.at, new Uint32Array(capacity))
    this.size = grown(this.size, new Uint32Array(capacity))
    this.checks = grown(this.checks, new Uint8Array(capacity))
    this.state = grown(this.state, new Uint8Array(capacity))
    this.isDirty = grown(this.isDirty, new Uint8Array(capacity))
    this.isIndexed = grown(this.isIndexed, new Uint8Array(capacity))
    this.#place = grown(this.#place, new Int32Array(capacity))
    this.#heap = grown(this.#heap, new Int32Array(capacity))
  }
}

const grown = <Numbers extends { set(from: Numbers): void }>(
  from: Numbers,
  to: Numbers,
): Numbers => {
  to.set(from)
  return to
}
