import type { CommitLog } from '../commit-log/commit-log.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'
import { loadMessage } from './load-message.ts'

/**
 * The first offset of a queue whose message was stored at or after a wall time; its end when there
 * is none. Store times never decrease along a queue, so a few messages are looked at.
 */
export const firstStoredSince = async (
  log: CommitLog,
  topic: Topic,
  { queue, sinceMs }: { readonly queue: ConsumeQueue; readonly sinceMs: number },
): Promise<number> => {
  let low = queue.offsetMin
  let high = queue.offsetMax
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const message = await loadMessage(log, topic, { queue, offset: middle })
    // Trimmed meanwhile: it was older than all that is kept.
    if (message !== undefined && message.storeAtMs >= sinceMs) high = middle
    else low = middle + 1
  }
  return Math.max(low, queue.offsetMin)
}
