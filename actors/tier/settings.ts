import type { Backoff } from '../../machines/backoff.ts'
import type { RequestKind } from '../../model/tier/requests.ts'

/** Bounds and periods of the tier; units in the names. */
export interface TierSettings {
  /** A queue with so much to offload goes at once. 48 MiB cost a busy queue 43 PUTs per GiB. */
  readonly segmentBytes: number
  /** One with less waits so long for company. */
  readonly holdMs: number
  /** How often queues are looked at that nothing woke. */
  readonly tickMs: number
  /** Memory for segments on their way, all queues together. */
  readonly bufferBytes: number
  readonly uploadsMax: number
  /** A request to the store that takes longer has failed. */
  readonly requestMs: number
  /** Frames that were read back, kept in memory. */
  readonly cacheBytes: number
  /** Read ahead of a consumer that goes on. */
  readonly readAheadBytes: number
  readonly readsMax: number
  /** Names that one search reads at most; of a small section, as much as reading it costs. */
  readonly searchBytes: number
  readonly backoff: Backoff
  /** What nobody claims is removed when it is so old: an upload may be on its way to its claim. */
  readonly graceMs: number
  readonly janitorEveryMs: number
  /** What a month may cost, in the currency of the prices. 0: no budget. */
  readonly budgetPerMonth: number
  readonly prices: TierPrices
}

export interface TierPrices {
  readonly perGibMonth: number
  /** Per 1,000 requests. */
  readonly requests: Readonly<Record<RequestKind, number>>
}

export const tierDefaults: TierSettings = {
  segmentBytes: 48 << 20,
  holdMs: 600_000,
  tickMs: 5_000,
  bufferBytes: 128 << 20,
  uploadsMax: 2,
  requestMs: 300_000,
  cacheBytes: 64 << 20,
  readAheadBytes: 4 << 20,
  readsMax: 8,
  searchBytes: 256 << 20,
  backoff: { msBase: 1_000, msMax: 60_000 },
  graceMs: 24 * 3_600_000,
  janitorEveryMs: 3_600_000,
  budgetPerMonth: 0,
  // Amazon's list for S3 Standard in us-east-1, in US dollars.
  prices: {
    perGibMonth: 0.023,
    requests: { put: 0.005, get: 0.0004, head: 0.0004, list: 0.005, remove: 0 },
  },
}
