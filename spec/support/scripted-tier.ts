import { BrokerError } from '../../model/errors.ts'
import type {
  Tiering,
  TierQueueStatus,
  TierResidue,
  TierStatus,
  TierStep,
  TierTopicStatus,
} from '../../model/tier/tier-admin.ts'

const NAMESPACE = '0f3a5c7e9b1d2f40'
const MIB = 1 << 20

export const queueStatus = (status: Partial<TierQueueStatus> = {}): TierQueueStatus => ({
  ...{ queueId: 0, state: 'following', localMin: 600, offsetMax: 1_200, behind: 200 },
  ...{ tierMin: 0, tierEnd: 1_000 },
  ...status,
})

export const topicStatus = (status: Partial<TierTopicStatus> = {}): TierTopicStatus => ({
  ...{ topic: 'orders', topicId: 17, state: 'serving', objects: 2, bytes: 48 * MIB },
  traffic: {
    requests: { put: 4, get: 1, head: 2, list: 1, remove: 0 },
    ...{ sentBytes: 48 * MIB, receivedBytes: MIB, failed: 1 },
  },
  costPerMonth: 0.0125,
  queues: [queueStatus()],
  ...status,
})

export const tierStatus = (status: Partial<TierStatus> = {}): TierStatus => ({
  ...{ store: 's3://bucket/prefix', namespace: NAMESPACE },
  buffers: {
    buffers: 1,
    bytes: 32 * MIB,
    bytesMax: 128 * MIB,
    highWaterBytes: 64 * MIB,
    waiters: 0,
  },
  cache: { bytes: 3 * MIB, bytesMax: 64 * MIB, frames: 12 },
  cost: { perMonth: 0.0125, budgetPerMonth: 5, isPaused: false },
  topics: [topicStatus()],
  ...status,
})

/** What the scripted store has of a topic: a manifest and a segment. */
export const scriptedObjects: readonly { readonly key: string; readonly content: Uint8Array }[] = [
  { key: `${NAMESPACE}/17/manifest.json`, content: Buffer.from('{"format":1}\n') },
  { key: `${NAMESPACE}/17/0-0000000000000000.segment`, content: Buffer.alloc(70_000, '{\n') },
]

/** A tier that does nothing, and says what a spec wants to hear. */
export class ScriptedTier implements Tiering {
  told: TierStatus | undefined = tierStatus()
  residues: readonly TierResidue[] = []
  /** What is wrong with the last object that is verified. */
  problem: string | undefined
  /** Fails with this behind the first object. */
  failure: BrokerError | undefined
  /** Every call, as `offload orders`. */
  readonly calls: string[] = []
  /** Streams that began and have not ended. */
  open = 0

  status(topic?: string): TierStatus | undefined {
    const { told } = this
    if (told === undefined || topic === undefined) return told
    return { ...told, topics: told.topics.filter((each) => each.topic === topic) }
  }

  async *offload(topic = 'all'): AsyncGenerator<TierStep> {
    for await (const { content: _, ...step } of this.#steps(`offload ${topic}`)) yield step
  }

  async *verify(topic = 'all'): AsyncGenerator<TierStep> {
    for await (const { content: _, ...step } of this.#steps(`verify ${topic}`))
      yield step.done === step.of && this.problem !== undefined
        ? { ...step, problem: this.problem }
        : step
  }

  fetch(topic: string): AsyncIterable<TierStep & { readonly content: Uint8Array }> {
    return this.#steps(`fetch ${topic}`)
  }

  residue(): Promise<readonly TierResidue[]> {
    this.calls.push('residue')
    if (this.told === undefined) throw new BrokerError('TIER_OFF', {})
    return Promise.resolve(this.residues)
  }

  async *#steps(call: string): AsyncGenerator<TierStep & { readonly content: Uint8Array }> {
    if (this.told === undefined) throw new BrokerError('TIER_OFF', {})
    this.calls.push(call)
    this.open++
    try {
      for (const [index, { key, content }] of scriptedObjects.entries()) {
        yield { key, content, bytes: content.length, done: index + 1, of: scriptedObjects.length }
        if (this.failure !== undefined) throw this.failure
      }
    } finally {
      this.open--
    }
  }
}
