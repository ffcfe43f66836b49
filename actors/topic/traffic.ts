/** Upper bounds of RocketMQ's `rocketmq_message_size`, in bytes. */
export const sizeBuckets = [1_024, 4_096, 524_288, 1_048_576, 2_097_152, 4_194_304] as const

/** Messages of one type that a topic took since the start. */
export class Traffic {
  messages = 0
  bytes = 0
  /** Per bucket, not summed up; what is larger is in none. */
  readonly sizes: number[] = sizeBuckets.map(() => 0)

  add(bytes: number): void {
    this.messages++
    this.bytes += bytes
    for (let bucket = 0; bucket < sizeBuckets.length; bucket++)
      if (bytes <= (sizeBuckets[bucket] as number)) {
        this.sizes[bucket] = (this.sizes[bucket] as number) + 1
        return
      }
  }
}
