import type { DeferredSet } from '../../machines/timer-wheel/deferred-set.ts'
import { slotState } from '../../machines/timer-wheel/deferred-table.ts'
import { DUE_NEVER_MS, type DeferredEntry } from '../../model/deferred/deferred.ts'
import { BrokerError } from '../../model/errors.ts'
import { type DeferredMessage, readDeferredMessage } from '../../storage/codec/deferred-fact.ts'
import { readDeferredDue, readDeferredPlace } from '../../storage/codec/deferred-record.ts'
import {
  deferredDueKey,
  deferredDueRange,
  deferredKey,
  parseIndexKey,
} from '../../storage/codec/index-key.ts'
import { recordAt } from '../../storage/codec/record.ts'
import type { IndexStore } from '../checkpoint/index-store.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import { openSlot } from './deferred-log.ts'

export interface DeferredStoreDeps {
  readonly set: DeferredSet
  readonly index: IndexStore
  readonly log: CommitLog
  readonly limits: DeferredLimits
}

export interface DeferredLimits {
  /** What is due within this time is kept in memory. */
  readonly nearWindowMs: number
  /** As much as is loaded beyond what is due at once. */
  readonly nearMax: number
}

/** Time that is looked at in one go. */
const STEP_MS = 10_000
const LOOKS_MAX = 8

/** The part of a deferred set that is on disk: where it is looked up, loaded and read. */
export class DeferredStore {
  readonly #deps: DeferredStoreDeps

  constructor(deps: DeferredStoreDeps) {
    this.#deps = deps
  }

  get set(): DeferredSet {
    return this.#deps.set
  }

  /** The slot of a message that waits, brought from the index when it must be; else -1. */
  async bring(id: number): Promise<number> {
    const { set, index } = this.#deps
    for (let look = 0; look < LOOKS_MAX; look++) {
      const known = set.table.slotOf(id)
      if (known >= 0) return known
      if (!set.outcomes.isPending(id)) return -1
      const { evictions } = set
      const due = await index.get(deferredKey(set.kind, id))
      const address = due && { ...readDeferredDue(due), id }
      const place = address && (await index.get(deferredDueKey(set.kind, address)))
      // What was in memory went to the index meanwhile, and perhaps to another place there.
      if (set.evictions !== evictions || set.table.slotOf(id) >= 0) continue
      if (!set.outcomes.isPending(id)) return -1
      if (address && place) return set.bring({ ...address, ...readDeferredPlace(place) })
    }
    throw new BrokerError('CORRUPT', {
      store: 'index',
      position: id,
      reason: `${set.kind} ${id} is missing`,
    })
  }

  /**
   * Decides on a message in the turn in which it is in memory, so that whatever ended it before is
   * seen. `slot` is -1 when nothing can be decided on it any more.
   */
  async decide<Answer>(
    id: number,
    decision: (slot: number) => Answer | Promise<Answer>,
  ): Promise<Answer> {
    const { set } = this.#deps
    for (;;) {
      await this.bring(id)
      const slot = openSlot(set, id)
      // It may have left memory again before its turn came.
      if (slot >= 0 || !set.outcomes.isPending(id)) return decision(slot)
    }
  }

  /** Slots of a topic's messages on which something can be decided, brought where they must be. */
  async someOf(topicId: number, max: number): Promise<number[]> {
    const { set } = this.#deps
    const known = this.#slotsOf(topicId, max)
    if (known.length > 0) return known
    let brought = 0
    for await (const entry of this.stored(topicId, 0)) {
      set.bring(entry)
      if (++brought >= max) break
    }
    return this.#slotsOf(topicId, max)
  }

  /** Entries of a topic that only the index has, due at `fromMs` or later, in due order. */
  async *stored(topicId: number, fromMs: number): AsyncGenerator<DeferredEntry> {
    const { set, index } = this.#deps
    for await (const { key, value } of index.entries(deferredDueRange(set.kind, topicId, fromMs))) {
      const parsed = parseIndexKey(key)
      if (parsed.kind !== 'deferredDue') continue
      const { dueMs, id } = parsed
      if (set.table.slotOf(id) >= 0 || !set.outcomes.isPending(id)) continue
      yield { id, topicId, dueMs, ...readDeferredPlace(value) }
    }
  }

  /**
   * Loads what becomes due until `nowMs` and the window behind it, as far as there is room. Under
   * the checkpoint's lock: nothing moves between memory and index meanwhile.
   */
  reach(nowMs: number): Promise<void> {
    return this.#deps.index.exclusive(() => this.#reach(nowMs))
  }

  /** True when more should be in memory than is. */
  needsMore(nowMs: number): boolean {
    const { set, limits } = this.#deps
    if (!set.hasFar || set.table.queued >= limits.nearMax / 2) return false
    return set.nearUntilMs < nowMs + limits.nearWindowMs / 2
  }

  /** Messages that wait, by id, wherever they are by now; missing are those that have ended. */
  async read(ids: readonly number[]): Promise<Map<number, DeferredMessage>> {
    const { set, log } = this.#deps
    const found = new Map<number, DeferredMessage>()
    for (let look = 0; look < LOOKS_MAX; look++) {
      const left = ids.filter((id) => !found.has(id) && set.outcomes.isPending(id))
      if (left.length === 0) return found
      for (const id of left) if (set.table.slotOf(id) < 0) await this.bring(id)
      const slots = left.map((id) => set.table.slotOf(id)).filter((slot) => slot >= 0)
      const entries = slots.map((slot) => set.table.entry(slot))
      for (const [id, message] of await this.readAt(entries)) found.set(id, message)
      const isUnderWay = ({ id, chunk }: DeferredEntry) =>
        !found.has(id) && chunk >= log.syncedOffset
      // Admitted, or written anew, and not on disk yet: nobody reads it there before.
      if (entries.some(isUnderWay)) await log.flush()
    }
    // Reclaimed while we looked: the entry points elsewhere by now. If it does not, it is lost.
    throw new BrokerError('CORRUPT', {
      store: 'CommitLog',
      position: 0,
      reason: `the chunk of a ${set.kind} is missing`,
    })
  }

  /** The messages of entries, also of those that were written anew since somebody saw them. */
  async readListed(entries: readonly DeferredEntry[]): Promise<Map<number, DeferredMessage>> {
    const found = await this.readAt(entries)
    const moved = entries.filter(({ id }) => !found.has(id)).map(({ id }) => id)
    for (const [id, message] of await this.read(moved)) found.set(id, message)
    return found
  }

  /** Gives what a look at memory and index finds while nothing leaves memory for the index. */
  async whileNoneLeaves<Found>(look: () => Promise<Found>): Promise<Found> {
    const { set, index } = this.#deps
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      const { evictions } = set
      const found = await look()
      if (set.evictions === evictions) return found
    }
    return index.exclusive(look)
  }

  /** The messages at these places, as far as they are still there. */
  async readAt(entries: readonly DeferredEntry[]): Promise<Map<number, DeferredMessage>> {
    const { log } = this.#deps
    const chunks = new Map<number, Buffer | undefined>()
    for (const { chunk } of entries) chunks.set(chunk, undefined)
    await Promise.all(
      [...chunks.keys()].map(async (chunk) => {
        chunks.set(chunk, log.cached(chunk) ?? (await log.load(chunk)))
      }),
    )
    const found = new Map<number, DeferredMessage>()
    for (const { id, chunk, at } of entries) {
      const bytes = chunks.get(chunk)
      if (bytes === undefined) continue
      const record = recordAt(bytes, chunk, at)
      found.set(id, readDeferredMessage(record.type, record.payload))
    }
    return found
  }

  async #reach(nowMs: number): Promise<void> {
    const { set, limits } = this.#deps
    const untilMs = Math.min(DUE_NEVER_MS, Math.ceil(nowMs + limits.nearWindowMs))
    while (set.nearUntilMs < untilMs && set.table.queued < limits.nearMax) {
      const fromMs = Math.max(set.nearUntilMs, this.#farFromMs())
      const toMs = Math.min(untilMs, fromMs + STEP_MS)
      for (const [topicId, { farFromMs }] of set.topics)
        if (farFromMs < toMs) await this.#load(topicId, toMs)
      set.reachTo(toMs)
    }
  }

  #slotsOf(topicId: number, max: number): number[] {
    const { table } = this.#deps.set
    const slots: number[] = []
    for (let slot = 0; slot < table.end && slots.length < max; slot++)
      if (table.topicId[slot] === topicId && isOpen(table.state[slot] as number)) slots.push(slot)
    return slots
  }

  #farFromMs(): number {
    let fromMs = Number.POSITIVE_INFINITY
    for (const topic of this.#deps.set.topics.values()) fromMs = Math.min(fromMs, topic.farFromMs)
    const { table, nearUntilMs } = this.#deps.set
    // What is in memory and not queued may be due before.
    for (let slot = 0; slot < table.end; slot++)
      if (table.state[slot] === slotState.waiting && !table.isQueued(slot))
        fromMs = Math.min(fromMs, table.dueMs[slot] as number)
    return Math.max(nearUntilMs, Math.min(fromMs, DUE_NEVER_MS))
  }

  async #load(topicId: number, toMs: number): Promise<void> {
    const { set } = this.#deps
    const topic = set.topic(topicId)
    // Nothing is let go of meanwhile: the range is in memory from now on.
    let nextMs = Number.POSITIVE_INFINITY
    for await (const entry of this.stored(topicId, topic.farFromMs)) {
      if (entry.dueMs >= toMs) {
        nextMs = entry.dueMs
        break
      }
      set.bring(entry)
    }
    topic.farFromMs = nextMs
  }
}

const isOpen = (state: number): boolean =>
  state === slotState.admitted || state === slotState.waiting
