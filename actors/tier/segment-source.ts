import { BrokerError, isBrokerError } from '../../model/errors.ts'
import type { Clock } from '../../model/ports.ts'
import { isMessage } from '../../storage/codec/fact-type.ts'
import { type MessageFact, readMessage } from '../../storage/codec/message-fact.ts'
import { recordAt } from '../../storage/codec/record.ts'
import type { Unit } from '../../storage/codec/unit-block.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'

export interface SourceMessage {
  readonly offset: number
  readonly unit: Unit
  /** The whole record. Shares memory that may be used again after the turn. */
  readonly record: Buffer
  readonly fact: MessageFact
}

export interface Stretch {
  readonly from: number
  readonly to: number
  readonly signal: AbortSignal
}

/** Bytes of messages that are looked at in one turn. */
const TURN_BYTES = 512 << 10
/** Loaded this often and still not there, a unit or a chunk is lost. */
const LOADS_MAX = 8

interface Loaded {
  readonly offset: number
  readonly bytes: Buffer
}

/**
 * Reads messages of a queue where they lie in the log, in the order of the queue. A chunk from
 * disk is held as long as the messages that follow lie in it, and leaves the cache of those who
 * read the tail alone.
 */
export class SegmentSource {
  readonly #log: CommitLog
  readonly #clock: Pick<Clock, 'soon'>

  constructor({ log, clock }: { log: CommitLog; clock: Pick<Clock, 'soon'> }) {
    this.#log = log
    this.#clock = clock
  }

  /**
   * Shows each message until `visit` returns false. Returns the offset after the last that was
   * taken, which is early when the queue was trimmed meanwhile. Throws
   * `TIER_MESSAGE_UNREADABLE` at one that is not what its unit says, or not there.
   */
  async read(
    topic: Topic,
    queue: ConsumeQueue,
    { from, to, signal }: Stretch,
    visit: (message: SourceMessage) => boolean,
  ): Promise<number> {
    let offset = from
    let loads = 0
    let turnBytes = 0
    let held: Loaded | undefined
    while (offset < to) {
      signal.throwIfAborted()
      if (offset < queue.localMin) return offset
      const message = this.#glance(topic, queue, offset, held)
      if (message) {
        if (!visit(message)) return offset
        offset++
        loads = 0
        turnBytes += message.unit.size
        if (turnBytes < TURN_BYTES) continue
        turnBytes = 0
        await new Promise<void>((resolve) => this.#clock.soon(resolve))
      } else held = await this.#load({ topic, queue, offset, loads: loads++ })
    }
    return offset
  }

  /** Sizes of messages from an offset on, counted until there are `bytes`. Returns how far. */
  async count(
    queue: ConsumeQueue,
    stretch: Stretch & { readonly bytes: number },
  ): Promise<{ readonly to: number; readonly bytes: number }> {
    let { from: offset } = stretch
    let bytes = 0
    let loads = 0
    while (offset < stretch.to && bytes < stretch.bytes) {
      stretch.signal.throwIfAborted()
      const unit = queue.unit(offset)
      if (unit) {
        bytes += unit.size
        offset++
        loads = 0
      } else {
        if (offset < queue.localMin || loads++ > LOADS_MAX) break
        await queue.load(offset)
      }
    }
    return { to: offset, bytes }
  }

  #glance(
    topic: Topic,
    queue: ConsumeQueue,
    offset: number,
    held: Loaded | undefined,
  ): SourceMessage | undefined {
    const unit = queue.unit(offset)
    if (unit === undefined) return undefined
    if (unit.size === 0) throw unreadable({ topic, queue, offset }, 'its unit is empty')
    const chunk = held?.offset === unit.chunk ? held.bytes : this.#log.glance(unit.chunk)
    if (chunk === undefined) return undefined
    return checked({ topic, queue, offset }, unit, chunk)
  }

  async #load({
    topic,
    queue,
    offset,
    loads,
  }: Place & { readonly loads: number }): Promise<Loaded | undefined> {
    const place = { topic, queue, offset }
    const unit = queue.unit(offset)
    if (unit === undefined) {
      if (loads > LOADS_MAX) throw unreadable(place, 'it has no unit')
      await queue.load(offset)
      return undefined
    }
    try {
      const bytes = await this.#log.chunks.read(unit.chunk)
      if (bytes) return { offset: unit.chunk, bytes }
    } catch (error) {
      if (!isBrokerError(error, 'CORRUPT')) throw error
      throw unreadable(place, 'its chunk is damaged', error)
    }
    // Moved while it was looked for, or lost.
    if (loads > LOADS_MAX) throw unreadable(place, `the log has no chunk at ${unit.chunk}`)
    await new Promise<void>((resolve) => this.#clock.soon(resolve))
    return undefined
  }
}

interface Place {
  readonly topic: Topic
  readonly queue: ConsumeQueue
  readonly offset: number
}

export const unreadable = (
  { topic, queue, offset }: Place,
  reason: string,
  cause?: unknown,
): BrokerError =>
  new BrokerError(
    'TIER_MESSAGE_UNREADABLE',
    { topic: topic.name, queueId: queue.queueId, offset, reason },
    cause === undefined ? undefined : { cause },
  )

/** The record, if it is the message that its unit says. */
const checked = (place: Place, unit: Unit, chunk: Buffer): SourceMessage => {
  const { topic, queue, offset } = place
  try {
    const { type, size, payload } = recordAt(chunk, unit.chunk, unit.at)
    if (size === unit.size && isMessage(type)) {
      const fact = readMessage(type, payload)
      const isItself =
        fact.topicId === topic.topicId &&
        fact.queueId === queue.queueId &&
        fact.queueOffset === offset
      const record = chunk.subarray(unit.at, unit.at + size)
      if (isItself) return { offset, unit, record, fact }
    }
  } catch (error) {
    throw unreadable(place, 'its record is damaged', error)
  }
  throw unreadable(place, 'its unit names another record')
}
