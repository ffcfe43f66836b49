import type { Look } from '../../machines/consumer-group/receive.decider.ts'
import type { StoredMessage } from '../../model/message/message.ts'
import type { ReceiveRequest } from '../../model/ports.ts'
import type { Frame } from '../../storage/tier/segment-frame.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { MessageReader } from './message-reader.ts'

export interface TierLoading {
  /** One queue's messages are on their way from the tier; the others are looked at meanwhile. */
  tierLoad: Promise<void> | undefined
}

interface LookIntoTier {
  readonly reader: MessageReader
  readonly found: TierLoading
  /** The first offset that was never looked at: from here on a look may end early. */
  readonly next: number
  /** What was read and may be delivered, by offset. */
  readonly messages: Map<number, StoredMessage>
}

/** A look at a message below the local minimum of its queue. */
export const lookInTier = (
  queue: ConsumeQueue,
  offset: number,
  { filter }: ReceiveRequest,
  { reader, found, messages, next }: LookIntoTier,
): Look => {
  if (queue.isEnded(offset)) return 'skip'
  const frame = frameInTier(queue, offset, { reader, found, next })
  if (frame === undefined) return missing(queue, offset, { reader, next })
  if (!filter.mayMatch(frame.unit(offset).tagsCode)) return 'skip'
  const message = messageInTier(queue, offset, { reader, frame })
  if (message === undefined && offset >= next && reader.tier.endAt(queue, offset))
    found.tierLoad ??= Promise.resolve()
  if (message === undefined) return missing(queue, offset, { reader, next })
  if (!filter.isAll && !filter.matches(message.system, message.properties)) return 'skip'
  messages.set(offset, message)
  return 'take'
}

/**
 * The frame with an offset; undefined while it is on its way, or when it will not come: then the
 * queue is in trouble. One queue is loaded at a time, so that a receive does not fetch a frame of
 * every queue for a batch of one.
 */
export const frameInTier = (
  queue: ConsumeQueue,
  offset: number,
  { reader: { tier }, found, next }: Omit<LookIntoTier, 'messages'>,
): Frame | undefined => {
  const frame = tier.find(queue, offset)
  if (frame !== undefined || found.tierLoad !== undefined) return frame
  if (offset >= next && tier.endAt(queue, offset)) found.tierLoad = Promise.resolve()
  else if (!tier.isInTrouble(queue, offset)) found.tierLoad = tier.load(queue, offset)
  return undefined
}

const missing = (
  queue: ConsumeQueue,
  offset: number,
  { reader, next }: Pick<LookIntoTier, 'reader' | 'next'>,
): Look => (offset < next && reader.tier.isInTrouble(queue, offset) ? 'leave' : 'load')

/** Undefined when it is damaged. */
export const messageInTier = (
  queue: ConsumeQueue,
  offset: number,
  { reader: { tier }, frame }: { readonly reader: MessageReader; readonly frame: Frame },
): StoredMessage | undefined => {
  try {
    return tier.message(frame, offset)
  } catch (error) {
    tier.inTrouble(queue, offset, error)
    return undefined
  }
}
