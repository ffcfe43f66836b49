import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { CoreBroker } from '../../actors/broker/broker.ts'
import type { DeadLetter } from '../../model/delivery/administration.ts'
import { tagFilter } from '../../model/delivery/filter.ts'
import { isBrokerError } from '../../model/errors.ts'
import { encodeDraft, type MessageDraft } from '../../model/message/encode.ts'
import { decodeProperties } from '../../model/message/properties-block.ts'
import { decodeSystem } from '../../model/message/system-block.ts'
import type { Delivery } from '../../model/ports.ts'
import { type Life, Lives, tinySettings } from '../simulation/lives.ts'
import { holds } from '../support/property.ts'

const LEASE_MS = 10_000
/** The longest a lease can be, and time for everything to come to rest. */
const REST_MS = 4 * LEASE_MS

type Administration =
  | { readonly do: 'redrive'; readonly which: readonly number[] | undefined }
  | { readonly do: 'purge'; readonly which: readonly number[] | undefined }

type Step =
  | { readonly do: 'send'; readonly count: number; readonly messageGroup: string }
  | { readonly do: 'kill'; readonly count: number }
  | { readonly do: 'tend' }
  | { readonly do: 'rebuild' }
  | { readonly do: 'fail'; readonly leaves: 'torn' | 'whole' | 'nothing' }
  | { readonly do: 'cut'; readonly during: Administration; afterMs: number; seed: number }
  | { readonly do: 'race'; readonly which: readonly number[] | undefined }
  | Administration

const which = fc.option(fc.array(fc.nat(20), { minLength: 1, maxLength: 4 }), { nil: undefined })
const administration: fc.Arbitrary<Administration> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('redrive' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('purge' as const), which }) },
)
const messageGroup = fc.constantFrom('', '', 'g')
const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      count: fc.integer({ min: 1, max: 4 }),
      messageGroup,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('kill' as const),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 4, arbitrary: administration },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('race' as const), which }) },
  { weight: 2, arbitrary: fc.constant({ do: 'tend' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'rebuild' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      leaves: fc.constantFrom('torn', 'whole', 'nothing'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('cut' as const),
      during: administration,
      afterMs: fc.nat(12),
      seed: fc.nat(99),
    }),
  },
)

const draftOf = (number: number, group: string): MessageDraft => ({
  body: `body ${number}`,
  messageId: `m${number}`,
  tag: `tag${number % 2}`,
  keys: [`k${number}`],
  properties: { shade: `s${number}` },
  ...(group ? { messageGroup: group } : {}),
})

/** The model: which messages must live, in `orders` or among the dead letters, and which may. */
class World {
  readonly lives: Lives
  readonly must = new Map<string, MessageDraft>()
  /** Purged, or perhaps: nobody heard. */
  readonly may = new Map<string, MessageDraft>()
  #life: Life | undefined
  #sent = 0

  constructor(seed: number) {
    // Retention keeps everything: only purging may remove a message.
    this.lives = new Lives(seed, tinySettings, () => {})
  }

  get broker(): CoreBroker {
    assert.ok(this.#life, 'a broker lives')
    return this.#life.broker
  }

  until<T>(work: Promise<T>): Promise<T> {
    return this.lives.clock.until(work)
  }

  async open(): Promise<void> {
    this.lives.place.slowWrites('commit-log', 3)
    this.#life = await this.lives.open()
    await this.until(this.broker.topics.create('orders', { type: 'MIXED', queues: 2 }))
    await this.until(this.broker.groups.create('billing'))
  }

  async run(step: Step): Promise<void> {
    const { clock, place } = this.lives
    switch (step.do) {
      case 'send':
        for (let count = 0; count < step.count; count++) await this.#send(step.messageGroup)
        return
      case 'kill':
        return this.#kill(step.count)
      case 'tend':
        return clock.advance(2 * tinySettings.upkeepRestMs)
      case 'fail':
        place.failWrites('commit-log', { error: 'EIO', leaves: step.leaves, count: 1 })
        return
      case 'rebuild':
        place.heal()
        await clock.advance(REST_MS)
        await this.until(this.broker.close())
        await this.#clearIndex()
        return this.open()
      case 'cut':
        void this.#administer(step.during)
        void this.broker.upkeep.checkpoint().catch(this.#expected)
        await clock.advance(step.afterMs)
        return this.cutPower(step.seed)
      case 'race': {
        const redrive = { do: 'redrive', which: step.which } as const
        const redriving = [1, 2].map(() => this.#administer(redrive))
        await this.until(Promise.all(redriving))
        return
      }
      case 'redrive':
      case 'purge':
        await this.until(this.#administer(step))
    }
  }

  async cutPower(seed: number): Promise<void> {
    this.#life?.die()
    this.lives.place.crash(seed)
    this.lives.place.heal()
    return this.open()
  }

  /** Everything that lives, by message id: how often in `orders`, how often as a dead letter. */
  async census(): Promise<Map<string, { alive: Delivery[]; dead: DeadLetter[] }>> {
    this.lives.place.heal()
    await this.lives.clock.advance(REST_MS)
    const found = new Map<string, { alive: Delivery[]; dead: DeadLetter[] }>()
    const of = (id: string) => {
      const known = found.get(id) ?? { alive: [], dead: [] }
      found.set(id, known)
      return known
    }
    for (let after: string | undefined, isFirst = true; isFirst || after; isFirst = false) {
      const page = await this.until(
        this.broker.deadLetters.list('billing', { limit: 3, ...(after ? { after } : {}) }),
      )
      for (const letter of page.deadLetters) of(letter.messageId).dead.push(letter)
      after = page.next
    }
    for (;;) {
      const deliveries = await this.#receive(32)
      if (deliveries.length === 0) return found
      for (const delivery of deliveries) {
        of(decodeSystem(delivery.message.system).messageId).alive.push(delivery)
        await this.until(this.broker.ack(delivery.handle))
      }
    }
  }

  async #send(group: string): Promise<void> {
    const number = this.#sent++
    const draft = draftOf(number, group)
    const message = encodeDraft(draft, { messageId: `m${number}`, bornAtMs: 5, bornHost: 'here' })
    await this.until(
      Promise.resolve()
        .then(() => this.broker.append('orders', message))
        .then(
          () => this.must.set(`m${number}`, draft),
          (error: unknown) => this.may.set(`m${number}`, draft) && this.#expected(error),
        ),
    )
  }

  async #receive(batchMax: number): Promise<readonly Delivery[]> {
    const request = { topic: 'orders', group: 'billing', filter: tagFilter('*'), waitMs: 0 }
    const receiving = this.broker.receive({ ...request, batchMax, invisibleMs: LEASE_MS })
    const { deliveries } = await this.until(
      receiving.catch((error: unknown) => {
        this.#expected(error)
        return { deliveries: [] }
      }),
    )
    return deliveries
  }

  async #kill(count: number): Promise<void> {
    for (const { handle } of await this.#receive(count))
      await this.until(this.broker.deadLetter(handle, 'broken').catch(this.#expected))
  }

  async #administer(step: Administration): Promise<void> {
    const { deadLetters } = this.broker
    const ids = step.which?.map((number) => `m${number}`)
    if (step.do === 'redrive') await deadLetters.redrive('billing', ids).catch(this.#expected)
    else await this.#purge(ids)
  }

  async #purge(ids: readonly string[] | undefined): Promise<void> {
    const { deadLetters } = this.broker
    const listed = await deadLetters
      .list('billing', { limit: 1_000 })
      .catch(() => ({ deadLetters: [] }))
    const chosen = listed.deadLetters
      .map(({ messageId }) => messageId)
      .filter((id) => ids?.includes(id) ?? true)
    // Until it is said to be done, it may be or not.
    for (const id of chosen) {
      const draft = this.must.get(id) ?? this.may.get(id)
      if (draft) this.may.set(id, draft)
      this.must.delete(id)
    }
    const purged = await deadLetters.purge('billing', ids).catch(this.#expected)
    if (purged === undefined) return
    assert.is(purged, chosen.length, 'purge says how many')
    for (const id of chosen) this.may.delete(id)
  }

  readonly #expected = (error: unknown): undefined => {
    const codes = ['STORE_UNAVAILABLE', 'OUTCOME_UNKNOWN', 'THROTTLED', 'BROKER_CLOSED'] as const
    const isRefusal = isBrokerError(error, ...codes) || isBrokerError(error, 'MESSAGE_INDEX_BEHIND')
    if (!isRefusal) throw error
    return undefined
  }

  async #clearIndex(): Promise<void> {
    const index = await this.until(this.lives.place.openDatabase('index'))
    await this.until(index.clear({}))
    await this.until(index.close())
  }
}

const checkRestored = ({ message }: Delivery, draft: MessageDraft): void => {
  const { tag, keys, messageGroup: group, origin, bornAtMs } = decodeSystem(message.system)
  assert.is(tag, draft.tag)
  assert.equal(keys, draft.keys)
  assert.is(group, draft.messageGroup ?? '')
  assert.is(bornAtMs, 5)
  assert.is(origin, undefined)
  assert.equal(decodeProperties(message.properties), draft.properties)
  assert.is(Buffer.from(message.body).toString(), draft.body)
  assert.is(message.type, group === '' ? 'NORMAL' : 'FIFO')
}

const DeadLetters = suite('dead letters')

DeadLetters('live once, in their topic or where they came from, through power cuts', async () => {
  const script = fc.array(aStep, { minLength: 3, maxLength: 25, size: 'max' })
  await holds(
    fc.asyncProperty(fc.nat(99), script, async (seed, steps) => {
      const world = new World(seed)
      await world.open()
      for (const step of steps) await world.run(step)
      const found = await world.census()
      for (const [id, draft] of world.must) {
        const { alive, dead } = found.get(id) ?? { alive: [], dead: [] }
        assert.is(alive.length + dead.length, 1, `${id} lives once`)
        for (const delivery of alive) checkRestored(delivery, draft)
        for (const letter of dead) {
          assert.is(letter.originTopic, 'orders')
          assert.is(letter.originMessageId, id)
          assert.is(letter.reason, 'broken')
        }
      }
      for (const [id, { alive, dead }] of found) {
        assert.ok(world.must.has(id) || world.may.has(id), `${id} was purged`)
        assert.ok(alive.length + dead.length <= 1, `${id} lives at most once`)
      }
      await world.until(world.broker.close())
    }),
    { runs: 60 },
  )
})

const aWorldWithLetters = async (count: number): Promise<World> => {
  const world = new World(1)
  await world.open()
  await world.run({ do: 'send', count, messageGroup: '' })
  await world.run({ do: 'kill', count: 32 })
  return world
}

DeadLetters(
  'that ended are neither received nor found, and trimmed when all before have',
  async () => {
    const world = await aWorldWithLetters(4)
    const { broker } = world
    const topic = '%DLQ%billing'
    const { deadLetters } = await world.until(broker.deadLetters.list('billing'))
    const [first, second] = deadLetters.map(({ messageId }) => messageId)
    assert.ok(first && second)
    assert.is(await world.until(broker.deadLetters.purge('billing', [second, 'unknown'])), 1)
    assert.is(broker.topics.describe(topic).offsets[0]?.offsetMin, 0)
    assert.is(broker.topics.describe(topic).messages, 3)
    const views = await world.until(broker.messages.peek({ topic, queueId: 0, fromOffset: 0 }))
    assert.not.ok(views.some(({ messageId }) => messageId === second))
    assert.equal(await world.until(broker.messages.byId(second, topic)), [])
    const request = { topic, group: 'undertakers', filter: tagFilter('*'), batchMax: 32, waitMs: 0 }
    const { deliveries } = await world.until(broker.receive({ ...request, invisibleMs: LEASE_MS }))
    assert.is(deliveries.length, 3)
    assert.is(await world.until(broker.deadLetters.purge('billing', [first])), 1)
    assert.is(broker.topics.describe(topic).offsets[0]?.offsetMin, 2)
    await world.until(broker.close())
  },
)

DeadLetters('are not said to have ended by a checkpoint that is written before', async () => {
  const world = await aWorldWithLetters(3)
  await world.until(world.broker.upkeep.checkpoint())
  const redriving = world.broker.deadLetters.redrive('billing')
  const checkpointing = world.broker.upkeep.checkpoint()
  assert.is(await world.until(redriving), 3)
  await world.until(checkpointing)
  await world.cutPower(1)
  assert.equal((await world.until(world.broker.deadLetters.list('billing'))).deadLetters, [])
  for (const { alive } of (await world.census()).values()) assert.is(alive.length, 1)
  await world.until(world.broker.close())
})

DeadLetters('stay when their topic of origin is gone, and when their group ends', async () => {
  const world = await aWorldWithLetters(2)
  const { broker } = world
  await world.until(broker.topics.end('orders'))
  const outcome = await world.until(
    broker.deadLetters.redrive('billing').catch((error: unknown) => error),
  )
  assert.ok(isBrokerError(outcome, 'TOPIC_NOT_FOUND'))
  await world.until(broker.groups.end('billing'))
  const { deadLetters } = await world.until(broker.deadLetters.list('billing'))
  assert.is(deadLetters.length, 2)
  await world.until(broker.topics.create('orders', { queues: 1 }))
  assert.is(await world.until(broker.deadLetters.redrive('billing')), 2)
  assert.is(broker.topics.describe('orders').messages, 2)
  assert.equal((await world.until(broker.deadLetters.list('billing'))).deadLetters, [])
  const nobody = await world.until(broker.deadLetters.list('nobody').catch((error) => error))
  assert.ok(isBrokerError(nobody, 'GROUP_NOT_FOUND'))
  await world.until(broker.close())
})

DeadLetters.run()
