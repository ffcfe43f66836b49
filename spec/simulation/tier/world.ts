import * as assert from 'uvu/assert'
import { audit } from '../../../actors/audit/audit.ts'
import type { CoreBroker } from '../../../actors/broker/broker.ts'
import type { Tier } from '../../../actors/tier/tier.ts'
import type { Topic } from '../../../actors/topic/topic.ts'
import { isBrokerError } from '../../../model/errors.ts'
import { tagFilter } from '../../../model/delivery/filter.ts'
import { encodeDraft } from '../../../model/message/encode.ts'
import type { MessageView } from '../../../model/message/trace.ts'
import { tierManifestKey, tierObjectKey } from '../../../model/tier/tier-objects.ts'
import { seededRandom } from '../../support/random.ts'
import { type Life, Lives, tinySettings } from '../lives.ts'
import { differences, isSettled, snapshotOf } from '../snapshot.ts'
import type { Command } from './commands.ts'
import { Bucket, FaultyStore } from './faulty-store.ts'

const topicNames = ['orders', 'prices'] as const
const QUEUES = 2
const KEYS = 5
const RETENTION_MS = 100_000
const GRACE_MS = 60_000
const GROUP = 'readers'
const everything = tagFilter('*')

const settings = {
  ...tinySettings,
  receiver: { ...tinySettings.receiver, unackedMax: 10_000, unackedTotalMax: 10_000 },
  local: { ageMs: 9_000, bytes: 0 },
  tier: {
    ...tinySettings.tier,
    segmentBytes: 2 << 10,
    holdMs: 3_000,
    tickMs: 500,
    bufferBytes: 8 << 10,
    uploadsMax: 2,
    cacheBytes: 4 << 10,
    readAheadBytes: 1 << 10,
    readsMax: 2,
    backoff: { msBase: 100, msMax: 2_000 },
    graceMs: GRACE_MS,
    janitorEveryMs: 10_000,
  },
}

/** What the model knows of one message: an element of an array, in the end. */
interface Known {
  readonly number: number
  readonly topic: string
  readonly topicId: number
  readonly sentAtMs: number
  sent: 'no' | 'yes' | 'doubtful'
  queueId: number
  queueOffset: number
  storeAtMs: number
}

interface Incarnation {
  readonly topicId: number
  readonly name: string
  state: 'serving' | 'doubtful' | 'ended'
  /** What was last seen of each queue: minimum and end never move back. */
  readonly bounds: { min: number; max: number }[]
}

export type Tally = Map<string, number>

/**
 * Arrays of messages, and a broker with a tier that is to agree with them, whatever happens to it,
 * to its disk and to its bucket.
 */
export class TierWorld {
  readonly lives: Lives
  readonly bucket = new Bucket()
  readonly #known: Known[] = []
  readonly #incarnations = new Map<number, Incarnation>()
  readonly #tally: Tally
  #life: Life | undefined
  #failure: unknown
  #isTroubled = false
  #wallMaxMs = 0

  constructor(seed: number, tally: Tally) {
    this.#tally = tally
    this.lives = new Lives(
      seed,
      settings,
      () => {},
      (clock) => ({
        store: new FaultyStore(this.bucket, clock),
        random: seededRandom(seed),
      }),
    )
  }

  async begin(): Promise<void> {
    for (const topic of [0, 1]) await this.run({ type: 'createTopic', topic })
  }

  async run(command: Command): Promise<void> {
    await this.#open()
    this.#count(command.type)
    await this.#perform(command)
    await this.lives.clock.settle()
    this.#noteWall()
    await this.#check()
  }

  /** Everything is healed: what is kept is read by a new group, and what ended leaves nothing. */
  async finish(): Promise<void> {
    await this.run({ type: 'restart' })
    await this.#rest()
    await this.#rebuild()
    for (const name of topicNames) await this.#drain(name)
    await this.#removeOrphans()
    for (const name of topicNames)
      if (this.#broker.topics.find(name))
        await this.run({ type: 'endTopic', topic: topicNames.indexOf(name) })
    await this.#rest()
    await this.#removeOrphans()
    assert.equal([...this.bucket.objects.keys()], [], 'nothing of an ended topic is in the store')
    await this.run({ type: 'checkpoint' })
    await this.#rest()
    await this.#findResidue()
    const life = this.#living
    await this.#close()
    assert.is(life.timers, 0, 'a closed broker has no timer')
  }

  tallyLines(): void {
    for (const [message, count] of this.lives.logged)
      this.#tally.set(message, (this.#tally.get(message) ?? 0) + count)
  }

  get #living(): Life {
    assert.ok(this.#life, 'a broker lives')
    return this.#life
  }

  get #broker(): CoreBroker {
    return this.#living.broker
  }

  get #tier(): Tier {
    const { tier } = this.#broker
    assert.ok(tier)
    return tier
  }

  get #wallMs(): number {
    return this.lives.clock.wallMs()
  }

  #noteWall(): void {
    this.#wallMaxMs = Math.max(this.#wallMaxMs, this.#wallMs)
  }

  #count(what: string, count = 1): void {
    this.#tally.set(what, (this.#tally.get(what) ?? 0) + count)
  }

  // ——— what happens

  async #perform(command: Command): Promise<void> {
    const { clock, place } = this.lives
    switch (command.type) {
      case 'createTopic': {
        const name = nameOf(command.topic)
        const retention = { ageMs: RETENTION_MS }
        const options = { type: 'MIXED', queues: QUEUES, retention } as const
        return this.#settle(this.#broker.topics.create(name, options), {
          ok: () => void this.#meet(name),
        })
      }
      case 'endTopic':
        return this.#endTopic(nameOf(command.topic))
      case 'send':
        for (let index = 0; index < command.count; index++) this.#send(command)
        return
      case 'receive':
        return this.#receive(nameOf(command.topic), command.batchMax)
      case 'reset':
        return this.#reset(nameOf(command.topic), command.to)
      case 'find':
        return this.#find(nameOf(command.topic), command.agoMs, command.forMs)
      case 'findNamed':
        return this.#findNamed(command.pick)
      case 'offload':
        for (const topic of this.#broker.state.topics.values()) this.#tier.offloader.force(topic)
        return
      case 'breakStore':
        return this.bucket.break(command.fault, command.kinds, command.count)
      case 'healStore':
        return this.bucket.heal()
      case 'land':
        return this.#count('landed late', this.bucket.land())
      case 'advance':
        return clock.advance(command.ms)
      case 'restart':
        return this.#restart()
      case 'powerCut':
        return this.#powerCut(command.seed)
      case 'indexLost':
        await this.#powerCut(command.seed)
        return this.#clearIndex()
      case 'failWrites':
        this.#isTroubled = true
        return place.failWrites(command.database, { ...command, error: 'EIO' })
      case 'heal':
        return this.#heal()
      case 'checkpoint':
        return void this.#broker.upkeep.checkpoint().catch(() => this.#count('checkpoint failed'))
      case 'audit':
        await this.#rest()
        return this.#findResidue()
    }
  }

  #meet(name: string): Incarnation | undefined {
    const found = this.#broker.topics.find(name)
    if (found === undefined) return undefined
    const known = this.#incarnations.get(found.topicId)
    if (known) return known
    const bounds = Array.from({ length: QUEUES }, () => ({ min: 0, max: 0 }))
    const made: Incarnation = { topicId: found.topicId, name, state: 'serving', bounds }
    this.#incarnations.set(found.topicId, made)
    return made
  }

  /** A living topic of whose life there is no doubt. */
  #serving(name: string): { incarnation: Incarnation; topic: Topic } | undefined {
    const incarnation = this.#meet(name)
    const topic = this.#broker.state.topicNamed(name)
    if (incarnation?.state !== 'serving' || topic === undefined) return undefined
    return { incarnation, topic }
  }

  #endTopic(name: string): void {
    const incarnation = this.#meet(name)
    if (incarnation) incarnation.state = 'doubtful'
    this.#settle(this.#broker.topics.end(name), {
      ok: () => {
        if (incarnation) incarnation.state = 'ended'
        this.#count('topic ended')
      },
      refused: (error) => {
        if (isBrokerError(error, 'BROKER_CLOSED') || incarnation === undefined) return
        if (incarnation.state === 'doubtful') incarnation.state = 'serving'
      },
    })
  }

  #send({ topic, bytes, isGrouped }: Extract<Command, { type: 'send' }>): void {
    const name = nameOf(topic)
    const number = this.#known.length
    const known: Known = {
      ...{ number, topic: name, sentAtMs: this.#wallMs },
      topicId: this.#meet(name)?.topicId ?? -1,
      ...{ sent: 'doubtful', queueId: -1, queueOffset: -1, storeAtMs: 0 },
    }
    this.#known.push(known)
    const messageGroup = isGrouped ? { messageGroup: `g${number % 3}` } : {}
    const message = encodeDraft(
      { body: `${number} ${'x'.repeat(bytes)}`, keys: [`k${number % KEYS}`], ...messageGroup },
      { messageId: `m${number}`, bornAtMs: 1, bornHost: 'here' },
    )
    const sending = attempt(() => this.#broker.append(name, message))
    this.#settle(sending, {
      ok: ({ queueId, queueOffset }) => {
        known.sent = 'yes'
        known.queueId = queueId
        known.queueOffset = queueOffset
      },
      refused: () => {
        known.sent = 'no'
      },
    })
  }

  #receive(topic: string, batchMax: number): void {
    const request = { group: GROUP, topic, filter: everything, batchMax, invisibleMs: 5_000 }
    this.#settle(this.#broker.receive({ ...request, waitMs: 0 }), {
      ok: async ({ deliveries }) => {
        this.#count('received', deliveries.length)
        for (const { message, handle } of deliveries) {
          const number = numberIn(message.body)
          this.#seen(number, message)
          if (number % 3 > 0) await this.#broker.ack(handle)
        }
      },
    })
  }

  #reset(topic: string, to: 'earliest' | 'latest' | number): void {
    const at =
      typeof to === 'string'
        ? { at: to }
        : ({ at: 'time', timeMs: Math.max(0, this.#wallMs - to) } as const)
    const wanted = typeof to === 'number' ? this.#wallMs - to : undefined
    const minima = this.#serving(topic)?.topic.queues.map(({ offsetMin }) => offsetMin)
    this.#settle(this.#broker.groups.resetOffsets(GROUP, { topic, to: at }), {
      ok: (results) => {
        this.#count(`reset: ${typeof to === 'number' ? 'time' : to}`)
        const serving = this.#serving(topic)
        if (wanted === undefined || serving === undefined) return
        for (const { queueId, to: offset } of results)
          for (const known of this.#of(serving.incarnation, queueId)) {
            const isOlder = known.queueOffset < offset && known.storeAtMs >= wanted
            const wasKept = known.queueOffset >= (minima?.[queueId] ?? 0)
            const isKept = known.queueOffset >= (serving.topic.queues[queueId]?.offsetMin ?? 0)
            assert.not(isOlder && wasKept && isKept, `${known.number} is behind a reset to time`)
          }
      },
    })
  }

  #of({ topicId }: Incarnation, queueId: number): Known[] {
    return this.#known.filter(
      (known) => known.topicId === topicId && known.queueId === queueId && known.storeAtMs > 0,
    )
  }

  async #find(name: string, agoMs: number, forMs: number): Promise<void> {
    const fromMs = Math.max(0, this.#wallMs - agoMs)
    const toMs = fromMs + forMs
    await this.#compare(name, {
      look: () => this.#broker.messages.find({ topic: name, fromMs, toMs, limit: 1_000 }),
      isWanted: ({ storeAtMs }) => storeAtMs >= fromMs && storeAtMs <= toMs,
      what: 'by time',
    })
  }

  async #findNamed(pick: number): Promise<void> {
    const known = this.#known[pick % Math.max(1, this.#known.length)]
    if (known === undefined) return
    const { topic, number } = known
    await this.#compare(topic, {
      look: () => this.#broker.messages.find({ topic, key: `k${number % KEYS}`, limit: 1_000 }),
      isWanted: (other) => other.number % KEYS === number % KEYS,
      what: 'by key',
    })
    await this.#compare(topic, {
      look: () => this.#broker.messages.byId(`m${number}`, topic),
      isWanted: (other) => other.number === number,
      what: 'by id',
    })
  }

  /** What is found is exactly what the arrays have. */
  async #compare(
    name: string,
    given: {
      look: () => Promise<readonly MessageView[]>
      isWanted: (known: Known) => boolean
      what: string
    },
  ): Promise<void> {
    const serving = this.#serving(name)
    if (serving === undefined) return
    const before = this.#shown(serving, given.isWanted)
    const views = await this.#orTrouble(given.look())
    if (views === undefined || this.#serving(name) === undefined) return
    this.#count(`found ${given.what}`, views.length)
    const found = views.map(({ messageId }) => Number(messageId.slice(1))).sort((a, b) => a - b)
    assert.equal([...new Set(found)], found, `${given.what}: nothing is found twice`)
    const after = new Set(this.#shown(serving, given.isWanted))
    const missing = before.filter((number) => after.has(number) && !found.includes(number))
    assert.equal(missing, [], `${given.what}: everything is found`)
    for (const number of found) {
      const known = this.#known[number] as Known
      assert.ok(given.isWanted(known) || known.storeAtMs === 0, `${given.what}: ${number}`)
      assert.is(known.topicId, serving.incarnation.topicId)
    }
  }

  #shown(
    { incarnation, topic }: { incarnation: Incarnation; topic: Topic },
    isWanted: (known: Known) => boolean,
  ): number[] {
    return topic.queues.flatMap(({ queueId, offsetMin, offsetMax }) =>
      this.#of(incarnation, queueId)
        .filter(({ queueOffset }) => queueOffset >= offsetMin && queueOffset < offsetMax)
        .filter(isWanted)
        .map(({ number }) => number),
    )
  }

  /** Undefined when store or tier are in trouble: the only reasons for which a look may fail. */
  async #orTrouble<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
    try {
      return await this.lives.clock.until(answer)
    } catch (error) {
      const tier = isBrokerError(error, 'TIER_UNAVAILABLE', 'TIER_DENIED')
      const log = isBrokerError(error, 'STORE_UNAVAILABLE', 'OUTCOME_UNKNOWN', 'THROTTLED')
      const other = isBrokerError(error, 'TOPIC_ENDING', 'TOPIC_NOT_FOUND', 'GROUP_NOT_FOUND')
      if (!tier && !log && !other) throw error
      this.#count(tier ? 'the tier was out of reach' : 'the log was out of reach')
      return undefined
    }
  }

  // ——— lives

  async #open(): Promise<void> {
    if (this.#life) return
    try {
      this.#life = await this.lives.open()
    } catch (error) {
      if (!this.#isTroubled) throw error
      this.#repair()
      this.#life = await this.lives.open()
    }
    for (const name of topicNames) this.#meet(name)
  }

  async #heal(): Promise<void> {
    this.#repair()
    const { broker } = this.#living
    const isOpen = (): boolean => broker.log.mode === 'writing' && broker.index.isOpen
    for (let round = 0; round < 120 && !isOpen(); round++) await this.lives.clock.advance(500)
    assert.ok(isOpen(), 'a healed broker writes again')
    await this.lives.clock.settle()
  }

  #repair(): void {
    this.lives.place.heal()
    this.#isTroubled = false
  }

  /** Disk and bucket are well, and nothing is on its way. */
  async #rest(): Promise<void> {
    this.bucket.heal()
    await this.#heal()
    const { broker } = this.#living
    for (let round = 0; round < 1_000 && !this.#isAtRest(broker); round++)
      await this.lives.clock.advance(100)
    const busy = [...broker.loops()].map(({ address, state }) => [address, state])
    assert.ok(this.#isAtRest(broker), `a healed broker comes to rest: ${JSON.stringify(busy)}`)
    await this.lives.clock.settle()
    this.#noteWall()
    await this.#check()
    const { buffers, bytes, waiters } = this.#tier.pool.gauges
    assert.equal({ buffers, bytes, waiters }, { buffers: 0, bytes: 0, waiters: 0 })
  }

  #isAtRest(broker: CoreBroker): boolean {
    if (!isSettled(broker) || broker.upkeep.loop.state !== 'resting') return false
    if (isEnding(broker)) return false
    return this.#tier.offloader.size === 0 && [...broker.state.topics.values()].every(isInTier)
  }

  async #restart(): Promise<void> {
    await this.#rest()
    await this.#findResidue()
    const before = snapshotOf(this.#broker)
    await this.#close()
    await this.#open()
    const changed = differences(before, snapshotOf(this.#broker))
    assert.is(changed.join('\n'), '', 'a restart changes nothing')
  }

  async #rebuild(): Promise<void> {
    const before = withoutGaps(snapshotOf(this.#broker))
    await this.#close()
    await this.#clearIndex()
    await this.#open()
    const changed = differences(before, withoutGaps(snapshotOf(this.#broker)))
    assert.is(changed.join('\n'), '', 'the index comes back from the log')
  }

  async #clearIndex(): Promise<void> {
    const { clock, place } = this.lives
    const index = await clock.until(place.openDatabase('index'))
    await clock.until(index.clear({}))
    await clock.until(index.close())
  }

  async #close(): Promise<void> {
    const life = this.#living
    await this.lives.clock.until(life.broker.close())
    await this.lives.clock.settle()
    this.#checkFailure()
    life.die()
    this.#life = undefined
  }

  async #powerCut(seed: number): Promise<void> {
    this.#living.die()
    this.#life = undefined
    this.lives.place.crash(seed)
    this.#repair()
    await this.lives.clock.settle()
  }

  // ——— what must hold

  #checkFailure(): void {
    const failure = this.#failure
    this.#failure = undefined
    if (failure !== undefined) throw failure
  }

  async #check(): Promise<void> {
    this.#checkFailure()
    if (this.#life === undefined || this.#broker.log.mode !== 'writing') return
    for (const name of topicNames) {
      const serving = this.#serving(name)
      if (serving === undefined) continue
      for (let queueId = 0; queueId < QUEUES; queueId++) await this.#checkQueue(serving, queueId)
    }
  }

  async #checkQueue(
    { incarnation, topic }: { incarnation: Incarnation; topic: Topic },
    queueId: number,
  ): Promise<void> {
    const queue = topic.queues[queueId]
    const bounds = incarnation.bounds[queueId]
    assert.ok(queue && bounds)
    for (;;) {
      const { offsetMin, offsetMax } = queue
      const views = await this.#orTrouble(this.#readAll(topic.name, queueId, offsetMin, offsetMax))
      // A look at a store that hangs takes its time.
      this.#noteWall()
      if (incarnation.state !== 'serving') return
      // Retention went on meanwhile: look again.
      if (queue.offsetMin !== offsetMin) continue
      assert.ok(offsetMin >= bounds.min, `the minimum moved back from ${bounds.min}`)
      assert.ok(offsetMax >= bounds.max, `the end moved back from ${bounds.max}`)
      bounds.min = offsetMin
      bounds.max = offsetMax
      this.#checkKept(incarnation, queueId, { offsetMin, offsetMax })
      if (views === undefined) return
      const offsets = views.map(({ queueOffset }) => queueOffset)
      const expected = Array.from(
        { length: offsetMax - offsetMin },
        (_, index) => offsetMin + index,
      )
      assert.equal(offsets, expected, 'every offset between the bounds is there, once')
      if (offsetMin < queue.localMin) this.#count('read over the border')
      for (const { messageId, storeAtMs, queueOffset } of views)
        this.#place(Number(messageId.slice(1)), {
          topicId: incarnation.topicId,
          ...{ queueId, queueOffset, storeAtMs },
        })
      return
    }
  }

  async #readAll(topic: string, queueId: number, from: number, to: number): Promise<MessageView[]> {
    const views: MessageView[] = []
    for (let fromOffset = from; fromOffset < to; ) {
      const limit = Math.min(1_000, to - fromOffset)
      const some = await this.#broker.messages.peek({ topic, queueId, fromOffset, limit })
      if (some.length === 0) break
      views.push(...some)
      fromOffset = (some.at(-1) as MessageView).queueOffset + 1
    }
    return views
  }

  /** Nothing that was acknowledged goes before its time. */
  #checkKept(
    { topicId }: Incarnation,
    queueId: number,
    { offsetMin, offsetMax }: { offsetMin: number; offsetMax: number },
  ): void {
    for (const known of this.#known) {
      if (known.topicId !== topicId || known.queueId !== queueId || known.sent !== 'yes') continue
      assert.ok(known.queueOffset < offsetMax, `${known.number} was acknowledged and is not there`)
      const storeAtMs = known.storeAtMs || known.sentAtMs
      const isOld = storeAtMs <= this.#wallMaxMs - RETENTION_MS
      if (known.queueOffset < offsetMin) assert.ok(isOld, `${known.number} went before its time`)
    }
  }

  #place(
    number: number,
    at: { topicId: number; queueId: number; queueOffset: number; storeAtMs: number },
  ): void {
    const known = this.#known[number]
    assert.ok(known, `${number} was never sent`)
    assert.is(known.topicId, at.topicId, `${number} is in its own topic`)
    assert.is.not(known.sent, 'no', `${number} was refused`)
    if (known.storeAtMs > 0 || known.sent === 'yes') {
      assert.is(known.queueId, at.queueId, `${number} stays in its queue`)
      assert.is(known.queueOffset, at.queueOffset, `${number} stays at its offset`)
    }
    if (known.storeAtMs > 0) assert.is(known.storeAtMs, at.storeAtMs)
    known.sent = 'yes'
    known.queueId = at.queueId
    known.queueOffset = at.queueOffset
    known.storeAtMs = at.storeAtMs
  }

  #seen(
    number: number,
    message: { topicId: number; queueId: number; queueOffset: number; storeAtMs: number },
  ): void {
    const { topicId, queueId, queueOffset, storeAtMs } = message
    this.#place(number, { topicId, queueId, queueOffset, storeAtMs })
  }

  /** A group that begins now gets everything that is kept, in order, each message once. */
  async #drain(name: string): Promise<void> {
    const serving = this.#serving(name)
    if (serving === undefined) return
    const expected = this.#shown(serving, () => true).sort((a, b) => a - b)
    const got: number[] = []
    const ends = new Map<number, number>()
    for (let empty = 0; empty < 3; ) {
      const request = { group: 'drain', topic: name, filter: everything, batchMax: 32 }
      const { deliveries } = await this.lives.clock.until(
        this.#broker.receive({ ...request, invisibleMs: 600_000, waitMs: 0 }),
      )
      empty = deliveries.length === 0 ? empty + 1 : 0
      for (const { message, handle } of deliveries) {
        const before = ends.get(message.queueId) ?? -1
        assert.ok(message.queueOffset > before, 'in the order of the queue')
        ends.set(message.queueId, message.queueOffset)
        got.push(numberIn(message.body))
        await this.lives.clock.until(this.#broker.ack(handle))
      }
    }
    const shown = new Set(this.#shown(serving, () => true))
    got.sort((a, b) => a - b)
    assert.equal(
      got.filter((n) => shown.has(n)),
      expected.filter((n) => shown.has(n)),
      'drained',
    )
    this.#count('drained', got.length)
  }

  /** After the grace period the store holds what the broker claims, and nothing besides. */
  async #removeOrphans(): Promise<void> {
    this.bucket.land()
    for (let round = 0; round < 10; round++) await this.lives.clock.advance(GRACE_MS / 4)
    await this.#rest()
    const claimed: string[] = []
    for (const { topicId, tier } of this.#broker.state.topics.values()) {
      for (const object of tier.objects) claimed.push(tierObjectKey(topicId, object))
      const namespace = tier.objects[0]?.namespace
      if (namespace !== undefined) claimed.push(tierManifestKey(namespace, topicId))
    }
    const stored = [...this.bucket.objects.keys()]
    const manifests = stored.filter((key) => key.endsWith('manifest.json') && this.#isServed(key))
    const orphans = stored.filter((key) => !claimed.includes(key) && !manifests.includes(key))
    assert.equal(orphans, [], 'the janitor leaves no orphan')
    assert.equal(
      claimed.filter((key) => !stored.includes(key)),
      [],
      'what is claimed is there',
    )
    assert.equal(await this.lives.clock.until(this.#tier.janitor.residue()), [])
  }

  #isServed(key: string): boolean {
    const topicId = Number(key.split('/').at(-2))
    return this.#broker.state.topics.get(topicId)?.status === 'serving'
  }

  async #findResidue(): Promise<void> {
    const metrics = { series: async () => [] }
    const { residue } = await this.lives.clock.until(
      audit(this.#broker, metrics as unknown as Parameters<typeof audit>[1], 0),
    )
    assert.equal(residue, [], 'nothing is left of what ended')
  }

  /** Follows an answer for as long as the broker that gives it lives. */
  #settle<Answer>(
    answer: Promise<Answer>,
    hear: {
      ok?: (answer: Answer) => void | Promise<void>
      refused?: (error: unknown) => void | Promise<void>
    },
  ): void {
    const life = this.#living
    const guarded = async (work: () => void | Promise<void>): Promise<void> => {
      if (!life.isAlive) return
      try {
        await work()
      } catch (error) {
        if (life.isAlive && !isBrokerError(error)) this.#failure ??= error
      }
    }
    answer.then(
      (value) => guarded(async () => hear.ok?.(value)),
      (error: unknown) =>
        guarded(() => {
          assert.ok(isBrokerError(error), `a coded error, not ${(error as Error)?.stack}`)
          if (!isBrokerError(error, 'OUTCOME_UNKNOWN', 'BROKER_CLOSED'))
            return hear.refused?.(error)
        }),
    )
  }
}

const isInTier = ({ status, queues, tier }: Topic): boolean =>
  status !== 'serving' ||
  queues.every(
    ({ queueId, localMin, offsetMax }) => (tier.endOf(queueId) ?? localMin) === offsetMax,
  )

const isEnding = ({ supervisions, state }: CoreBroker): boolean =>
  [...supervisions.topics.addresses()].some(
    (address) => state.topics.get(Number(address.split(':')[1]))?.status !== 'serving',
  )

const withoutGaps = (lines: readonly string[]): string[] =>
  lines.filter((line) => !line.startsWith('gaps'))

const nameOf = (index: number): string => topicNames[index % topicNames.length] as string

const numberIn = (body: Uint8Array): number => Number(Buffer.from(body).toString().split(' ')[0])

const attempt = <Answer>(call: () => Promise<Answer>): Promise<Answer> => {
  try {
    return call()
  } catch (error) {
    return Promise.reject(error)
  }
}
