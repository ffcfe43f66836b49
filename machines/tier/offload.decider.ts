/** What is known of a queue that has messages which the tier does not. */
export interface QueueOutlook {
  /** First offset that the tier does not have. */
  readonly from: number
  /** Where the last look stood, if nothing was offloaded since; undefined before the first. */
  readonly lastFrom: number | undefined
  readonly localMin: number
  /** One past the last visible offset. */
  readonly offsetMax: number
  /** Of the messages from `from` on, counted until there is enough. */
  readonly bytes: number
  /** Store time of the first of them, wall ms. */
  readonly firstAtMs: number
  readonly nowMs: number
  /** Somebody asked for it. */
  readonly isForced: boolean
  readonly isOverBudget: boolean
}

export interface OffloadPolicy {
  readonly segmentBytes: number
  readonly holdMs: number
}

export type Survey =
  /** The tier has everything. */
  | { readonly verdict: 'following' }
  /** The log has let go of what was to come next. */
  | { readonly verdict: 'behind' }
  /** Too little and too young to go alone. */
  | { readonly verdict: 'holding'; readonly holdMs: number }
  | { readonly verdict: 'pausedByBudget' }
  | { readonly verdict: 'due' }

/** What is to be done about a queue now. */
export const surveyOf = (outlook: QueueOutlook, policy: OffloadPolicy): Survey => {
  const { from, lastFrom, localMin, offsetMax, bytes, firstAtMs, nowMs } = outlook
  if (from >= offsetMax) return { verdict: 'following' }
  if (lastFrom !== undefined && lastFrom < localMin) return { verdict: 'behind' }
  const holdMs = Math.min(policy.holdMs, firstAtMs + policy.holdMs - nowMs)
  const isDue = outlook.isForced || bytes >= policy.segmentBytes || holdMs <= 0
  if (!isDue) return { verdict: 'holding', holdMs }
  return outlook.isOverBudget ? { verdict: 'pausedByBudget' } : { verdict: 'due' }
}
