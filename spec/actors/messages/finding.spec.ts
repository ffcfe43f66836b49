import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { CoreBroker } from '../../../actors/broker/broker.ts'
import { isBrokerError } from '../../../model/errors.ts'
import { encodeDraft } from '../../../model/message/encode.ts'
import type { MessageView } from '../../../model/message/trace.ts'
import { namePageKey, nameRangeKey } from '../../../storage/codec/index-key.ts'
import { idHash, keyHash } from '../../../storage/codec/message-names.ts'
import { encodeNameRange, NameEntries } from '../../../storage/codec/name-range.ts'
import { type Life, Lives, tinySettings } from '../../simulation/lives.ts'
import { holds } from '../../support/property.ts'

/** The model: every message that was ever stored, in the order of the log. */
interface Known {
  readonly topic: string
  readonly queueId: number
  readonly queueOffset: number
  readonly messageId: string
  readonly keys: readonly string[]
  readonly storeAtMs: number
}

type Step =
  | { readonly do: 'send'; topic: string; messageId: string; keys: readonly string[] }
  | { readonly do: 'wait'; ms: number }
  | { readonly do: 'tend'; times: number }
  | { readonly do: 'restart' }
  | { readonly do: 'crash'; seed: number }
  | { readonly do: 'rebuild' }
  | { readonly do: 'end'; topic: string }

const topics = ['orders', 'bills']
const aTopic = fc.constantFrom(...topics)
const anId = fc.constantFrom('a', 'b', 'c', '\u00e4\u00f6', 'x'.repeat(40))
const aKey = fc.constantFrom('k1', 'k2', 'ké')

const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      topic: aTopic,
      messageId: anId,
      keys: fc.uniqueArray(aKey, { maxLength: 2 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(900) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('tend' as const), times: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), seed: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'rebuild' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end' as const), topic: aTopic }) },
)

const placeOf = ({ topic, queueId, queueOffset, messageId }: Known | MessageView) =>
  `${topic}/${queueId}/${queueOffset} ${messageId}`

const byTime = (views: readonly Known[]): Known[] =>
  [...views].sort((a, b) => a.storeAtMs - b.storeAtMs)

/** A broker and the array of what it stores. */
class World {
  readonly lives: Lives
  readonly known: Known[] = []
  #life: Life | undefined

  readonly #retention: { readonly bytes: number }

  constructor(seed: number, retention = { bytes: 2_000 }) {
    this.#retention = retention
    this.lives = new Lives(seed, tinySettings, () => {})
  }

  get broker(): CoreBroker {
    assert.ok(this.#life, 'a broker lives')
    return this.#life.broker
  }

  async open(): Promise<void> {
    this.#life = await this.lives.open()
    for (const name of topics) await this.#create(name)
  }

  until<T>(work: Promise<T>): Promise<T> {
    return this.lives.clock.until(work)
  }

  async run(step: Step): Promise<void> {
    switch (step.do) {
      case 'send':
        return this.#send(step)
      case 'wait':
        return this.lives.clock.advance(step.ms)
      case 'tend':
        return this.lives.clock.advance(step.times * tinySettings.upkeepRestMs)
      case 'restart':
        await this.until(this.broker.close())
        return this.open()
      case 'crash':
        this.#life?.die()
        this.lives.place.crash(step.seed)
        return this.open()
      case 'rebuild':
        await this.until(this.broker.close())
        await this.#clearIndex()
        return this.open()
      case 'end':
        await this.until(this.broker.topics.end(step.topic))
        this.#forget((message) => message.topic === step.topic)
        return this.#create(step.topic)
    }
  }

  /** What retention has left of the model. */
  kept(): Known[] {
    return this.known.filter(({ topic, queueId, queueOffset }) => {
      const bounds = this.broker.topics.describe(topic).offsets[queueId]
      return bounds !== undefined && queueOffset >= bounds.offsetMin
    })
  }

  async #clearIndex(): Promise<void> {
    const index = await this.until(this.lives.place.openDatabase('index'))
    await this.until(index.clear({}))
    await this.until(index.close())
  }

  async #create(name: string): Promise<void> {
    const retention = this.#retention
    await this.until(this.broker.topics.create(name, { queues: 2, retention }))
  }

  async #send({ topic, messageId, keys }: Step & { do: 'send' }): Promise<void> {
    const storeAtMs = Math.floor(this.lives.clock.wallMs())
    const body = Buffer.alloc(150, 1)
    const message = encodeDraft({ body, keys, messageId }, { messageId, bornAtMs: 1, bornHost: '' })
    const { queueId, queueOffset } = await this.until(this.broker.append(topic, message))
    this.known.push({ topic, queueId, queueOffset, messageId, keys, storeAtMs })
  }

  #forget(isGone: (message: Known) => boolean): void {
    const left = this.known.filter((message) => !isGone(message))
    this.known.splice(0, this.known.length, ...left)
  }
}

const checkPeek = async (world: World, fromOffset: number): Promise<void> => {
  for (const topic of topics)
    for (const queueId of [0, 1]) {
      const expected = world
        .kept()
        .filter((known) => known.topic === topic && known.queueId === queueId)
        .filter(({ queueOffset }) => queueOffset >= fromOffset)
        .slice(0, 3)
      const place = { topic, queueId, fromOffset, limit: 3 }
      const views = await world.until(world.broker.messages.peek(place))
      assert.equal(views.map(placeOf), expected.map(placeOf))
    }
}

const checkTimes = async (world: World, fromMs: number, toMs: number): Promise<void> => {
  for (const topic of topics) {
    const expected = byTime(world.kept().filter((known) => known.topic === topic)).filter(
      ({ storeAtMs }) => storeAtMs >= fromMs && storeAtMs <= toMs,
    )
    const query = { topic, fromMs, toMs, limit: 1_000 }
    const views = await world.until(world.broker.messages.find(query))
    assert.equal(views.map(placeOf).sort(), expected.map(placeOf).sort())
    assert.equal(
      views.map(({ storeAtMs }) => storeAtMs),
      expected.map(({ storeAtMs }) => storeAtMs),
      'oldest first',
    )
  }
}

const anywhere = (views: readonly (Known | MessageView)[]): string[] => views.map(placeOf).sort()

const checkNames = async (world: World): Promise<void> => {
  const kept = world.kept()
  const { messages } = world.broker
  for (const messageId of new Set(world.known.map((known) => known.messageId))) {
    const expected = kept.filter((known) => known.messageId === messageId)
    assert.equal(anywhere(await world.until(messages.byId(messageId))), anywhere(expected))
    const inTopic = expected.filter(({ topic }) => topic === 'bills')
    assert.equal(anywhere(await world.until(messages.byId(messageId, 'bills'))), anywhere(inTopic))
  }
  for (const topic of topics)
    for (const key of ['k1', 'k2', 'ké', 'k3']) {
      const expected = kept.filter((known) => known.topic === topic && known.keys.includes(key))
      const views = await world.until(messages.find({ topic, key, limit: 1_000 }))
      assert.equal(anywhere(views), anywhere(expected))
      const fromMs = expected[Math.floor(expected.length / 2)]?.storeAtMs ?? 0
      const late = expected.filter(({ storeAtMs }) => storeAtMs >= fromMs)
      const lateViews = await world.until(messages.find({ topic, key, fromMs, limit: 1_000 }))
      assert.equal(anywhere(lateViews), anywhere(late))
    }
}

const collected = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

const Finding = suite('finding stored messages')

Finding('answers as a scan of an array would, through trims and restarts', async () => {
  const script = fc.array(aStep, { minLength: 5, maxLength: 60, size: 'max' })
  await holds(
    fc.asyncProperty(fc.nat(99), script, async (seed, steps) => {
      const world = new World(seed)
      await world.open()
      for (const step of steps) {
        await world.run(step)
        if (step.do !== 'send' && step.do !== 'wait') await checkNames(world)
      }
      await checkNames(world)
      const times = world.known.map(({ storeAtMs }) => storeAtMs)
      await checkPeek(world, seed % 5)
      await checkTimes(world, 0, Number.POSITIVE_INFINITY)
      for (const at of times.filter((_, index) => index % 5 === 0))
        await checkTimes(world, at, at + 1_000)
      await world.until(world.broker.close())
    }),
    { runs: 60 },
  )
})

Finding('finds what lies before and behind a stretch that was given up', async () => {
  const world = new World(7, { bytes: 0 })
  await world.open()
  const send = async (topic: string, count: number): Promise<void> => {
    for (let sent = 0; sent < count; sent++)
      await world.run({ do: 'send', topic, messageId: `${topic} ${sent}`, keys: ['k1'] })
  }
  await send('orders', 30)
  await send('bills', 60)
  await send('orders', 30)
  await world.run({ do: 'tend', times: 4 })
  await world.run({ do: 'end', topic: 'bills' })
  await world.run({ do: 'tend', times: 4 })
  await world.run({ do: 'send', topic: 'orders', messageId: 'last', keys: ['k1'] })
  assert.ok(world.lives.logged.has('reclaimed a stretch of the commit log'))
  await checkNames(world)
  await world.run({ do: 'rebuild' })
  await checkNames(world)
  await world.until(world.broker.close())
})

Finding('does not take a message for another whose name has the same hash', async () => {
  const world = new World(3)
  await world.open()
  await world.run({ do: 'send', topic: 'orders', messageId: 'a', keys: ['k1'] })
  const { broker } = world
  await world.until(broker.messages.byId('a'))
  const [position] = await world.until(
    collected(broker.messageIndex.positionsOf({ hash: idHash('a') })),
  )
  assert.ok(position)
  const entries = new NameEntries()
  const { topicId } = broker.topics.describe('orders')
  for (const hash of [idHash('b'), keyHash(topicId, 'k2')]) entries.push(hash, position)
  const [page] = entries.pages(0)
  const range = { from: 0, to: 1, entries: 2, pageBits: 0, storeAtMsMin: 0, storeAtMsMax: 2 ** 50 }
  await world.until(
    broker.index.write([
      { type: 'put', key: nameRangeKey(0), value: encodeNameRange(range) },
      { type: 'put', key: namePageKey(0, 0), value: page?.bytes ?? Buffer.alloc(0) },
    ]),
  )
  await world.until(broker.messageIndex.load(broker.log.syncedOffset))
  const planted = broker.messageIndex.positionsOf({ hash: idHash('b') })
  assert.equal(await world.until(collected(planted)), [position])
  assert.equal(await world.until(broker.messages.byId('b')), [])
  assert.equal(await world.until(broker.messages.find({ topic: 'orders', key: 'k2' })), [])
  await world.until(broker.close())
})

Finding('refuses a topic that is not there', async () => {
  const world = new World(1)
  await world.open()
  const place = { topic: 'nothing', queueId: 0, fromOffset: 0 }
  const error = await world.until(
    world.broker.messages.peek(place).then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  )
  assert.ok(isBrokerError(error, 'TOPIC_NOT_FOUND'))
  await world.until(world.broker.close())
})

Finding.run()
