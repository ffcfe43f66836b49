import type { PlacedSection } from '../../machines/tier/topic-tier.ts'
import { BrokerError, isBrokerError } from '../../model/errors.ts'
import type { StoredMessage } from '../../model/message/message.ts'
import { tierObjectKey } from '../../model/tier/tier-objects.ts'
import { readMessage, storedMessageOf } from '../../storage/codec/message-fact.ts'
import type { Frame } from '../../storage/tier/segment-frame.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'
import type { TierReader } from './tier-reader.ts'

/** What went wrong in the tier, by queue. */
export type Troubles = Map<number, Trouble>

export interface Trouble {
  readonly error: unknown
  /** Offsets that are not tried again; one past the last. */
  readonly from: number
  readonly to: number
}

/**
 * What one call reads of a topic in the tier. It holds on to the frames that it got, so that a
 * small cache cannot make two calls evict each other's for ever. Expiry may take a section away
 * between two looks: then a load just ends, and the next look sees what is there now.
 */
export class HeldFrames {
  readonly troubles: Troubles
  readonly #reader: TierReader | undefined
  readonly #topic: Topic
  /** By queue, the one that was used last in front. */
  readonly #frames = new Map<number, Frame[]>()
  readonly #loading = new Map<number, Promise<void>>()
  /** By queue, where the call came to its bound. */
  readonly #ends = new Map<number, number>()
  #bytes = 0

  constructor(reader: TierReader | undefined, topic: Topic, troubles: Troubles = new Map()) {
    this.#reader = reader
    this.#topic = topic
    this.troubles = troubles
  }

  /**
   * One past the last offset of a queue that the call should look at: memory is bounded, so when it
   * holds much it makes do with what it has.
   */
  endOf({ queueId, offsetMax }: ConsumeQueue): number {
    return Math.min(this.#ends.get(queueId) ?? offsetMax, offsetMax)
  }

  /** True when the call holds too much to go on here, or there is trouble: it ends here. */
  endAt(queue: ConsumeQueue, offset: number): boolean {
    const isFull = this.#reader !== undefined && this.#bytes > this.#reader.heldBytesMax
    if (!isFull && !this.isInTrouble(queue, offset)) return false
    this.#ends.set(queue.queueId, offset)
    return true
  }

  isInTrouble({ queueId }: ConsumeQueue, offset: number): boolean {
    const trouble = this.troubles.get(queueId)
    return trouble !== undefined && offset >= trouble.from && offset < trouble.to
  }

  /** What cannot be read at an offset is not tried again, nor what is beside it in its section. */
  inTrouble({ queueId }: ConsumeQueue, offset: number, error: unknown): void {
    const { from, to } = this.#topic.tier.find(queueId, offset) ?? { from: offset, to: offset + 1 }
    const known = this.troubles.get(queueId)
    this.troubles.set(queueId, {
      error,
      from: Math.min(from, known?.from ?? from),
      to: Math.max(to, known?.to ?? to),
    })
  }

  /** The frame with an offset below the queue's local minimum, when it is in memory. */
  find({ queueId }: ConsumeQueue, offset: number): Frame | undefined {
    const held = this.#heldWith(queueId, offset)
    if (held) return held
    const section = this.#topic.tier.find(queueId, offset)
    const { topicId } = this.#topic
    const frame = section && this.#reader?.cachedFrame({ topicId, section }, offset)
    if (frame) this.#hold(queueId, frame)
    return frame
  }

  /** Loads it, one frame of a queue at a time. Never rejects: `troubles` says what went wrong. */
  load(queue: ConsumeQueue, offset: number): Promise<void> {
    const running = this.#loading.get(queue.queueId)
    if (running) return running
    const loading = this.#load(queue, offset).finally(() => this.#loading.delete(queue.queueId))
    this.#loading.set(queue.queueId, loading)
    return loading
  }

  /** The message at an offset of a frame. Throws `CORRUPT` when it is another. */
  message(frame: Frame, offset: number): StoredMessage {
    const { topicId, name } = this.#topic
    const { type, payload } = frame.record(offset)
    const fact = readMessage(type, payload)
    const { at, physicalOffset } = frame.unit(offset)
    if (fact.topicId !== topicId || fact.queueOffset !== offset)
      throw new BrokerError('CORRUPT', {
        store: this.#keyOf(frame),
        position: frame.entry.at + at,
        reason: `this is offset ${fact.queueOffset} of topic ${fact.topicId}, not ${offset}`,
      })
    return storedMessageOf(fact, { topic: name, physicalOffset })
  }

  async #load(queue: ConsumeQueue, offset: number): Promise<void> {
    const { queueId } = queue
    const { topicId } = this.#topic
    const section = this.#topic.tier.find(queueId, offset)
    if (section === undefined) {
      if (this.#isMissing(queue, offset)) this.inTrouble(queue, offset, hole(queueId, offset))
      return
    }
    try {
      if (this.#reader === undefined) throw new BrokerError('TIER_OFF', {})
      this.#hold(queueId, await this.#reader.loadFrame({ topicId, section }, offset))
    } catch (error) {
      if (!this.#hasExpired(error, section, offset)) this.inTrouble(queue, offset, error)
    }
  }

  /** Objects go after the fact that says so: one that is gone says that there is news. */
  #hasExpired(error: unknown, section: PlacedSection, offset: number): boolean {
    return (
      isBrokerError(error, 'TIER_OBJECT_NOT_FOUND') &&
      !isIn(this.#topic.tier.find(section.queueId, offset), section)
    )
  }

  #keyOf({ entry: { queueId, from } }: Frame): string {
    const section = this.#topic.tier.find(queueId, from)
    return section ? tierObjectKey(this.#topic.topicId, section.object) : 'tier'
  }

  #isMissing({ offsetMin, localMin }: ConsumeQueue, offset: number): boolean {
    return this.#topic.status !== 'dropped' && offset >= offsetMin && offset < localMin
  }

  #heldWith(queueId: number, offset: number): Frame | undefined {
    const frames = this.#frames.get(queueId)
    if (frames === undefined) return undefined
    for (let at = 0; at < frames.length; at++) {
      const frame = frames[at] as Frame
      if (offset < frame.from || offset >= frame.to) continue
      if (at > 0) frames.unshift(...frames.splice(at, 1))
      return frame
    }
    return undefined
  }

  #hold(queueId: number, frame: Frame): void {
    this.#bytes += frame.bytes
    const frames = this.#frames.get(queueId)
    if (frames) frames.unshift(frame)
    else this.#frames.set(queueId, [frame])
  }
}

/** The same place, whoever says so: a topic's state may be folded anew. */
const isIn = (found: PlacedSection | undefined, section: PlacedSection): boolean =>
  found !== undefined && tierObjectKey(0, found.object) === tierObjectKey(0, section.object)

const hole = (queueId: number, position: number) =>
  new BrokerError('CORRUPT', {
    store: 'tier',
    position,
    reason: `no section of queue ${queueId} holds this offset`,
  })
