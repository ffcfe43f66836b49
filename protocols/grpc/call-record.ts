/** In ms (RocketMQ 5, metrics). */
export const latencyBuckets: readonly number[] = [1, 3, 5, 7, 10, 100, 1_000, 2_000, 3_000]

/** How calls end, by the names of RocketMQ's label `result`. */
export const results = ['success', 'cancelled'] as const
export type Result = (typeof results)[number]

export interface Timings {
  readonly code: number
  readonly result: Result
  /** How many took at most as long as each bucket says, and longer than the one before. */
  readonly counts: Float64Array
  count: number
  sumMs: number
}

/** The calls of one RPC: how many are in flight, and how long those took that ended. */
export class CallRecord {
  readonly #timings = new Map<number, Timings>()
  inFlight = 0

  get timings(): Iterable<Timings> {
    return this.#timings.values()
  }

  enter(): void {
    this.inFlight++
  }

  leave(): void {
    this.inFlight--
  }

  /** `code` is the reply's status, one of few; 0 where there was no reply. */
  answered(code: number, result: Result, ms: number): void {
    const timings = this.#of(code, result)
    timings.count++
    timings.sumMs += ms
    for (let bucket = 0; bucket < latencyBuckets.length; bucket++)
      if (ms <= (latencyBuckets[bucket] ?? 0)) {
        timings.counts[bucket] = (timings.counts[bucket] ?? 0) + 1
        return
      }
  }

  #of(code: number, result: Result): Timings {
    const key = code * results.length + results.indexOf(result)
    const known = this.#timings.get(key)
    if (known !== undefined) return known
    const counts = new Float64Array(latencyBuckets.length)
    const timings: Timings = { code, result, counts, count: 0, sumMs: 0 }
    this.#timings.set(key, timings)
    return timings
  }
}

const STATUS = 0x0a
const CODE = 0x08

/** The code of a reply's status, which every reply begins with; 0 where there is none. */
export const codeIn = (reply: Buffer | undefined): number => {
  if (reply === undefined || reply[0] !== STATUS) return 0
  let at = 1
  while ((reply[at] ?? 0) >= 0x80) at++
  if (reply[++at] !== CODE) return 0
  let code = 0
  let unit = 1
  for (at++; at < reply.length; at++, unit *= 0x80) {
    const byte = reply[at] ?? 0
    code += (byte & 0x7f) * unit
    if (byte < 0x80) return code
  }
  return 0
}
