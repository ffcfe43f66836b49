import type { RequestKind } from './requests.ts'

/** What the tier is doing, as people ask for it. */
export interface TierStatus {
  /** Such as `s3://bucket/prefix`. */
  readonly store: string
  /** Under which this data directory writes. */
  readonly namespace: string
  readonly buffers: TierBuffers
  readonly cache: { readonly bytes: number; readonly bytesMax: number; readonly frames: number }
  readonly cost: TierCost
  readonly topics: readonly TierTopicStatus[]
}

/** Memory that uploads hold. All zero but `bytesMax` and the high-water mark when nobody uploads. */
export interface TierBuffers {
  readonly buffers: number
  readonly bytes: number
  readonly bytesMax: number
  readonly highWaterBytes: number
  readonly waiters: number
}

/** Money, by the price list in the settings: an estimate from what is stored and asked for. */
export interface TierCost {
  /** What a month costs if it goes on as in the last day. */
  readonly perMonth: number
  /** 0: no budget. */
  readonly budgetPerMonth: number
  /** True while offloading waits because a month would cost more than the budget. */
  readonly isPaused: boolean
}

export interface TierTraffic {
  readonly requests: Readonly<Record<RequestKind, number>>
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly failed: number
}

export interface TierTopicStatus {
  readonly topic: string
  readonly topicId: number
  /** `serving`, or `droppingTier` of a topic that has ended. */
  readonly state: string
  readonly objects: number
  readonly bytes: number
  /** Since the broker started. */
  readonly traffic: TierTraffic
  readonly costPerMonth: number
  readonly queues: readonly TierQueueStatus[]
}

export interface TierQueueStatus {
  readonly queueId: number
  /** State of its offload chart; `following` while it has nothing to do. */
  readonly state: string
  /** Why it waits, when something failed. */
  readonly reason?: string
  readonly nextTryInMs?: number
  /** Offsets in the tier: `[tierMin, tierEnd)`; missing while there are none. */
  readonly tierMin?: number
  readonly tierEnd?: number
  /** Offsets in the log: `[localMin, offsetMax)`. */
  readonly localMin: number
  readonly offsetMax: number
  /** Messages that the tier does not have yet. */
  readonly behind: number
}

/** An object in the store that no topic claims. */
export interface TierResidue {
  readonly key: string
  readonly bytes: number
  readonly modifiedMs: number
  /** When the janitor removes it. */
  readonly removedAfterMs: number
}

/** An object that was done; `done` counts it, of all that there are to do. */
export interface TierStep {
  readonly key: string
  readonly bytes: number
  readonly done: number
  readonly of: number
  /** What is wrong with it. */
  readonly problem?: string
}

/** What operators do with the tier. Every call throws `TIER_OFF` on a broker without one. */
export interface Tiering {
  /** Undefined on a broker without a tier. */
  status(topic?: string): TierStatus | undefined
  /** Uploads what the log has now without waiting for full segments; yields after every object. */
  offload(topic?: string): AsyncIterable<TierStep>
  /** Reads every object of one or all topics and compares it with itself and the claims on it. */
  verify(topic?: string): AsyncIterable<TierStep>
  /** The objects of a topic with their bytes, as they lie in the store, manifest first. */
  fetch(topic: string): AsyncIterable<TierStep & { readonly content: Uint8Array }>
  /** What the store holds that nobody claims. */
  residue(): Promise<readonly TierResidue[]>
}
