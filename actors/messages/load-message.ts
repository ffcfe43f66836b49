import { BrokerError } from '../../model/errors.ts'
import type { StoredMessage } from '../../model/message/message.ts'
import { MessageReader, type MessageSources } from '../consumer-group/message-reader.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'

/** Unit, chunk, and both again when a small cache has let go of one meanwhile. */
const LOAD_ROUNDS_MAX = 16

export interface MessagePosition {
  readonly queue: ConsumeQueue
  readonly offset: number
}

/**
 * The message at a queue offset, wherever it lies; undefined when the queue does not show one there
 * any more. Rejects with what the tier says when it cannot be read there.
 */
export const loadMessage = async (
  sources: MessageSources,
  topic: Topic,
  { queue, offset }: MessagePosition,
): Promise<StoredMessage | undefined> => {
  const reader = new MessageReader(sources, topic)
  for (let round = 0; round < LOAD_ROUNDS_MAX; round++) {
    const isShown = offset >= queue.offsetMin && offset < queue.offsetMax
    if (!isShown || topic.status === 'dropped') return undefined
    // A trim may move it from here to there between two looks, and never back.
    const message =
      offset < queue.localMin
        ? await fromTier(reader, { queue, offset })
        : await fromLog(reader, { queue, offset })
    if (message) return message
  }
  throw new BrokerError('THROTTLED', { reason: 'the message is being loaded' })
}

const fromLog = async (
  reader: MessageReader,
  { queue, offset }: MessagePosition,
): Promise<StoredMessage | undefined> => {
  const loads: Promise<unknown>[] = []
  const unit = queue.unit(offset)
  if (unit === undefined) reader.loadUnit(queue, offset, loads)
  const message = unit && reader.read(unit, loads)
  if (message === undefined) await Promise.all(loads)
  return message
}

const fromTier = async (
  { tier }: MessageReader,
  { queue, offset }: MessagePosition,
): Promise<StoredMessage | undefined> => {
  const frame = tier.find(queue, offset)
  if (frame) return tier.message(frame, offset)
  await tier.load(queue, offset)
  for (const { error } of tier.troubles.values()) throw error
  return undefined
}
