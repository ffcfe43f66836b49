import { BrokerError } from '../../model/errors.ts'
import type { StoredMessage } from '../../model/message/message.ts'
import { readMessage, storedMessageOf } from '../../storage/codec/message-fact.ts'
import { recordAt } from '../../storage/codec/record.ts'
import type { Unit } from '../../storage/codec/unit-block.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import { HeldFrames, type Troubles } from '../tier/held-frames.ts'
import type { TierReader } from '../tier/tier-reader.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'

/** Where stored messages lie. */
export interface MessageSources {
  readonly log: CommitLog
  /** Undefined on a broker without a tier. */
  readonly tierReader?: TierReader | undefined
}

/** Missing this often, a chunk is not on its way elsewhere but lost. */
const MISSES_MAX = 4

/**
 * Reads the messages of one receive. What it had to load it keeps until the receive ends, so
 * that a small cache cannot make two receives evict each other's chunks for ever.
 */
export class MessageReader {
  readonly #log: CommitLog
  readonly #tierReader: TierReader | undefined
  readonly #topic: Topic
  readonly #troubles: Troubles | undefined
  readonly #held = new Map<number, Buffer>()
  readonly #loadingUnits = new Set<string>()
  readonly #loading = new Map<number, Promise<void>>()
  readonly #misses = new Map<number, number>()

  #tier: HeldFrames | undefined

  /** `troubles` that the tier had before are not tried again. */
  constructor({ log, tierReader }: MessageSources, topic: Topic, troubles?: Troubles) {
    this.#log = log
    this.#tierReader = tierReader
    this.#topic = topic
    this.#troubles = troubles
  }

  /** For what is below the local minimum of a queue. */
  get tier(): HeldFrames {
    this.#tier ??= new HeldFrames(this.#tierReader, this.#topic, this.#troubles)
    return this.#tier
  }

  /** What went wrong in the tier; undefined while nothing did. */
  get troubles(): Troubles | undefined {
    const troubles = this.#tier?.troubles ?? this.#troubles
    return troubles !== undefined && troubles.size > 0 ? troubles : undefined
  }

  /** The message at a unit; undefined when its chunk is not in memory, which is then loading. */
  read(unit: Unit, loads: Promise<unknown>[]): StoredMessage | undefined {
    const chunk = this.#log.cached(unit.chunk) ?? this.#held.get(unit.chunk)
    if (chunk === undefined) {
      loads.push(this.#loadOnce(unit.chunk))
      return undefined
    }
    const record = recordAt(chunk, unit.chunk, unit.at)
    const fact = readMessage(record.type, record.payload)
    const physicalOffset = unit.chunk + unit.at
    return storedMessageOf(fact, { topic: this.#topic.name, physicalOffset })
  }

  loadUnit(queue: ConsumeQueue, offset: number, loads: Promise<unknown>[]): void {
    const key = `${queue.queueId}/${offset >>> 7}`
    if (this.#loadingUnits.has(key) && loads.length > 0) return
    this.#loadingUnits.add(key)
    loads.push(queue.load(offset))
  }

  #loadOnce(offset: number): Promise<void> {
    const running = this.#loading.get(offset)
    if (running) return running
    const loading = this.#load(offset).finally(() => this.#loading.delete(offset))
    this.#loading.set(offset, loading)
    return loading
  }

  async #load(offset: number): Promise<void> {
    const chunk = await this.#log.load(offset)
    if (chunk) {
      this.#held.set(offset, chunk)
      return
    }
    // Reclaimed while we looked: the unit points elsewhere by now. If it does not, it is lost.
    const misses = (this.#misses.get(offset) ?? 0) + 1
    this.#misses.set(offset, misses)
    if (misses > MISSES_MAX)
      throw new BrokerError('CORRUPT', {
        store: 'CommitLog',
        position: offset,
        reason: 'the chunk of a message is missing',
      })
  }
}
