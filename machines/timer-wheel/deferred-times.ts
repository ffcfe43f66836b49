/** Upper bounds of RocketMQ's `rocketmq_delay_message_latency`, in seconds. */
export const delayBoundsS = [60, 600, 3_600, 43_200, 86_400, 259_200] as const
/** Of RocketMQ's `rocketmq_timer_message_snapshot`, in seconds. */
export const snapshotBoundsS = [5, 60, 300, 900, 3_600, 14_400, 28_800, 86_400] as const
/** How late a timer was fired, in milliseconds. */
export const latenessBoundsMs = [1, 2, 5, 10, 20, 50, 100, 1_000, 10_000] as const

/** How often something took how long, since the start. */
export class Times {
  readonly bounds: readonly number[]
  /** Per bound, not summed up; what is larger is in none. */
  readonly counts: number[]
  count = 0
  sum = 0

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = bounds.map(() => 0)
  }

  add(value: number): void {
    this.count++
    this.sum += value
    const index = this.bounds.findIndex((bound) => value <= bound)
    if (index >= 0) this.counts[index] = (this.counts[index] as number) + 1
  }
}
