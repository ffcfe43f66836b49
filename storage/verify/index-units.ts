import type { TopicState } from '../../model/addressing/registry-facts.ts'
import { type Fault, verifyRemedies } from '../../model/doctor.ts'
import { queueBlockKey } from '../codec/index-key.ts'
import type { Span } from '../codec/index-record.ts'
import type { MessageFact } from '../codec/message-fact.ts'
import { BLOCK_UNITS, readUnit, UNIT_BYTES, type Unit } from '../codec/unit-block.ts'
import type { Readable } from '../ports/database.ts'
import type { Place } from './verify-log.ts'

/** Blocks of the queues that are written to are looked at once each. */
const BLOCKS_HELD_MAX = 8_192

export interface IndexedTopic {
  readonly span: Span
  readonly topic: TopicState
}

export const indexFault = (where: string, what: string): Fault => ({
  store: 'index',
  where,
  what,
  remedy: verifyRemedies.index,
})

/**
 * Compares every message of the log with its unit in the index, in the order of the log. A unit
 * that points elsewhere must find its message there: it was carried forward.
 */
export class IndexUnits {
  readonly #index: Readable
  readonly #topics: ReadonlyMap<number, IndexedTopic>
  readonly #blocks = new Map<string, Buffer | undefined>()
  /** Units whose message is still to come, by topic, queue and offset. */
  readonly #elsewhere = new Map<string, Unit>()
  /** Carried forward behind what the index knows: it points to where they were. */
  readonly #moved = new Set<string>()
  readonly #ended = new Set<number>()
  readonly #trimmed = new Map<string, number>()
  /** Blocks, each with the last offset whose unit it lacks. */
  readonly #missing = new Map<string, number>()

  constructor(index: Readable, topics: ReadonlyMap<number, IndexedTopic>) {
    this.#index = index
    this.#topics = topics
  }

  /** Its blocks may be gone although the index does not say so yet. */
  topicEnded(topicId: number): void {
    this.#ended.add(topicId)
  }

  /** Undefined for what the index need not know. */
  kept(topicId: number, queueId: number, offset: number): IndexedTopic | undefined {
    const indexed = this.#topics.get(topicId)
    const bounds = indexed?.topic.bounds[queueId]
    if (indexed?.topic.status !== 'serving' || bounds === undefined) return undefined
    return offset >= bounds.offsetMin && offset < bounds.offsetMax ? indexed : undefined
  }

  queueTrimmed(topicId: number, queueId: number, offsetMin: number): void {
    this.#trimmed.set(`${topicId} ${queueId}`, offsetMin)
  }

  /** Facts behind what the index knows say that the unit's message is no longer there. */
  isOutdated(topicId: number, queueId: number, offset: number): boolean {
    return (
      this.#ended.has(topicId) ||
      offset < (this.#trimmed.get(`${topicId} ${queueId}`) ?? 0) ||
      this.#moved.has(`${topicId} ${queueId} ${offset}`)
    )
  }

  async message(fact: MessageFact, place: Place): Promise<Fault | undefined> {
    const { topicId, queueId, queueOffset } = fact
    const indexed = this.kept(topicId, queueId, queueOffset)
    if (indexed === undefined) return undefined
    const name = `${topicId} ${queueId} ${queueOffset}`
    if (place.chunk + place.at >= indexed.span.asOf) {
      if (fact.carriedFrom) this.#moved.add(name)
      return undefined
    }
    const unit = await this.#unit(topicId, queueId, queueOffset)
    const where = `topic ${topicId} queue ${queueId} offset ${queueOffset}`
    if (unit === undefined) return this.#lack(topicId, queueId, queueOffset)
    if (unit.chunk === place.chunk && unit.at === place.at) {
      this.#elsewhere.delete(name)
      const isSame =
        unit.size === place.size &&
        unit.tagsCode === fact.tagsCode &&
        unit.groupHash === fact.groupHash
      return isSame ? undefined : indexFault(where, 'the unit does not describe its message')
    }
    this.#elsewhere.set(name, unit)
    return undefined
  }

  /** What is left when the whole log was seen. */
  *rest(): Generator<Fault> {
    for (const [name, { chunk, at }] of this.#elsewhere) {
      const [topicId = 0, queueId = 0, offset = 0] = name.split(' ').map(Number)
      if (this.isOutdated(topicId, queueId, offset)) continue
      const where = `topic ${topicId} queue ${queueId} offset ${offset}`
      yield indexFault(where, `the unit points to ${chunk} + ${at}, where its message is not`)
    }
    for (const [name, last] of this.#missing) {
      const [topicId = 0, queueId = 0, block = 0] = name.split(' ').map(Number)
      if (!this.isOutdated(topicId, queueId, last))
        yield indexFault(`topic ${topicId} queue ${queueId} block ${block}`, 'units are missing')
    }
  }

  #lack(topicId: number, queueId: number, offset: number): undefined {
    this.#missing.set(`${topicId} ${queueId} ${Math.floor(offset / BLOCK_UNITS)}`, offset)
  }

  async #unit(topicId: number, queueId: number, offset: number): Promise<Unit | undefined> {
    const block = await this.#block(topicId, queueId, Math.floor(offset / BLOCK_UNITS))
    const index = offset % BLOCK_UNITS
    if (block === undefined || block.length < (index + 1) * UNIT_BYTES) return undefined
    const unit = readUnit(block, index)
    return unit.size === 0 ? undefined : unit
  }

  async #block(topicId: number, queueId: number, block: number): Promise<Buffer | undefined> {
    const name = `${topicId} ${queueId} ${block}`
    if (this.#blocks.has(name)) return this.#blocks.get(name)
    const value = await this.#index.get(queueBlockKey(topicId, queueId, block))
    const bytes = value && Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    const [oldest] = this.#blocks.keys()
    if (this.#blocks.size >= BLOCKS_HELD_MAX && oldest !== undefined) this.#blocks.delete(oldest)
    this.#blocks.set(name, bytes)
    return bytes
  }
}
