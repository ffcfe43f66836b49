import { type Survey, surveyOf } from '../../machines/tier/offload.decider.ts'
import type { OffloadStep } from '../../machines/tier/offload.machine.ts'
import { type TierObject, tierObjectKey } from '../../model/tier/tier-objects.ts'
import { BrokerError, isBrokerError } from '../../model/errors.ts'
import type { Clock, Random } from '../../model/ports.ts'
import type { ObjectStore } from '../../storage/ports/object-store.ts'
import type { WrittenSegment } from '../../storage/tier/segment-writer.ts'
import type { ConsumeQueue } from '../topic/consume-queue.ts'
import type { Topic } from '../topic/topic.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { Allowance } from './allowance.ts'
import { putManifest } from './put-manifest.ts'
import { bytesAlone, type Rider, SegmentBuild } from './segment-build.ts'
import type { SegmentSource } from './segment-source.ts'
import { placeSegment, verifyPlaced } from './segment-upload.ts'
import { lookAtSegment, objectOf } from './stored-segment.ts'
import type { TierSettings } from './settings.ts'
import { nextForTier, type TierFacts } from './tier-facts.ts'
import type { TierCosts } from './tier-cost.ts'
import type { Turns } from './turns.ts'

export interface QueueOffloadDeps {
  readonly store: ObjectStore
  readonly namespace: string
  readonly source: SegmentSource
  readonly facts: TierFacts
  readonly pool: BufferPool
  readonly permits: Allowance
  readonly turns: Turns
  readonly costs: TierCosts
  readonly clock: Clock
  readonly random: Random
  readonly settings: TierSettings
}

/** What a queue asks of the others of its topic. */
export interface Company {
  /** Queues that wait for a batch; they ride until the ride ends. */
  board(): Iterable<Rider>
  endRide(): void
  /** The object is in the tier, and the log knows. */
  offloaded(object: TierObject): void
}

export interface SegmentRun {
  readonly signal: AbortSignal
  readonly step: (step: OffloadStep) => void
  readonly company: Company
}

type SegmentName = Pick<TierObject, 'namespace' | 'leader' | 'leaderFrom' | 'storedAtMs'>

/** Records of so many bytes give a segment that is a little larger: units, names, index. */
export const slabBytesOf = (segmentBytes: number): number =>
  segmentBytes + Math.ceil(segmentBytes / 8) + 4_096

/** The hands of one queue's offload chart. */
export class QueueOffload {
  readonly topic: Topic
  readonly queue: ConsumeQueue
  readonly #deps: QueueOffloadDeps
  /** Somebody asked for what the queue has below this. */
  forcedTo = 0
  /** Of attempts to put the segment that begins here. */
  readonly #tokens = { from: -1, known: new Set<string>() }
  #counted = { from: -1, to: -1, bytes: 0 }
  #lastFrom: number | undefined
  /** The object that is on its way. */
  uploading: string | undefined

  constructor(topic: Topic, queue: ConsumeQueue, deps: QueueOffloadDeps) {
    this.topic = topic
    this.queue = queue
    this.#deps = deps
  }

  get next(): number {
    return nextForTier(this.topic, this.queue.queueId)
  }

  async survey(signal: AbortSignal): Promise<Survey> {
    const { settings, source, clock, costs } = this.#deps
    const { topic, queue } = this
    const { segmentBytes } = settings
    const from = this.next
    if (topic.tier.endOf(queue.queueId) !== undefined) this.#lastFrom = undefined
    const bytes = await this.#count(from, signal)
    let firstAtMs = 0
    if (bytes < segmentBytes && from >= queue.localMin)
      await source.read(
        topic,
        queue,
        { from, to: Math.min(from + 1, queue.offsetMax), signal },
        ({ fact }) => {
          firstAtMs = fact.storeAtMs
          return true
        },
      )
    const survey = surveyOf(
      {
        from,
        lastFrom: this.#lastFrom,
        localMin: queue.localMin,
        offsetMax: queue.offsetMax,
        bytes,
        firstAtMs,
        nowMs: clock.wallMs(),
        isForced: this.forcedTo > from,
        isOverBudget: settings.budgetPerMonth > 0 && costs.total.isPaused,
      },
      settings,
    )
    if (survey.verdict !== 'behind') this.#lastFrom = from
    return survey
  }

  /** The log let go of what was to come next: what the tier gets begins where the log does. */
  beginAnew(): void {
    this.#lastFrom = undefined
  }

  /** One segment from the log into the tier, or nothing when there is nothing any more. */
  async offload(run: SegmentRun): Promise<void> {
    const { facts, namespace, permits } = this.#deps
    if (!(await facts.begin(this.topic, namespace))) return
    await permits.use(1, run.signal, async () => {
      try {
        await this.#offload(run)
      } finally {
        this.uploading = undefined
        run.company.endRide()
      }
    })
  }

  async #offload(run: SegmentRun): Promise<void> {
    const { pool, namespace, clock } = this.#deps
    const { topic, queue } = this
    const { signal, step } = run
    const from = this.next
    const storedAtMs = Math.floor(clock.wallMs())
    const name = { namespace, leader: queue.queueId, leaderFrom: from, storedAtMs }
    const key = tierObjectKey(topic.topicId, name)
    if (await this.#finishEarlier(key, name, run)) return
    const bytes = await this.#bufferBytes(from, signal)
    if (bytes === 0) return
    step('waitingForBuffer')
    await pool.use(bytes, signal, async (buffer) => {
      step('reading')
      const segment = await this.#build(buffer, from, run)
      if (segment === undefined) return
      this.uploading = key
      step('uploading')
      const upload = { ...{ topic, segment, signal, step, name }, isOwn: this.#isOwn }
      const placed = await placeSegment(this.#deps, upload)
      await this.#claim(run, () => verifyPlaced(this.#deps, upload, placed))
    })
  }

  /** An attempt of this life may have got so far that only its claim is missing. */
  async #finishEarlier(key: string, name: SegmentName, run: SegmentRun): Promise<boolean> {
    const { signal, step } = run
    if (this.#tokens.from !== name.leaderFrom) return false
    step('adopting')
    const look = async () => {
      const stored = await lookAtSegment(this.#deps.store, key, signal)
      return this.#isOwn(stored.footer.token) ? stored : undefined
    }
    try {
      if ((await look()) === undefined) return false
    } catch (error) {
      if (isBrokerError(error, 'TIER_OBJECT_NOT_FOUND', 'CORRUPT')) return false
      throw error
    }
    this.uploading = key
    await this.#claim(run, async () => {
      const stored = await look()
      if (stored === undefined)
        throw new BrokerError('TIER_CONFLICT', { store: this.#deps.store.name, key })
      return objectOf(stored, name)
    })
    return true
  }

  readonly #isOwn = (token: string): boolean => this.#tokens.known.has(token)

  #build(buffer: Buffer, from: number, run: SegmentRun): Promise<WrittenSegment | undefined> {
    const { source, namespace, settings } = this.#deps
    const { topic, queue } = this
    const { signal } = run
    const token = this.#token(from)
    const identity = { token, namespace, topicId: topic.topicId, topic: topic.name }
    const bytesMax = settings.segmentBytes
    const plan = { topic, leader: queue, from, identity, bytesMax, signal }
    return new SegmentBuild(source, buffer, plan).run(() => run.company.board())
  }

  /** Whoever removes objects of the topic takes turns with us. */
  async #claim({ signal, step, company }: SegmentRun, verify: () => Promise<TierObject>) {
    const { turns, facts } = this.#deps
    const object = await turns.run(this.topic.topicId, async () => {
      signal.throwIfAborted()
      step('verifying')
      const verified = await verify()
      step('recording')
      // The manifest names the object before the log relies on it.
      const objects = [...this.topic.tier.objects, verified]
      await putManifest(this.#deps, this.topic, objects, { signal })
      step('committing')
      const sections = await facts.add(this.topic, verified)
      return sections.length > 0 ? { ...verified, sections } : undefined
    })
    if (object) company.offloaded(object)
  }

  /** Of a segment's buffer; 0 when its first message has gone. */
  async #bufferBytes(from: number, signal: AbortSignal): Promise<number> {
    const { source, settings } = this.#deps
    const { topic, queue } = this
    let bytes = 0
    const to = Math.min(from + 1, queue.offsetMax)
    await source.read(topic, queue, { from, to, signal }, (message) => {
      bytes = Math.max(slabBytesOf(settings.segmentBytes), bytesAlone(message))
      return true
    })
    return bytes
  }

  async #count(from: number, signal: AbortSignal): Promise<number> {
    const { source, settings } = this.#deps
    const { queue } = this
    const known = this.#counted.from === from ? this.#counted : { from, to: from, bytes: 0 }
    const { segmentBytes } = settings
    const stretch = { from: known.to, to: queue.offsetMax, signal }
    const more = await source.count(queue, { ...stretch, bytes: segmentBytes - known.bytes })
    this.#counted = { from, to: more.to, bytes: known.bytes + more.bytes }
    return this.#counted.bytes
  }

  #token(from: number): string {
    const token = Buffer.from(this.#deps.random.bytes(16)).toString('hex')
    if (this.#tokens.from !== from) this.#tokens.known.clear()
    this.#tokens.from = from
    this.#tokens.known.add(token)
    return token
  }
}
