/** In ms. */
export const flushBuckets: readonly number[] = [
  ...[1, 2, 5, 10, 20, 50, 100],
  ...[200, 500, 1_000, 2_000, 5_000, 10_000, 30_000],
]

/** How long flushes took, and how many failed. */
export class FlushRecord {
  /** How many took at most as long as each bucket says, and longer than the one before. */
  readonly counts = new Float64Array(flushBuckets.length)
  count = 0
  failures = 0
  sumMs = 0
  /** 0 before the first. */
  lastMs = 0

  synced(ms: number): void {
    const bucket = flushBuckets.findIndex((most) => ms <= most)
    if (bucket >= 0) this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.count++
    this.sumMs += ms
    this.lastMs = ms
  }
}
