import type {
  DeferredEntry,
  DeferredKind,
  DeferredOutcome,
  EndedDeferred,
} from '../../model/deferred/deferred.ts'
import { DeferredOutcomes } from './deferred-outcomes.ts'
import { delayBoundsS, Times } from './deferred-times.ts'
import { DeferredTable, slotState } from './deferred-table.ts'

/** What waits for one topic: sizes of the set, changed by membership and nothing else. */
export interface TopicDeferred {
  /** As decisions see it. */
  admitted: number
  admittedBytes: number
  /** As gauges see it: synced. */
  count: number
  bytes: number
  /** No message that is only in the index is due before. */
  farFromMs: number
  /** Since the start, for the counters. */
  enqueued: number
  released: number
  /** How far ahead they were scheduled, in seconds. */
  readonly delays: Times
}

/** What a checkpoint writes, as of the moment in which it was taken. */
export interface DeferredChanges {
  readonly removed: readonly DeferredKey[]
  readonly put: readonly DeferredEntry[]
  readonly blocks: readonly number[]
}

export interface DeferredKey {
  readonly topicId: number
  readonly dueMs: number
  readonly id: number
}

export interface DeferredSetOptions {
  /** How long an end is remembered. */
  readonly memoryMs: number
  /** Written to the index in one batch, so that no turn is long. */
  readonly entriesMax: number
}

/**
 * The set of deferred messages of one kind: a projection of their facts. In memory is what is due
 * in the near window and what differs from the index; of the rest it holds two bytes each.
 *
 * A change is seen by later decisions when it is admitted, and by gauges when it is synced; one
 * that is gone is undone. Folding on replay is both at once.
 */
export class DeferredSet {
  readonly kind: DeferredKind
  readonly entriesMax: number
  readonly table = new DeferredTable()
  readonly outcomes: DeferredOutcomes
  readonly topics = new Map<number, TopicDeferred>()
  nextId = 1
  /** Facts before this position are in the index. */
  asOf = 0
  /** Everything due before is in memory, and queued. */
  nearUntilMs = 0
  /** Raised when something leaves memory for the index alone. */
  evictions = 0
  /** Raised when something changes that is not in the near window. */
  farChanges = 0
  /** Raised when something comes into memory from the index. */
  brought = 0
  #removed: DeferredKey[] = []
  #removedIds: Set<number> | undefined
  #isDirty = false
  /** All topics together. */
  admitted = 0
  count = 0
  /** Admitted, not synced. */
  unsynced = 0
  /** Told when something is due before all else, or is the first of all. */
  onEarlier: (() => void) | undefined

  constructor(kind: DeferredKind, { memoryMs, entriesMax }: DeferredSetOptions) {
    this.kind = kind
    this.entriesMax = entriesMax
    this.outcomes = new DeferredOutcomes(memoryMs)
  }

  get isDirty(): boolean {
    return this.#isDirty
  }

  /** True when something waits that is not queued. */
  get hasFar(): boolean {
    return this.admitted > this.table.queued
  }

  topic(topicId: number): TopicDeferred {
    const known = this.topics.get(topicId)
    if (known) return known
    const made = {
      admitted: 0,
      admittedBytes: 0,
      count: 0,
      bytes: 0,
      farFromMs: Number.POSITIVE_INFINITY,
      enqueued: 0,
      released: 0,
      delays: new Times(delayBoundsS),
    }
    this.topics.set(topicId, made)
    return made
  }

  // ——— membership

  /** Admitted; seen by nobody before `appeared`. */
  add(entry: DeferredEntry): number {
    const { table } = this
    const slot = table.take(entry, slotState.admitted)
    table.isDirty[slot] = 1
    this.#isDirty = true
    this.nextId = Math.max(this.nextId, entry.id + 1)
    this.outcomes.begin(entry.id)
    const topic = this.topic(entry.topicId)
    topic.admitted++
    topic.admittedBytes += entry.size
    this.admitted++
    this.unsynced++
    if (this.admitted === 1) this.onEarlier?.()
    return slot
  }

  appeared(id: number): void {
    const slot = this.table.slotOf(id)
    if (slot < 0) return
    this.unsynced--
    const topic = this.topic(this.table.topicId[slot] as number)
    topic.count++
    this.count++
    topic.bytes += this.table.size[slot] as number
    topic.enqueued++
    if (this.table.state[slot] !== slotState.admitted) return
    this.table.state[slot] = slotState.waiting
    this.#queueIfNear(slot)
  }

  vanished(id: number): void {
    const slot = this.table.slotOf(id)
    if (slot < 0) return
    this.unsynced--
    this.#leave(slot)
    this.outcomes.end(id, 'dropped', 0)
    this.table.release(slot)
  }

  /** Its end is admitted: nothing else can be decided on it any more. */
  end(slot: number, outcome: DeferredOutcome, atMs: number): void {
    const { table } = this
    const id = table.id[slot] as number
    if (!table.isQueued(slot)) this.farChanges++
    table.unqueue(slot)
    table.state[slot] = slotState.ending
    table.isDirty[slot] = 0
    if (table.isIndexed[slot] === 1) this.#remove(slot)
    this.outcomes.end(id, outcome, atMs)
    this.#leave(slot)
  }

  ended(id: number, outcome: DeferredOutcome): void {
    const slot = this.table.slotOf(id)
    if (slot < 0) return
    const topic = this.topics.get(this.table.topicId[slot] as number)
    if (topic) {
      topic.count--
      topic.bytes -= this.table.size[slot] as number
      if (outcome === 'released') topic.released++
    }
    this.count--
    this.table.release(slot)
  }

  /** The end did not come to be. */
  restored(id: number): void {
    const { table } = this
    const slot = table.slotOf(id)
    if (slot < 0) return
    const topic = this.topic(table.topicId[slot] as number)
    topic.admitted++
    topic.admittedBytes += table.size[slot] as number
    this.admitted++
    this.outcomes.begin(id)
    this.#isDirty = true
    table.isDirty[slot] = 1
    table.state[slot] = slotState.waiting
    this.#queueIfNear(slot)
    if (this.admitted === 1) this.onEarlier?.()
  }

  /** Due at another time from now on. */
  move(slot: number, dueMs: number, checks: number): void {
    const { table } = this
    if (!table.isQueued(slot)) this.farChanges++
    table.unqueue(slot)
    if (table.isIndexed[slot] === 1) this.#remove(slot)
    table.dueMs[slot] = dueMs
    table.checks[slot] = checks
    table.isDirty[slot] = 1
    this.#isDirty = true
    if (table.state[slot] === slotState.waiting) this.#queueIfNear(slot)
  }

  /** The record moved within the log. */
  repoint(slot: number, place: { chunk: number; at: number; size: number }): void {
    const { table } = this
    const topic = this.topic(table.topicId[slot] as number)
    const grown = place.size - (table.size[slot] as number)
    topic.admittedBytes += grown
    if (table.state[slot] !== slotState.admitted) topic.bytes += grown
    table.chunk[slot] = place.chunk
    table.at[slot] = place.at
    table.size[slot] = place.size
    table.isDirty[slot] = 1
    this.#isDirty = true
  }

  *inMemory(): Generator<DeferredEntry> {
    const { table } = this
    for (let slot = 0; slot < table.end; slot++)
      if (table.state[slot] !== slotState.free) yield table.entry(slot)
  }

  /** An entry of the index comes into memory. It counts already. */
  bring(entry: DeferredEntry): number {
    this.brought++
    const slot = this.table.take(entry, slotState.waiting)
    this.table.isIndexed[slot] = 1
    return slot
  }

  /** It was taken out of the heap and did not fire. */
  queueAgain(slot: number): void {
    if (this.table.state[slot] === slotState.waiting) this.#queueIfNear(slot)
  }

  // ——— folding on replay: admitted and synced at once

  foldAdded(entry: DeferredEntry): void {
    if (this.outcomes.isPending(entry.id)) return
    // A checkpoint that a crash cut short may have written its keys.
    this.table.isIndexed[this.add(entry)] = 1
    this.appeared(entry.id)
  }

  /** Known with its old place, or not at all when that place has left the log. */
  foldCarried(entry: DeferredEntry, oldSize: number): void {
    if (!this.outcomes.isPending(entry.id)) {
      this.foldAdded(entry)
      return
    }
    const known = this.table.slotOf(entry.id)
    this.repoint(known >= 0 ? known : this.bring({ ...entry, size: oldSize }), entry)
  }

  foldEnded(entry: EndedDeferred, outcome: DeferredOutcome, atMs: number): void {
    if (!this.outcomes.isPending(entry.id)) {
      this.nextId = Math.max(this.nextId, entry.id + 1)
      this.outcomes.end(entry.id, outcome, atMs)
      this.#isDirty = true
      return
    }
    const known = this.table.slotOf(entry.id)
    const slot = known >= 0 ? known : this.bring({ ...entry, at: 0, checks: 0 })
    this.end(slot, outcome, atMs)
    this.ended(entry.id, outcome)
  }

  /** Ids below were given to messages of which the log may hold nothing else: none comes again. */
  foldNumbered(nextId: number): void {
    if (nextId <= this.nextId) return
    this.nextId = nextId
    this.#isDirty = true
  }

  foldMoved(entry: DeferredEntry, oldDueMs: number): void {
    if (!this.outcomes.isPending(entry.id)) return
    const known = this.table.slotOf(entry.id)
    const slot = known >= 0 ? known : this.bring({ ...entry, dueMs: oldDueMs })
    this.move(slot, entry.dueMs, entry.checks)
  }

  // ——— the near window

  /** Everything due before is in memory now: what was brought, and what was here already. */
  reachTo(untilMs: number): void {
    this.nearUntilMs = Math.max(this.nearUntilMs, untilMs)
    this.queueNear()
  }

  /** What was passed over, because its topic took nothing, is looked at again. */
  queueNear(): void {
    const { table } = this
    for (let slot = 0; slot < table.end; slot++)
      if (table.state[slot] === slotState.waiting) this.#queueIfNear(slot)
  }

  // ——— checkpoints

  takeChanges(): DeferredChanges {
    const { table } = this
    const put: DeferredEntry[] = []
    for (let slot = 0; slot < table.end; slot++) {
      if (table.isDirty[slot] === 0 || table.state[slot] === slotState.free) continue
      put.push(table.entry(slot))
      table.isDirty[slot] = 0
      table.isIndexed[slot] = 1
    }
    const blocks = [...this.outcomes.dirty]
    this.outcomes.dirty.clear()
    const removed = this.#removed
    this.#removed = []
    this.#removedIds = undefined
    this.#isDirty = false
    return { removed, put, blocks }
  }

  /** They are in the index: what is far leaves memory. */
  changesWritten(): void {
    for (let slot = 0; slot < this.table.end; slot++) this.#letGo(slot)
  }

  changesLost({ removed, put, blocks }: DeferredChanges): void {
    this.#removed = [...removed, ...this.#removed]
    this.#removedIds = undefined
    for (const { id } of put) {
      const slot = this.table.slotOf(id)
      if (slot >= 0 && this.table.state[slot] !== slotState.ending) this.table.isDirty[slot] = 1
    }
    for (const block of blocks) this.outcomes.dirty.add(block)
    this.#isDirty = true
  }

  /** Forgets what ended too long ago. */
  sweep(nowMs: number): void {
    this.outcomes.sweep(nowMs)
    if (this.outcomes.dirty.size > 0) this.#isDirty = true
  }

  /** True when keys of the index are dead, and wait for the next checkpoint. */
  isRemoved(id: number): boolean {
    this.#removedIds ??= new Set(this.#removed.map((key) => key.id))
    return this.#removedIds.has(id)
  }

  /** What the index says counts, as a checkpoint left it. */
  restoreTopic(topicId: number, { count, bytes }: { count: number; bytes: number }): void {
    const topic = this.topic(topicId)
    topic.admitted = count
    topic.count = count
    topic.admittedBytes = bytes
    topic.bytes = bytes
    topic.farFromMs = 0
    this.admitted += count
    this.count += count
  }

  /**
   * Nothing of a topic is left but counts that nobody reads any more. On replay its last ends may
   * stand behind its own, where they were carried to.
   */
  forgetTopic(topicId: number): void {
    this.topics.delete(topicId)
  }

  reset(): void {
    this.table.clear()
    this.outcomes.clear()
    this.topics.clear()
    this.#removed = []
    this.#removedIds = undefined
    this.#isDirty = false
    this.nextId = 1
    this.asOf = 0
    this.nearUntilMs = 0
    this.admitted = 0
    this.count = 0
    this.unsynced = 0
  }

  // ——— inside

  /** Back to the index alone, if it says the same. */
  #letGo(slot: number): void {
    const { table } = this
    if (table.state[slot] !== slotState.waiting || table.isDirty[slot] === 1) return
    if (table.isQueued(slot) || (table.dueMs[slot] as number) < this.nearUntilMs) return
    const topic = this.topic(table.topicId[slot] as number)
    topic.farFromMs = Math.min(topic.farFromMs, table.dueMs[slot] as number)
    this.evictions++
    table.release(slot)
  }

  #remove(slot: number): void {
    this.#removed.push(keyOf(this.table.entry(slot)))
    this.#removedIds = undefined
  }

  #leave(slot: number): void {
    const topic = this.topics.get(this.table.topicId[slot] as number)
    if (topic) {
      topic.admitted--
      topic.admittedBytes -= this.table.size[slot] as number
    }
    this.admitted--
    this.#isDirty = true
  }

  #queueIfNear(slot: number): void {
    const { table } = this
    if ((table.dueMs[slot] as number) >= this.nearUntilMs) return
    table.queue(slot)
    if (table.first === slot) this.onEarlier?.()
  }
}

const keyOf = ({ topicId, dueMs, id }: DeferredEntry): DeferredKey => ({ topicId, dueMs, id })
