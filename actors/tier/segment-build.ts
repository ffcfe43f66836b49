import { isBrokerError } from '../../model/errors.ts'
import { Cursor } from '../../model/wire/varint.ts'
import { collectRecordNames } from '../../storage/codec/message-names.ts'
import type { SegmentIdentity } from '../../storage/tier/segment-format.ts'
import { SegmentWriter, type WrittenSegment } from '../../storage/tier/segment-writer.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'
import { type SegmentSource, type SourceMessage, unreadable } from './segment-source.ts'

export interface SegmentPlan {
  readonly topic: Topic
  /** The queue that is due, and its first offset that the tier does not have. */
  readonly leader: ConsumeQueue
  readonly from: number
  readonly identity: SegmentIdentity
  /** Bytes of messages with which a segment is full. */
  readonly bytesMax: number
  readonly signal: AbortSignal
}

/** A queue that goes along. */
export interface Rider {
  readonly queue: ConsumeQueue
  readonly from: number
}

/** Names of a record: by them it is known how large a segment of this message alone is. */
export const bytesAlone = ({ record }: SourceMessage): number => {
  let names = 0
  const sink = {
    message: () => {},
    name: () => {
      names++
    },
  }
  collectRecordNames(new Cursor(record), 0, sink)
  return SegmentWriter.bytesFor(record.length, names)
}

/**
 * Fills a segment: what its leader has, and when that is not enough what others have. A message
 * that cannot be read ends its queue's section, and nothing else; undefined when nothing is left
 * of what the leader was to send.
 */
export class SegmentBuild {
  readonly #source: SegmentSource
  readonly #plan: SegmentPlan
  readonly #writer: SegmentWriter
  #bytes = 0

  constructor(source: SegmentSource, buffer: Buffer, plan: SegmentPlan) {
    this.#source = source
    this.#plan = plan
    this.#writer = new SegmentWriter(buffer, plan.identity)
  }

  /** `riders` is asked when the leader is in and there is room. */
  async run(riders: () => Iterable<Rider>): Promise<WrittenSegment | undefined> {
    const { leader, from, bytesMax, signal } = this.#plan
    if ((await this.#section({ queue: leader, from })) === 0) return undefined
    if (this.#bytes < bytesMax)
      for (const rider of riders()) {
        if (this.#bytes >= bytesMax) break
        await this.#section(rider).catch((error: unknown) => {
          // It stands still when it leads, and says why.
          if (signal.aborted || !isBrokerError(error, 'TIER_MESSAGE_UNREADABLE')) throw error
        })
      }
    return this.#writer.finish()
  }

  /** Messages that went in. */
  async #section({ queue, from }: Rider): Promise<number> {
    const { topic, signal, bytesMax } = this.#plan
    this.#writer.beginSection(queue.queueId, from)
    let count = 0
    const visit = (message: SourceMessage): boolean => {
      if (this.#bytes >= bytesMax) return false
      if (!this.#add(message, { topic, queue })) return false
      count++
      this.#bytes += message.record.length
      return true
    }
    try {
      await this.#source.read(topic, queue, { from, to: queue.offsetMax, signal }, visit)
    } catch (error) {
      // What is before it goes; the next round begins at it.
      if (count === 0 || !isBrokerError(error, 'TIER_MESSAGE_UNREADABLE')) throw error
    }
    if (count > 0) this.#writer.endSection()
    return count
  }

  #add(
    { offset, unit, record, fact }: SourceMessage,
    owner: { readonly topic: Topic; readonly queue: ConsumeQueue },
  ): boolean {
    try {
      return this.#writer.add(unit, record, fact.storeAtMs)
    } catch (error) {
      throw unreadable({ ...owner, offset }, 'its record is damaged', error)
    }
  }
}
