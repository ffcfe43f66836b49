import { Times } from '../../machines/timer-wheel/deferred-times.ts'
import type { RequestKind } from '../../model/tier/requests.ts'
import type { TierObject } from '../../model/tier/tier-objects.ts'
import type { SentRequest } from '../../storage/ports/object-store.ts'

/** Upper bounds of RocketMQ's `rocketmq_tiered_store_provider_*`, in ms and in bytes. */
const boundsMs = [1, 3, 5, 7, 10, 100, 200, 400, 600, 800, 1_000, 1_500, 3_000] as const
const boundsBytes = [1, 10, 100, 1_024, 10_240, 32_768, 51_200, 102_400].map((kib) => kib * 1_024)

type FileType = 'segment' | 'manifest' | 'other'

/** Requests of one kind and outcome. */
export interface RequestTally {
  readonly fileType: FileType
  readonly kind: RequestKind
  readonly ok: boolean
  readonly ms: Times
  readonly sentBytes: Times
  readonly receivedBytes: Times
}

const fileTypeOf = (key: string): FileType => {
  if (key.endsWith('.segment')) return 'segment'
  return key.endsWith('/manifest.json') ? 'manifest' : 'other'
}

/** What metrics count of the tier and nobody else remembers, since the broker started. */
export class TierTallies {
  readonly #requests = new Map<string, RequestTally>()
  /** Messages offloaded, by topic and queue. */
  readonly #offloaded = new Map<number, Map<number, number>>()

  /** A request as it ended. */
  readonly note = ({ key, kind, ok, ms, sentBytes, receivedBytes }: SentRequest): void => {
    const tally = this.#tallyOf(fileTypeOf(key), kind, ok)
    tally.ms.add(ms)
    if (sentBytes > 0) tally.sentBytes.add(sentBytes)
    if (receivedBytes > 0) tally.receivedBytes.add(receivedBytes)
  }

  get requests(): Iterable<RequestTally> {
    return this.#requests.values()
  }

  noteOffloaded(topicId: number, { sections }: Pick<TierObject, 'sections'>): void {
    const queues = this.#offloaded.get(topicId) ?? new Map<number, number>()
    this.#offloaded.set(topicId, queues)
    for (const { queueId, from, to } of sections)
      queues.set(queueId, (queues.get(queueId) ?? 0) + to - from)
  }

  offloaded(topicId: number, queueId: number): number {
    return this.#offloaded.get(topicId)?.get(queueId) ?? 0
  }

  /** The topic has ended. */
  forget(topicId: number): void {
    this.#offloaded.delete(topicId)
  }

  /** Topics that something is remembered of. */
  get topics(): Iterable<number> {
    return this.#offloaded.keys()
  }

  #tallyOf(fileType: FileType, kind: RequestKind, ok: boolean): RequestTally {
    const name = `${fileType} ${kind} ${ok}`
    const known = this.#requests.get(name)
    if (known) return known
    const tally = {
      ...{ fileType, kind, ok },
      ms: new Times(boundsMs),
      sentBytes: new Times(boundsBytes),
      receivedBytes: new Times(boundsBytes),
    }
    this.#requests.set(name, tally)
    return tally
  }
}
