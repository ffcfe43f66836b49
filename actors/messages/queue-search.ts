import { isBrokerError } from '../../model/errors.ts'
import type { MessageSources } from '../consumer-group/message-reader.ts'
import type { SectionRef, TierReader } from '../tier/tier-reader.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'
import { loadMessage } from './load-message.ts'

interface Search {
  readonly queue: ConsumeQueue
  /** Wall ms. */
  readonly sinceMs: number
}

/**
 * The first offset of a queue whose message was stored at or after a wall time; its end when there
 * is none. Store times never decrease along a queue, so a few messages are looked at: in the tier
 * an index and a frame at most.
 */
export const firstStoredSince = async (
  sources: MessageSources,
  topic: Topic,
  { queue, sinceMs }: Search,
): Promise<number> => {
  const { tierReader } = sources
  if (tierReader && queue.offsetMin < queue.localMin) {
    const found = await firstInTier(tierReader, topic, { queue, sinceMs })
    if (found !== undefined) return Math.max(found, queue.offsetMin)
  }
  let low = queue.localMin
  let high = queue.offsetMax
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const message = await loadMessage(sources, topic, { queue, offset: middle })
    // Trimmed meanwhile: it was older than all that is kept.
    if (message !== undefined && message.storeAtMs >= sinceMs) high = middle
    else low = middle + 1
  }
  return Math.max(low, queue.offsetMin)
}

/** Undefined when all of the queue that is only in the tier is older. */
const firstInTier = async (
  reader: TierReader,
  topic: Topic,
  { queue, sinceMs }: Search,
): Promise<number | undefined> => {
  for (;;) {
    const section = topic.tier.firstSince(queue.queueId, sinceMs)
    if (section === undefined || section.from >= queue.localMin) return undefined
    if (section.firstMs >= sinceMs) return section.from
    const { topicId } = topic
    try {
      return await firstInSection(reader, { topicId, section }, sinceMs)
    } catch (error) {
      const hasExpired = topic.tier.find(queue.queueId, section.from) !== section
      if (!hasExpired || !isBrokerError(error, 'TIER_OBJECT_NOT_FOUND')) throw error
    }
  }
}

/** Its last message is young enough, its first is not. */
const firstInSection = async (
  reader: TierReader,
  ref: SectionRef,
  sinceMs: number,
): Promise<number> => {
  const index = await reader.index(ref)
  const entry = index.frameSince(sinceMs)
  if (entry === undefined) return ref.section.to
  if (entry.firstMs >= sinceMs) return entry.from
  const frame = await reader.loadFrame(ref, entry.from)
  let low = frame.from + 1
  let high = frame.to - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if (frame.storeAtMs(middle) >= sinceMs) high = middle
    else low = middle + 1
  }
  return low
}
