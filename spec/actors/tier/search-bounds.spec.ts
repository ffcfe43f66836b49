import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CoreBroker } from '../../../actors/broker/broker.ts'
import { brokerSettingsOf } from '../../../actors/broker/settings.ts'
import { tierDefaults } from '../../../actors/tier/settings.ts'
import { isBrokerError } from '../../../model/errors.ts'
import { encodeDraft, type MessageDraft } from '../../../model/message/encode.ts'
import { createMessageIds } from '../../../model/message/message-id.ts'
import { tierObjectKey } from '../../../model/tier/tier-objects.ts'
import { MemoryObjectStore } from '../../../storage/memory/memory-object-store.ts'
import { MemoryPlace } from '../../../storage/memory/memory-place.ts'
import { seededRandom } from '../../support/random.ts'
import { SimulatedClock } from '../../support/simulated-clock.ts'
import { Tiered } from '../../support/tiered.ts'
import { WatchedStore } from '../../support/watched-store.ts'

const TOPIC = 'orders'
const HOUR_MS = 3_600_000
const SECTIONS = 24
/** Sections that a search may read. */
const SEARCHED_MAX = 16
const quiet = { info: () => {}, warn: () => {}, error: () => {} }

/** A message an hour, each in an object of its own; the last one is in the log. */
class World {
  readonly clock = new SimulatedClock()
  readonly nextId = createMessageIds(this.clock, seededRandom(1))
  readonly ids: string[] = []
  readonly store = new WatchedStore(new MemoryObjectStore({ clock: this.clock }))
  /** Objects whose names were read; what is in memory is not read again. */
  readonly searched = new Set<string>()
  broker!: CoreBroker
  tiered!: Tiered

  static async open(idOf: (number: number, made: string) => string): Promise<World> {
    const world = new World()
    const { clock, store } = world
    const components = { clock, logger: quiet, place: new MemoryPlace({ random: seededRandom(2) }) }
    // Nobody else does anything in all these hours.
    const idle = { tickMs: 1e9, holdMs: 1e9, janitorEveryMs: 1e9 }
    const tier = { ...tierDefaults, ...idle, searchBytes: SEARCHED_MAX * (64 << 10) }
    const settings = brokerSettingsOf({ tier, upkeepRestMs: 1e9 })
    const opening = CoreBroker.open(
      { ...components, tier: { store, random: seededRandom(3) } },
      settings,
    )
    world.broker = await clock.until(opening)
    await clock.until(world.broker.topics.create(TOPIC, { queues: 1, type: 'MIXED' }))
    for (let number = 0; number <= SECTIONS; number++) {
      await world.#send(idOf(number, world.nextId()), { keys: [`k${number}`] })
      await clock.advance(HOUR_MS)
    }
    world.tiered = new Tiered(world.broker, store)
    for (let to = 1; to <= SECTIONS; to++)
      await clock.until(world.tiered.offload(TOPIC, [{ queueId: 0, to }]))
    await clock.until(world.tiered.trim(TOPIC, 0, SECTIONS))
    return world
  }

  async #send(messageId: string, draft: Partial<MessageDraft>): Promise<void> {
    const encoded = encodeDraft(
      { body: 'x', ...draft },
      { messageId, bornAtMs: this.clock.wallMs(), bornHost: '' },
    )
    await this.clock.until(this.broker.append(TOPIC, encoded))
    this.ids.push(messageId)
  }

  hasSearched(offset: number): boolean {
    const { tier, topicId } = this.tiered.topic(TOPIC)
    const section = tier.find(0, offset)
    return section !== undefined && this.searched.has(tierObjectKey(topicId, section.object))
  }

  /** The offsets that are found, or how far the search went; and it read no more than it may. */
  async asked(
    work: Promise<readonly ({ readonly queueOffset: number } | { readonly message: object })[]>,
  ): Promise<unknown> {
    const before = this.store.gets.length
    try {
      const found = await this.clock.until(work)
      return found.map((one) => ('message' in one ? 'told' : one.queueOffset))
    } catch (error) {
      assert.ok(isBrokerError(error, 'MESSAGE_SEARCH_TOO_WIDE'), String(error))
      return [error.params.searched, error.params.of]
    } finally {
      const { tier } = this.tiered.topic(TOPIC)
      const parts = new Set(tier.sectionsOf(0).map(({ namesAt }) => namesAt))
      const names = this.store.gets.slice(before).filter(({ from }) => parts.has(from))
      for (const { key } of names) this.searched.add(key)
      assert.ok(names.length <= SEARCHED_MAX, `${names.length} sections were read`)
    }
  }

  close(): Promise<void> {
    return this.clock.until(this.broker.close())
  }
}

const tooWide = [SEARCHED_MAX, SECTIONS]

const Bounds = suite('bounds of a search in the tier')

Bounds('an id that tells when it was made is found where it was', async () => {
  const world = await World.open((_, made) => made)
  const { messages } = world.broker
  for (const number of [0, 15, 20, SECTIONS - 1, SECTIONS]) {
    const id = world.ids[number] as string
    assert.equal(await world.asked(messages.byId(id)), [number])
    assert.equal(await world.asked(messages.why(id)), ['told'])
    assert.is(world.hasSearched(number), number < SECTIONS)
  }
  const unknown = world.nextId()
  assert.equal(await world.asked(messages.byId(unknown)), tooWide, 'not: there is none')
  assert.equal(await world.asked(messages.why(unknown, TOPIC)), tooWide)
  await world.close()
})

Bounds('an id of a clock that was far ahead is looked for everywhere', async () => {
  const ahead = new SimulatedClock({ wallMs: new SimulatedClock().wallMs() + 1_000 * HOUR_MS })
  const idAhead = createMessageIds(ahead, seededRandom(4))
  const world = await World.open((number, made) => (number === 3 ? idAhead() : made))
  const { messages } = world.broker
  assert.equal(await world.asked(messages.byId(world.ids[3] as string)), [3])
  assert.ok(world.hasSearched(3))
  assert.equal(await world.asked(messages.byId(idAhead())), tooWide)
  await world.close()
})

Bounds('other ids and keys are refused when there is too much, and found in less', async () => {
  const world = await World.open((number) => `m${number}`)
  const { messages } = world.broker
  assert.equal(await world.asked(messages.byId('m3')), tooWide, 'there may be another')
  assert.equal(await world.asked(messages.why('m20')), tooWide)
  const query = { topic: TOPIC, key: 'k20' }
  assert.equal(await world.asked(messages.find(query)), tooWide)
  assert.equal(await world.asked(messages.find({ topic: TOPIC, key: 'k2', limit: 1 })), [2])
  const fromMs = world.clock.wallMs() - 10 * HOUR_MS
  assert.equal(await world.asked(messages.find({ ...query, fromMs })), [20])
  await world.close()
})

Bounds.run()
