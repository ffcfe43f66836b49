import { CoreBroker } from '../../../actors/broker/broker.ts'
import {
  type BrokerSettings,
  brokerDefaults,
  brokerSettingsOf,
} from '../../../actors/broker/settings.ts'
import type { Tier } from '../../../actors/tier/tier.ts'
import { tierDefaults, type TierSettings } from '../../../actors/tier/settings.ts'
import type { Topic } from '../../../actors/topic/topic.ts'
import type { TopicOptions } from '../../../model/addressing/topic.ts'
import { encodeDraft } from '../../../model/message/encode.ts'
import type { Clock } from '../../../model/ports.ts'
import { CrashablePlace } from '../../../storage/crashable/crashable-place.ts'
import {
  type MemoryObject,
  MemoryObjectStore,
} from '../../../storage/memory/memory-object-store.ts'
import type {
  CallOptions,
  GetOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
} from '../../../storage/ports/object-store.ts'
import { verifySegment } from '../../../storage/tier/verify-segment.ts'
import { RequestTap } from '../../../storage/ports/request-tap.ts'
import { readFrame } from '../../../storage/tier/segment-frame.ts'
import { readIndex } from '../../../storage/tier/segment-index.ts'
import { seededRandom } from '../../support/random.ts'
import { SimulatedClock } from '../../support/simulated-clock.ts'

/** Small enough for every bound to be met. */
export const tinyTier: TierSettings = {
  ...tierDefaults,
  segmentBytes: 4 << 10,
  holdMs: 30_000,
  tickMs: 1_000,
  bufferBytes: 16 << 10,
  uploadsMax: 2,
  requestMs: 20_000,
  backoff: { msBase: 500, msMax: 4_000 },
  graceMs: 3_600_000,
  janitorEveryMs: 600_000,
}

export type StoreCall = 'put' | 'get' | 'head' | 'list' | 'remove'

/** What a call of the store does instead, or nothing. `after` the call really happened. */
export type Fault = (
  call: StoreCall,
  key: string,
) => 'fail' | 'throw' | 'hang' | 'after' | undefined

/** A store that fails as it is told. */
export class FaultyStore implements ObjectStore {
  readonly name = 'faulty'
  readonly inner: MemoryObjectStore
  fault: Fault = () => undefined
  onCall: (call: StoreCall, key: string) => void = () => {}
  /** Changes what is put. */
  mangle: (key: string, content: Buffer) => Buffer = (_, content) => content

  constructor(inner: MemoryObjectStore) {
    this.inner = inner
  }

  put(key: string, parts: readonly Uint8Array[], options: PutOptions): Promise<void> {
    return this.#call('put', key, options, () =>
      this.inner.put(key, [this.mangle(key, Buffer.concat(parts))], options),
    )
  }

  get(key: string, options?: GetOptions): Promise<Buffer> {
    return this.#call('get', key, options, () => this.inner.get(key, options))
  }

  head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    return this.#call('head', key, options, () => this.inner.head(key, options))
  }

  async *list(prefix: string, options?: CallOptions): AsyncGenerator<ObjectInfo> {
    await this.#call('list', prefix, options, async () => {})
    yield* this.inner.list(prefix, options)
  }

  remove(keys: readonly string[], options?: CallOptions): Promise<void> {
    return this.#call('remove', keys.join(' '), options, () => this.inner.remove(keys, options))
  }

  close(): Promise<void> {
    return this.inner.close()
  }

  #call<T>(
    call: StoreCall,
    key: string,
    options: CallOptions | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    this.onCall(call, key)
    const fault = this.fault(call, key)
    if (fault === 'throw') throw new Error(`${call} threw at once`)
    if (fault === 'fail') return Promise.reject(new Error(`${call} failed`))
    if (fault === 'hang')
      return new Promise((_, reject) =>
        options?.signal?.addEventListener('abort', () => reject(options.signal?.reason as Error)),
      )
    const done = work()
    if (fault === 'after') return done.then(() => Promise.reject(new Error('the answer was lost')))
    return done
  }
}

/** Stops when its process dies. */
class ProcessClock implements Clock {
  isRunning = true
  readonly #clock: SimulatedClock

  constructor(clock: SimulatedClock) {
    this.#clock = clock
  }

  wallMs(): number {
    return this.#clock.wallMs()
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  after(ms: number, task: () => void): () => void {
    return this.#clock.after(ms, () => {
      if (this.isRunning) task()
    })
  }

  soon(task: () => void): void {
    this.#clock.soon(() => {
      if (this.isRunning) task()
    })
  }
}

export interface SceneOptions {
  readonly tier?: Partial<TierSettings>
  readonly settings?: Partial<BrokerSettings>
  readonly seed?: number
  /** Another number, other tokens. */
  readonly life?: number
}

/** A broker with a tier in simulated time: it can be killed, and its store can fail. */
export class TierScene {
  readonly clock = new SimulatedClock()
  readonly place: CrashablePlace
  readonly objects = new Map<string, MemoryObject>()
  readonly lines: string[] = []
  readonly #options: SceneOptions
  #process = new ProcessClock(this.clock)
  #broker: CoreBroker | undefined
  store: FaultyStore
  #tap = new RequestTap()
  #sent = 0
  #starts = 0

  constructor(options: SceneOptions = {}) {
    this.#options = options
    this.place = new CrashablePlace({ random: seededRandom(options.seed ?? 7), clock: this.clock })
    this.store = this.#newStore()
  }

  static async open(options?: SceneOptions): Promise<TierScene> {
    const scene = new TierScene(options)
    await scene.start()
    return scene
  }

  get broker(): CoreBroker {
    if (this.#broker === undefined) throw new Error('no broker runs')
    return this.#broker
  }

  get tier(): Tier {
    if (this.broker.tier === undefined) throw new Error('the broker has no tier')
    return this.broker.tier
  }

  async start({ isTierOff = false } = {}): Promise<void> {
    this.#process = new ProcessClock(this.clock)
    this.#tap = new RequestTap()
    const { fault, onCall } = this.store
    this.store = this.#newStore()
    Object.assign(this.store, { fault, onCall })
    const note = (level: string) => (fields: unknown, message: string) => {
      this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
    }
    const tier = {
      store: this.store,
      random: seededRandom((this.#options.life ?? 1) + this.#starts++),
    }
    const settings = brokerSettingsOf({
      ...brokerDefaults,
      reclaim: { extentBytes: 16 << 10, carryBelow: 0.25, reclaimMs: 60_000 },
      upkeepRestMs: 2_000,
      ...this.#options.settings,
      tier: { ...tinyTier, ...this.#options.tier },
    })
    this.#broker = await this.until(
      CoreBroker.open(
        {
          clock: this.#process,
          logger: { info: note('info'), warn: note('warn'), error: note('error') },
          place: this.place.boot(),
          inspect: undefined,
          ...(!isTierOff && { tier: { ...tier, requests: this.#tap } }),
        },
        settings,
      ),
    )
  }

  until<T>(work: Promise<T>): Promise<T> {
    return this.clock.until(work)
  }

  /** The process dies, and the power with it. */
  kill(seed = 1): void {
    this.#process.isRunning = false
    this.place.crash(seed)
    this.#broker = undefined
  }

  async close(): Promise<void> {
    await this.until(this.broker.close())
    this.#broker = undefined
  }

  topic(name: string): Topic {
    const topic = this.broker.state.topicNamed(name)
    if (topic === undefined) throw new Error(`no topic ${name}`)
    return topic
  }

  create(name: string, options: TopicOptions = {}) {
    return this.until(this.broker.topics.create(name, { queues: 1, ...options }))
  }

  /** Messages of about so many bytes each, one after the other. */
  async send(name: string, count: number, bytes = 100): Promise<void> {
    const sends: Promise<unknown>[] = []
    for (let index = 0; index < count; index++) {
      const context = { messageId: `m${this.#sent++}`, bornAtMs: 1, bornHost: 'h' }
      const draft = encodeDraft({ body: 'x'.repeat(bytes), keys: [`k${index}`] }, context)
      sends.push(this.broker.append(name, draft))
    }
    await this.until(Promise.all(sends))
  }

  /** Everything visible goes into the tier now. */
  async offload(name: string): Promise<void> {
    this.tier.offloader.force(this.topic(name))
    await this.clock.advance(500)
  }

  endOf(name: string, queueId = 0): number | undefined {
    return this.topic(name).tier.endOf(queueId)
  }

  /** Of the queue's chart: `following` when it has none. */
  stateOf(name: string, queueId = 0): string {
    return this.tier.offloader.describe(this.topic(name).topicId, queueId)?.state ?? 'following'
  }

  segments(): string[] {
    return [...this.objects.keys()].filter((key) => key.endsWith('.segment')).sort()
  }

  /** Offsets of a queue in the objects that its topic claims, read from the store. */
  offsetsInStore(name: string, queueId = 0): number[] {
    const topic = this.topic(name)
    const offsets: number[] = []
    for (const section of topic.tier.sectionsOf(queueId)) {
      const { namespace, leader, leaderFrom } = section.object
      const file = `${leader}-${String(leaderFrom).padStart(16, '0')}.segment`
      const key = `${namespace}/${topic.topicId}/${file}`
      const content = this.objects.get(key)?.content
      if (content === undefined) throw new Error(`${key} is missing`)
      verifySegment(content, key)
      const { indexAt, indexBytes } = section
      const index = readIndex(content.subarray(indexAt, indexAt + indexBytes), section, key)
      for (const entry of index.frames()) {
        const frame = readFrame(content.subarray(entry.at, entry.at + entry.bytes), entry, key)
        for (let offset = frame.from; offset < frame.to; offset++) offsets.push(offset)
      }
    }
    return offsets
  }

  /** Nothing is held by anybody. */
  get isAtRest(): boolean {
    const { buffers, bytes, waiters } = this.tier.pool.gauges
    return buffers + bytes + waiters + this.tier.permits.users + this.tier.permits.waiters === 0
  }

  #newStore(): FaultyStore {
    const { clock, objects } = this
    const { onRequest } = this.#tap
    return new FaultyStore(new MemoryObjectStore({ clock, objects, onRequest }))
  }
}

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index)
