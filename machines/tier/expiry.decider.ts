import type { TierSection } from '../../model/tier/tier-objects.ts'
import type { TopicTier } from './topic-tier.ts'

/** A queue, as far as what expires depends on it. */
export interface LocalBounds {
  readonly queueId: number
  readonly localMin: number
}

export interface Expiring {
  readonly tier: TopicTier
  readonly queues: readonly LocalBounds[]
  /** Of the topic in the log. */
  readonly localBytes: number
  readonly retention: { readonly ageMs: number; readonly bytes: number }
  readonly nowMs: number
}

export interface ExpiredQueue {
  readonly queueId: number
  /** Sections that end at or below it go. */
  readonly offsetMin: number
}

/**
 * Which leading sections go: those whose last message is older than the retention, and the oldest
 * while the topic has more than it may. What the log still has stays: else a queue's first offset
 * would go back to where the log begins.
 */
export const expiredOf = ({
  tier,
  queues,
  localBytes,
  retention,
  nowMs,
}: Expiring): ExpiredQueue[] => {
  const gone = new Map<number, number>()
  const bornAfterMs = nowMs - retention.ageMs
  const leading = queues.map(({ queueId, localMin }) => {
    const left: TierSection[] = tier.sectionsOf(queueId).filter(({ to }) => to <= localMin)
    while (left[0] !== undefined && left[0].lastMs <= bornAfterMs)
      gone.set(queueId, (left.shift() as TierSection).to)
    return left
  })
  let bytes = localBytes
  for (const left of leading) for (const section of left) bytes += section.bytes
  while (retention.bytes > 0 && bytes > retention.bytes) {
    const oldest = oldestOf(leading)
    const section = oldest?.shift()
    if (section === undefined) break
    gone.set(section.queueId, section.to)
    bytes -= section.bytes
  }
  return Array.from(gone, ([queueId, offsetMin]) => ({ queueId, offsetMin }))
}

const oldestOf = (leading: readonly TierSection[][]): TierSection[] | undefined => {
  let oldest: TierSection[] | undefined
  for (const left of leading) {
    const [first] = left
    if (first && (oldest?.[0] === undefined || first.lastMs < oldest[0].lastMs)) oldest = left
  }
  return oldest
}
