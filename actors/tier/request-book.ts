import type { Clock } from '../../model/ports.ts'
import { type RequestKind, requestKinds } from '../../model/tier/requests.ts'
import type { TierTraffic } from '../../model/tier/tier-admin.ts'
import type { SentRequest } from '../../storage/ports/object-store.ts'

type Counts = Record<RequestKind, number>

const noCounts = (): Counts =>
  Object.fromEntries(requestKinds.map((kind) => [kind, 0])) as unknown as Counts

interface Entry {
  readonly requests: Counts
  sentBytes: number
  receivedBytes: number
  failed: number
  /** By hour of monotonic time: what went out in it. */
  readonly hours: Map<number, Counts>
}

/** Of requests about no topic, such as listings of everything. */
const NO_TOPIC = 0

const HOUR_MS = 3_600_000
const HOURS = 24
const NAME = /^[^/]+\/(\d+)(\/|$)/

/** What was asked of the store since the broker started, by topic and kind. */
export class RequestBook {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #entries = new Map<number, Entry>()

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock
  }

  /** Given to the store as its `onRequest`. */
  readonly note = ({ kind, key, sentBytes, receivedBytes, ok }: SentRequest): void => {
    const entry = this.#entry(Number(NAME.exec(key)?.[1] ?? NO_TOPIC))
    entry.requests[kind]++
    entry.sentBytes += sentBytes
    entry.receivedBytes += receivedBytes
    if (!ok) entry.failed++
    const hour = this.#hour()
    const counts = entry.hours.get(hour) ?? noCounts()
    counts[kind]++
    entry.hours.set(hour, counts)
    for (const old of entry.hours.keys()) if (old <= hour - HOURS) entry.hours.delete(old)
  }

  topics(): Iterable<number> {
    return this.#entries.keys()
  }

  traffic(topicId: number): TierTraffic {
    const { requests, sentBytes, receivedBytes, failed } = this.#entries.get(topicId) ?? noEntry()
    return { requests: { ...requests }, sentBytes, receivedBytes, failed }
  }

  /** Of the last 24 hours, to the hour. */
  ofDay(topicId: number): Readonly<Counts> {
    const sum = noCounts()
    const first = this.#hour() - HOURS
    for (const [hour, counts] of this.#entries.get(topicId)?.hours ?? [])
      if (hour > first) for (const kind of requestKinds) sum[kind] += counts[kind]
    return sum
  }

  /** The topic has ended, and nothing of it is in the store. */
  forget(topicId: number): void {
    this.#entries.delete(topicId)
  }

  #hour(): number {
    return Math.floor(this.#clock.monotonicMs() / HOUR_MS)
  }

  #entry(topicId: number): Entry {
    const known = this.#entries.get(topicId)
    if (known) return known
    const entry = noEntry()
    this.#entries.set(topicId, entry)
    return entry
  }
}

const noEntry = (): Entry => ({
  requests: noCounts(),
  sentBytes: 0,
  receivedBytes: 0,
  failed: 0,
  hours: new Map(),
})
