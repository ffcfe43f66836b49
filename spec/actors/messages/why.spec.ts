import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { CoreBroker } from '../../../actors/broker/broker.ts'
import { tagFilter } from '../../../model/delivery/filter.ts'
import type { ReceiptHandle } from '../../../model/delivery/receipt-handle.ts'
import { isBrokerError } from '../../../model/errors.ts'
import { encodeDraft } from '../../../model/message/encode.ts'
import type { MessageTrace, TraceStep } from '../../../model/message/trace.ts'
import { Lives, tinySettings } from '../../simulation/lives.ts'
import { holds } from '../../support/property.ts'

const LETTERS = '%DLQ%all'
/** `tagged` wants one of two tags; the other is filtered out. */
const filters = { all: '*', tagged: 'tag0' } as const
type GroupName = keyof typeof filters

type Step =
  | { readonly do: 'send' }
  | { readonly do: 'receive'; group: GroupName; invisibleMs: number; count: number }
  | { readonly do: 'ack' | 'nack' | 'kill'; which: number; invisibleMs: number }
  | { readonly do: 'wait'; ms: number }
  | { readonly do: 'reset'; group: GroupName }
  | { readonly do: 'redrive' | 'purge' }
  | { readonly do: 'tend' | 'restart' }

const aGroup = fc.constantFrom<GroupName>('all', 'tagged')
const invisibleMs = fc.constantFrom(1_000, 3_000)
const aStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ do: 'send' as const }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('receive' as const),
      group: aGroup,
      invisibleMs,
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('ack' as const, 'nack' as const, 'kill' as const),
      which: fc.nat(9),
      invisibleMs,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.integer({ min: 50, max: 1_500 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset' as const), group: aGroup }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('redrive' as const, 'purge' as const) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('tend' as const, 'restart' as const) }),
  },
)

/** What the spec did, and when at the earliest and the latest. */
interface Deed {
  readonly what: TraceStep['what']
  readonly group?: string
  readonly attempt?: number
  readonly fromMs: number
  readonly toMs: number
}

/** What a group has of a message. */
interface Held {
  readonly handle: ReceiptHandle
  readonly group: GroupName
  isNacked: boolean
  untilMs: number
}

interface Known {
  readonly messageId: string
  readonly isTagged: boolean
  readonly deeds: Deed[]
  /** By group: what counts now. */
  readonly held: Map<GroupName, Held>
  /** Groups that have it behind them. */
  readonly done: Set<GroupName>
}

const settings = {
  ...tinySettings,
  receiver: { ...tinySettings.receiver, unackedMax: 1_000, scanMax: 1_000 },
}

class World {
  readonly lives = new Lives(1, settings, () => {})
  readonly orders: Known[] = []
  readonly letters: Known[] = []
  broker!: CoreBroker
  #sent = 0

  async open(): Promise<void> {
    this.broker = (await this.lives.open()).broker
    await this.until(this.broker.topics.create('orders', { queues: 1 }))
  }

  until<T>(work: Promise<T>): Promise<T> {
    return this.lives.clock.until(work)
  }

  get nowMs(): number {
    return this.lives.clock.wallMs()
  }

  async run(step: Step): Promise<void> {
    const { clock } = this.lives
    switch (step.do) {
      case 'send':
        return this.#send()
      case 'receive':
        return this.#receive(step)
      case 'ack':
      case 'nack':
      case 'kill':
        return this.#answer(step)
      case 'wait':
        await clock.advance(step.ms)
        return this.#expire()
      case 'reset':
        return this.#reset(step.group)
      case 'redrive':
        return this.#endLetters('redriven')
      case 'purge':
        return this.#endLetters('purged')
      case 'tend':
        await clock.advance(2 * tinySettings.upkeepRestMs)
        return this.#expire()
      case 'restart':
        await this.until(this.broker.close())
        await this.open()
        return this.#expire()
    }
  }

  #note(known: Known, what: Deed['what'], fromMs: number, of: Partial<Deed> = {}): void {
    known.deeds.push({ what, fromMs, toMs: this.nowMs, ...of })
  }

  #born(where: Known[], messageId: string, isTagged: boolean, fromMs: number): Known {
    const known = { messageId, isTagged, deeds: [], held: new Map(), done: new Set<GroupName>() }
    where.push(known)
    this.#note(known, 'stored', fromMs)
    return known
  }

  async #send(): Promise<void> {
    const messageId = `m${this.#sent++}`
    const isTagged = this.#sent % 2 === 0
    const draft = { body: 'b', tag: isTagged ? 'tag0' : 'tag1' }
    const fromMs = this.nowMs
    const message = encodeDraft(draft, { messageId, bornAtMs: 1, bornHost: '' })
    await this.until(this.broker.append('orders', message))
    this.#born(this.orders, messageId, isTagged, fromMs)
  }

  async #receive(step: Step & { do: 'receive' }): Promise<void> {
    this.#expire()
    const { group, count } = step
    const fromMs = this.nowMs
    const request = { topic: 'orders', group, filter: tagFilter(filters[group]), waitMs: 0 }
    const { deliveries } = await this.until(
      this.broker.receive({ ...request, batchMax: count, invisibleMs: step.invisibleMs }),
    )
    const last = deliveries.at(-1)?.message.queueOffset
    for (const { message, handle, attempt } of deliveries) {
      const known = this.orders[message.queueOffset] as Known
      this.#note(known, 'leased', fromMs, { group, attempt })
      const held = { handle, group, isNacked: false, untilMs: handle.invisibleUntilMs }
      known.held.set(group, held)
    }
    // What came back is looked at first; what is new after it, until the batch is full.
    const isFull = deliveries.length === count
    if (group !== 'tagged') return
    const end = isFull ? this.#endOfLook(last ?? 0) : this.orders.length
    for (const known of this.orders.slice(0, end))
      if (!known.isTagged && !known.done.has(group)) {
        this.#note(known, 'filteredOut', fromMs, { group })
        known.done.add(group)
      }
  }

  /** Everything before the newest message that was taken was looked at. */
  #endOfLook(last: number): number {
    let end = last
    for (const [offset, known] of this.orders.entries())
      if (known.held.has('tagged') || known.done.has('tagged')) end = Math.max(end, offset)
    return end
  }

  async #answer(step: Step & { do: 'ack' | 'nack' | 'kill' }): Promise<void> {
    this.#expire()
    const all = this.orders.flatMap((known) =>
      [...known.held.values()].map((held) => ({ known, held })),
    )
    const { known, held } = all[step.which % Math.max(1, all.length)] ?? {}
    if (known === undefined || held === undefined) return
    // Dead letters of one group are enough.
    if (step.do === 'kill' && held.group !== 'all') return
    const { group, handle } = held
    const { attempt } = handle
    const fromMs = this.nowMs
    if (step.do === 'nack') {
      const changed = await this.until(this.broker.extend(handle, step.invisibleMs))
      this.#note(known, 'negativeAck', fromMs, { group, attempt })
      const untilMs = changed.invisibleUntilMs
      known.held.set(group, { handle: changed, group, isNacked: true, untilMs })
      return
    }
    known.held.delete(group)
    known.done.add(group)
    if (step.do === 'ack') {
      await this.until(this.broker.ack(handle))
      this.#note(known, 'acked', fromMs, { group, attempt })
    } else {
      await this.until(this.broker.deadLetter(handle, 'broken'))
      this.#note(known, 'deadLettered', fromMs, { group })
      this.#born(this.letters, known.messageId, known.isTagged, fromMs)
    }
  }

  async #reset(group: GroupName): Promise<void> {
    this.#expire()
    if (this.broker.groups.find(group) === undefined) return
    const fromMs = this.nowMs
    const to = { at: 'earliest' } as const
    await this.until(this.broker.groups.resetOffsets(group, { topic: 'orders', to }))
    for (const known of this.orders) {
      const wasMet = known.deeds.some((deed) => deed.group === group)
      const isAhead = known.deeds.findLast((deed) => deed.group === group)?.what === 'reset'
      if (wasMet && !isAhead) this.#note(known, 'reset', fromMs, { group })
      known.held.delete(group)
      known.done.delete(group)
    }
  }

  async #endLetters(what: 'redriven' | 'purged'): Promise<void> {
    if (this.broker.groups.find('all') === undefined) return
    const fromMs = this.nowMs
    const { deadLetters } = this.broker
    const ids = new Set(this.letters.map(({ messageId }) => messageId))
    // One by one and the last one first, so that they end where they lie.
    for (const messageId of [...ids].toReversed()) {
      const living = this.letters.filter(
        (letter) => letter.messageId === messageId && letter.deeds.length === 1,
      )
      const ended =
        what === 'purged'
          ? deadLetters.purge('all', [messageId])
          : deadLetters.redrive('all', [messageId])
      await this.until(ended)
      for (const letter of living) {
        this.#note(letter, what, fromMs)
        if (what === 'redriven') this.#born(this.orders, messageId, letter.isTagged, fromMs)
      }
    }
  }

  #expire(): void {
    for (const known of this.orders)
      for (const [group, { untilMs, isNacked, handle }] of known.held) {
        if (untilMs > this.nowMs) continue
        known.held.delete(group)
        const { attempt } = handle
        if (!isNacked)
          known.deeds.push({ what: 'expired', group, attempt, fromMs: untilMs, toMs: untilMs })
      }
  }
}

const told = ({ what, group, attempt }: Deed | TraceStep): string =>
  [what, group, what === 'deadLettered' ? undefined : attempt].filter(Boolean).join(' ')

/** The log cannot always tell whether a lease ended before a reset, or by it. */
const beforeResets = <Told extends Deed | TraceStep>(steps: readonly Told[]): Told[] =>
  steps.filter(({ what }, index) => what !== 'expired' || steps[index + 1]?.what !== 'reset')

const checkLife = (trace: MessageTrace, known: Known): void => {
  const deeds = known.deeds.toSorted((a, b) => a.fromMs - b.fromMs)
  const trimmed = trace.steps.filter(({ what }) => what !== 'trimmed')
  // Groups are independent: what they did at one time may be told in any order.
  for (const group of [undefined, 'all', 'tagged']) {
    const expected = beforeResets(deeds.filter((deed) => deed.group === group))
    const steps = beforeResets(trimmed.filter((step) => step.group === group))
    assert.equal(steps.map(told), expected.map(told), `${known.messageId} ${group ?? ''}`)
    for (const [index, step] of steps.entries()) {
      const { fromMs, toMs } = expected[index] as Deed
      assert.ok(step.atMs <= toMs, `${told(step)} not before ${step.atMs}, was by ${toMs}`)
      const latest = step.notAfterMs ?? step.atMs
      assert.ok(latest >= Math.floor(fromMs), `${told(step)} by ${latest}, was from ${fromMs}`)
    }
  }
}

const checkLives = async (world: World): Promise<void> => {
  const ids = new Set(world.orders.map(({ messageId }) => messageId))
  for (const messageId of ids) {
    const traces = await world.until(world.broker.messages.why(messageId))
    const mine = ({ message }: MessageTrace, topic: string) => message.topic === topic
    for (const [topic, all] of [
      ['orders', world.orders],
      [LETTERS, world.letters],
    ] as const) {
      const expected = all.filter((known) => known.messageId === messageId)
      const found = traces
        .filter((trace) => mine(trace, topic))
        .toSorted((a, b) => a.message.queueOffset - b.message.queueOffset)
      assert.is(found.length, expected.length, `${messageId} in ${topic}`)
      for (const [index, trace] of found.entries()) {
        assert.is(trace.unreadBytes, undefined)
        if (trace.reclaimedBeforeMs === undefined) checkLife(trace, expected[index] as Known)
      }
    }
  }
}

const Why = suite('the life of a message')

Why('is told as it was', async () => {
  const script = fc.array(aStep, { minLength: 4, maxLength: 40, size: 'max' })
  await holds(
    fc.asyncProperty(script, async (steps) => {
      const world = new World()
      await world.open()
      for (const step of steps) await world.run(step)
      await checkLives(world)
      await world.until(world.broker.close())
    }),
    { runs: 80 },
  )
})

const receiveOne = async (world: World, group: string): Promise<ReceiptHandle> => {
  const request = { topic: 'orders', group, filter: tagFilter('*'), batchMax: 1, waitMs: 0 }
  const receiving = world.broker.receive({ ...request, invisibleMs: 600_000 })
  const { deliveries } = await world.until(receiving)
  const [delivery] = deliveries
  assert.ok(delivery)
  return delivery.handle
}

Why('says from when on history was reclaimed', async () => {
  const world = new World()
  await world.open()
  const { broker, lives } = world
  const until = <T>(work: Promise<T>): Promise<T> => world.until(work)
  await world.run({ do: 'send' })
  const handle = await receiveOne(world, 'slow')
  await until(broker.topics.create('noise', { queues: 1, retention: { bytes: 1_000 } }))
  const noise = { body: Buffer.alloc(200), messageId: 'n' }
  for (let count = 0; count < 60; count++) {
    await until(
      broker.append('noise', encodeDraft(noise, { messageId: 'n', bornAtMs: 1, bornHost: '' })),
    )
    await lives.clock.advance(500)
  }
  await lives.clock.advance(10 * tinySettings.upkeepRestMs)
  assert.ok(lives.logged.has('carried forward'), 'the message moved')
  const ackedFromMs = world.nowMs
  await until(broker.ack(handle))
  const [trace] = await until(broker.messages.why('m0'))
  assert.ok(trace?.reclaimedBeforeMs)
  assert.ok(trace.reclaimedBeforeMs <= ackedFromMs)
  assert.is(trace.steps[0]?.what, 'stored')
  assert.is(trace.steps.at(-1)?.what, 'acked')
  await until(broker.close())
})

Why('knows a message that was trimmed, and none that is gone', async () => {
  const world = new World()
  await world.open()
  const { broker } = world
  await world.run({ do: 'send' })
  await world.until(broker.topics.update('orders', { retention: { ageMs: 1_000 } }))
  // A second trim says of the first message, too, that it is below.
  for (let count = 0; count < 2; count++) {
    await world.lives.clock.advance(3 * tinySettings.upkeepRestMs)
    await world.run({ do: 'send' })
  }
  assert.equal(await world.until(broker.messages.byId('m0')), [])
  const [trace] = await world.until(broker.messages.why('m0'))
  assert.equal(
    trace?.steps.map(({ what }) => what),
    ['stored', 'trimmed'],
  )
  const gone = await world.until(broker.messages.why('nothing').catch((error: unknown) => error))
  assert.ok(isBrokerError(gone, 'MESSAGE_NOT_FOUND'))
  await world.until(broker.close())
})

Why('says how much it has not read', async () => {
  const world = new World()
  await world.open()
  for (let count = 0; count < 40; count++) await world.run({ do: 'send' })
  const bounded = { bytesMax: 600 }
  const [trace] = await world.until(world.broker.messages.why('m0', 'orders', bounded))
  assert.ok(trace?.unreadBytes && trace.unreadBytes > 0)
  await world.until(world.broker.close())
})

Why.run()
