import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CoreBroker } from '../../../actors/broker/broker.ts'
import { tagFilter } from '../../../model/delivery/filter.ts'
import { encodeDraft } from '../../../model/message/encode.ts'
import type { MessageView } from '../../../model/message/trace.ts'
import { MemoryObjectStore } from '../../../storage/memory/memory-object-store.ts'
import { MemoryPlace } from '../../../storage/memory/memory-place.ts'
import { tinySettings } from '../../simulation/lives.ts'
import { holdsAndShows } from '../../support/property.ts'
import { seededRandom } from '../../support/random.ts'
import { SimulatedClock } from '../../support/simulated-clock.ts'
import { Tiered } from '../../support/tiered.ts'

const TOPIC = 'orders'
const QUEUES = 2
const quiet = { info: () => {}, warn: () => {}, error: () => {} }

/** The model: what was sent, in the order of the log. */
interface Known {
  readonly queueId: number
  readonly queueOffset: number
  readonly messageId: string
  readonly keys: readonly string[]
  readonly storeAtMs: number
}

type Step =
  | { readonly do: 'send'; keys: readonly string[]; id: number }
  | { readonly do: 'wait'; ms: number }
  | { readonly do: 'offload'; shares: readonly number[] }
  | { readonly do: 'trim'; queueId: number; share: number }
  | { readonly do: 'expire'; queueId: number; sections: number }
  | { readonly do: 'receive'; count: number }
  | { readonly do: 'reset'; queueId: number; share: number; byTime: boolean }
  | { readonly do: 'find'; share: number; span: number; limit: number }
  | { readonly do: 'restart' }

const aShare = fc.integer({ min: 0, max: 10 })
const aQueue = fc.nat(QUEUES - 1)
const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      keys: fc.uniqueArray(fc.constantFrom('k1', 'k2'), { maxLength: 2 }),
      id: fc.nat(5),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(3_000) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('offload' as const),
      shares: fc.array(aShare, { minLength: QUEUES, maxLength: QUEUES }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('trim' as const), queueId: aQueue, share: aShare }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('expire' as const),
      queueId: aQueue,
      sections: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('receive' as const), count: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('reset' as const),
      queueId: aQueue,
      share: aShare,
      byTime: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('find' as const),
      share: aShare,
      span: fc.nat(4_000),
      limit: fc.constantFrom(1, 3, 1_000),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
)

const placeOf = ({ queueId, queueOffset, messageId }: Known | MessageView): string =>
  `${queueId}/${queueOffset} ${messageId}`

const byTime = (views: readonly Known[]): Known[] =>
  [...views].sort((a, b) => a.storeAtMs - b.storeAtMs)

class World {
  readonly clock = new SimulatedClock()
  readonly place = new MemoryPlace({ random: seededRandom(1) })
  readonly store = new MemoryObjectStore({ clock: this.clock })
  readonly known: Known[] = []
  /** By queue: what the model keeps, and where the group goes on. */
  readonly mins: number[] = Array.from({ length: QUEUES }, () => 0)
  readonly nexts: number[] = Array.from({ length: QUEUES }, () => 0)
  readonly ends: number[][] = Array.from({ length: QUEUES }, () => [])
  readonly #tally: Map<string, number>
  #tiered: Tiered | undefined

  constructor(tally: Map<string, number>) {
    this.#tally = tally
  }

  get tiered(): Tiered {
    assert.ok(this.#tiered)
    return this.#tiered
  }

  get broker(): CoreBroker {
    return this.tiered.broker
  }

  until<T>(work: Promise<T>): Promise<T> {
    return this.clock.until(work)
  }

  async open(): Promise<void> {
    const tier = { store: this.store, random: seededRandom(2) }
    const components = { clock: this.clock, logger: quiet, place: this.place, tier }
    const settings = { ...tinySettings, tier: { ...tinySettings.tier, cacheBytes: 2_000 } }
    this.#tiered = new Tiered(await this.until(CoreBroker.open(components, settings)), this.store)
  }

  async run(step: Step): Promise<void> {
    switch (step.do) {
      case 'send':
        return this.#send(step)
      case 'wait':
        return this.clock.advance(step.ms)
      case 'offload':
        return this.#offload(step.shares)
      case 'trim': {
        const { localMin } = this.queue(step.queueId)
        const end = this.ends[step.queueId]?.at(-1) ?? 0
        const to = localMin + Math.floor(((end - localMin) * step.share) / 10)
        if (to > localMin) this.#note('trimmed')
        return this.until(this.tiered.trim(TOPIC, step.queueId, to))
      }
      case 'expire':
        return this.#expire(step)
      case 'receive':
        return this.#receive(step.count)
      case 'reset':
        return this.#reset(step)
      case 'find':
        return this.#find(step)
      case 'restart':
        await this.until(this.broker.close())
        return this.open()
    }
  }

  queue(queueId: number) {
    const queue = this.tiered.topic(TOPIC).queues[queueId]
    assert.ok(queue)
    return queue
  }

  kept(): Known[] {
    return this.known.filter(({ queueId, queueOffset }) => queueOffset >= (this.mins[queueId] ?? 0))
  }

  /** Bounds, and everything from the first on, as they are in the model. */
  async check(): Promise<void> {
    for (let queueId = 0; queueId < QUEUES; queueId++) {
      const kept = this.kept().filter((known) => known.queueId === queueId)
      const { offsetMin, offsetMax } = this.queue(queueId)
      const sent = this.known.filter((known) => known.queueId === queueId).length
      assert.equal([offsetMin, offsetMax], [this.mins[queueId], sent])
      const place = { topic: TOPIC, queueId, fromOffset: 0, limit: 1_000 }
      const views = await this.until(this.broker.messages.peek(place))
      assert.equal(views.map(placeOf), kept.map(placeOf))
    }
  }

  async #send({ keys, id }: Step & { do: 'send' }): Promise<void> {
    const storeAtMs = Math.floor(this.clock.wallMs())
    const messageId = `id${id}`
    const draft = { body: Buffer.alloc(120, id), keys, messageId }
    const message = encodeDraft(draft, { messageId, bornAtMs: 1, bornHost: '' })
    const { queueId, queueOffset } = await this.until(this.broker.append(TOPIC, message))
    this.known.push({ queueId, queueOffset, messageId, keys, storeAtMs })
  }

  async #offload(shares: readonly number[]): Promise<void> {
    const sections = shares.flatMap((share, queueId) => {
      const from = this.ends[queueId]?.at(-1) ?? this.queue(queueId).localMin
      const to = from + Math.floor(((this.queue(queueId).offsetMax - from) * share) / 10)
      return to > from ? [{ queueId, to }] : []
    })
    if (sections.length === 0) return
    this.#note('offloaded')
    await this.until(this.tiered.offload(TOPIC, sections))
    for (const { queueId, to } of sections) this.ends[queueId]?.push(to)
  }

  /** What is still in the log stays: nobody is told that it is gone. */
  async #expire({ queueId, sections }: Step & { do: 'expire' }): Promise<void> {
    const ends = this.ends[queueId] ?? []
    const { localMin } = this.queue(queueId)
    const left = ends.filter((end) => end > (this.mins[queueId] ?? 0) && end <= localMin)
    const to = left[sections - 1]
    if (to === undefined) return
    this.#note('expired')
    await this.until(this.tiered.expire(TOPIC, queueId, to))
    this.mins[queueId] = to
    this.nexts[queueId] = Math.max(this.nexts[queueId] ?? 0, to)
  }

  async #receive(count: number): Promise<void> {
    const filter = tagFilter('*')
    const request = { topic: TOPIC, group: 'billing', filter, waitMs: 0, invisibleMs: 30_000 }
    for (let left = count; left > 0; left -= 3) {
      const receiving = this.broker.receive({ ...request, batchMax: 3 })
      const { deliveries } = await this.until(receiving)
      const isAny = this.nexts.some((next, queueId) => next < this.queue(queueId).offsetMax)
      assert.is(deliveries.length > 0, isAny)
      for (const { message, handle } of deliveries) {
        const { queueId, queueOffset } = message
        assert.is(queueOffset, this.nexts[queueId])
        if (queueOffset < this.queue(queueId).localMin) this.#note('received from the tier')
        this.nexts[queueId] = queueOffset + 1
        await this.until(this.broker.ack(handle))
      }
    }
  }

  async #reset({ queueId, share, byTime: isByTime }: Step & { do: 'reset' }): Promise<void> {
    const sent = this.known.filter((known) => known.queueId === queueId)
    const target = sent[Math.floor(((sent.length - 1) * share) / 10)]
    if (target === undefined || this.broker.groups.find('billing') === undefined) return
    const timeMs = target.storeAtMs
    const to = isByTime
      ? ({ at: 'time', timeMs } as const)
      : ({ at: 'offset', queueOffset: target.queueOffset } as const)
    const reset = { topic: TOPIC, queueId, to }
    const [result] = await this.until(this.broker.groups.resetOffsets('billing', reset))
    const first = isByTime
      ? sent.filter(({ storeAtMs }) => storeAtMs < timeMs).length
      : target.queueOffset
    const expected = Math.max(first, this.mins[queueId] ?? 0)
    assert.is(result?.to, expected)
    if (expected < this.queue(queueId).localMin) this.#note(isByTime ? 'reset by time' : 'reset')
    this.nexts[queueId] = expected
  }

  async #find({ share, span, limit }: Step & { do: 'find' }): Promise<void> {
    const { messages } = this.broker
    const kept = this.kept()
    const fromMs = this.known[Math.floor(((this.known.length - 1) * share) / 10)]?.storeAtMs ?? 0
    const toMs = fromMs + span
    const isTimely = ({ storeAtMs }: Known) => storeAtMs >= fromMs && storeAtMs <= toMs
    for (const key of ['k1', 'k2']) {
      const expected = byTime(kept.filter((known) => known.keys.includes(key) && isTimely(known)))
      const views = await this.until(messages.find({ topic: TOPIC, key, fromMs, toMs, limit }))
      this.#same(views, expected, limit)
      if (expected.some(({ queueId, queueOffset }) => queueOffset < this.queue(queueId).localMin))
        this.#note('found by key')
    }
    const timely = await this.until(messages.find({ topic: TOPIC, fromMs, toMs, limit }))
    this.#same(timely, byTime(kept.filter(isTimely)), limit)
    for (const topic of [TOPIC, undefined]) {
      const views = await this.until(messages.byId('id1', topic))
      this.#same(views, byTime(kept.filter(({ messageId }) => messageId === 'id1')), 1_000)
    }
  }

  /** Of messages stored in the same moment, which of them are told is not said. */
  #same(views: readonly MessageView[], expected: readonly Known[], limit: number): void {
    const times = expected.slice(0, limit).map(({ storeAtMs }) => storeAtMs)
    assert.equal(
      views.map(({ storeAtMs }) => storeAtMs),
      times,
      'oldest first',
    )
    const places = views.map(placeOf)
    assert.is(new Set(places).size, places.length, 'nothing twice')
    const all = expected.map(placeOf)
    if (limit >= all.length) assert.equal([...places].sort(), [...all].sort())
    assert.ok(places.every((place) => all.includes(place)))
  }

  #note(happening: string): void {
    this.#tally.set(happening, (this.#tally.get(happening) ?? 0) + 1)
  }
}

const History = suite('history in the tier')

History('is that of an array, whatever is offloaded, trimmed and expired', async () => {
  const tally = new Map<string, number>()
  const script = fc.array(aStep, { minLength: 10, maxLength: 70, size: 'max' })
  const property = fc.asyncProperty(script, async (steps) => {
    const world = new World(tally)
    await world.open()
    await world.until(world.broker.topics.create(TOPIC, { queues: QUEUES }))
    for (const step of steps) {
      await world.run(step)
      if (step.do === 'trim' || step.do === 'expire' || step.do === 'restart') await world.check()
    }
    await world.check()
    await world.run({ do: 'find', share: 0, span: 1e9, limit: 1_000 })
    await world.until(world.broker.close())
  })
  await holdsAndShows(property, {
    runs: 60,
    tally,
    happenings: [
      ...['offloaded', 'trimmed', 'expired', 'received from the tier', 'found by key'],
      ...['reset', 'reset by time'],
    ],
  })
})

History.run()
