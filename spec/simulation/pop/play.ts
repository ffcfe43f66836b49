import fc from 'fast-check'
import * as assert from 'uvu/assert'
import { brokerDefaults } from '../../../actors/broker/settings.ts'
import { encodeDraft } from '../../../model/message/encode.ts'
import { AGroup, codeOf } from '../../actors/consumer-group/a-group.ts'
import {
  ack,
  EXPIRED,
  extend,
  gaugesOf,
  type Held,
  type Model,
  type Moment,
  newGroup,
  receive,
  reset,
  send,
  type Step,
  withGroup,
} from './model.ts'

const groupNames = ['one', 'two'] as const
const HELD_MAX = 40
const BYTES_MAX = 1 << 20
/** So small that a crash may fall between any two facts. */
const CHUNKS = { chunkBytes: 256, commitChunksMax: 2 } as const

const group = fc.nat({ max: groupNames.length - 1 })
const pick = fc.oneof(fc.nat({ max: 4 }), fc.nat({ max: HELD_MAX }))
const leaves = fc.constantFrom('torn' as const, 'whole' as const, 'nothing' as const)

const record = <const Type extends string, Fields extends object>(
  type: Type,
  fields: { [Key in keyof Fields]: fc.Arbitrary<Fields[Key]> },
) => fc.record({ type: fc.constant(type), ...fields }) as fc.Arbitrary<{ type: Type } & Fields>

const aCommand = fc.oneof(
  { weight: 10, arbitrary: record('send', { messageGroup: fc.constantFrom('', '', 'a', 'b') }) },
  {
    weight: 16,
    arbitrary: record('receive', {
      group,
      batchMax: fc.constantFrom(1, 2, 32),
      invisibleMs: fc.constantFrom(10_000, 10_000, 40_000),
      attemptId: fc.constantFrom('', '', 'i', 'j'),
    }),
  },
  { weight: 14, arbitrary: record('ack', { pick }) },
  {
    weight: 6,
    arbitrary: record('extend', { pick, ms: fc.constantFrom(0, 0, 10_000, 30_000) }),
  },
  { weight: 2, arbitrary: record('deadLetter', { pick }) },
  {
    weight: 7,
    arbitrary: record('advance', { ms: fc.constantFrom(1, 5, 11, 9_990, 10_000, 40_000) }),
  },
  { weight: 2, arbitrary: record('reset', { group, to: fc.constantFrom(0, 0, 1, 2, 12) }) },
  { weight: 2, arbitrary: record('pause', { group, paused: fc.boolean() }) },
  { weight: 1, arbitrary: record('end', { group }) },
  { weight: 2, arbitrary: record('restart', {}) },
  { weight: 4, arbitrary: record('powerCut', {}) },
  { weight: 2, arbitrary: record('slow', { ms: fc.constantFrom(0, 500) }) },
  { weight: 2, arbitrary: record('fail', { leaves }) },
)

type Command = typeof aCommand extends fc.Arbitrary<infer Value> ? Value : never

export const aScript = fc.array(aCommand, { minLength: 1, maxLength: 80, size: 'max' })

export type Tally = Map<string, number>

/**
 * A broker beside every model that may be true of it. While it lives there is one; a power cut
 * leaves a prefix of what happened since all was last on disk, and each answer tells which.
 */
export class PopWorld {
  readonly #world: AGroup
  readonly #tally: Tally
  #models: readonly Model[]
  /** Whatever may be on disk: the models after each step since all was. */
  #since: Model[] = []
  #held: Held[] = []
  #incarnations = 0
  #sent = 0

  private constructor(world: AGroup, tally: Tally) {
    this.#world = world
    this.#tally = tally
    const empty: Model = { messages: [], groups: [] }
    const groups = groupNames.map(() => newGroup(empty, 0))
    this.#models = [{ ...empty, groups }]
  }

  static async open(tally: Tally): Promise<PopWorld> {
    const commitLog = { ...brokerDefaults.commitLog, ...CHUNKS, bytesMax: BYTES_MAX }
    const world = await AGroup.open({ commitLog })
    const pop = new PopWorld(world, tally)
    for (const name of groupNames) await pop.#createGroup(name)
    return pop
  }

  async run(command: Command): Promise<void> {
    this.#count(command.type)
    await this.#perform(command)
    await this.#world.clock.settle()
    const { log, lot } = this.#world.broker
    if (log.mode === 'writing' && log.unsyncedBytes === 0) this.#since = []
    this.#since.push(...this.#models)
    this.#mustBe('gauges = model', (model) => gaugesOf(model, this.#moment), this.#gauges())
    assert.ok(log.unsyncedBytes <= BYTES_MAX, 'bounded memory: admitted bytes')
    assert.is(lot.parked, 0, 'bounded memory: nobody is left waiting')
  }

  /** All is healed; whatever is not done comes again, and then there is nothing. */
  async finish(): Promise<void> {
    this.#world.lives.place.heal()
    await this.#world.clock.advance(60_000)
    await this.run({ type: 'restart' })
    for (const index of groupNames.keys()) {
      await this.run({ type: 'pause', group: index, paused: false })
      await this.run({ type: 'advance', ms: 40_000 })
      const left = (): number => Number(this.#gauges().split(' ')[index]?.split('/')[1])
      for (let round = 0; left() > 0; round++) {
        assert.ok(round < 200, 'no loss: everything comes in the end')
        const before = this.#held
        this.#held = []
        await this.run({
          type: 'receive',
          group: index,
          ...{ batchMax: 32, invisibleMs: 10_000, attemptId: '' },
        })
        for (let at = 0; at < this.#held.length; at++) await this.run({ type: 'ack', pick: at })
        this.#held = before
      }
    }
    await this.#world.until(this.#world.broker.close())
    assert.is(this.#world.life.timers, 0, 'a closed broker has no timer')
  }

  get #moment(): Moment {
    const { clock, broker } = this.#world
    return { nowMs: clock.monotonicMs(), wallMs: clock.wallMs(), epoch: broker.log.epoch }
  }

  async #perform(command: Command): Promise<void> {
    const world = this.#world
    const { broker } = world
    switch (command.type) {
      case 'send':
        return this.#durably(this.#append(command.messageGroup), (model) =>
          send(model, command.messageGroup),
        )
      case 'receive':
        return this.#receive(command)
      case 'ack': {
        const held = this.#pick(command.pick)
        if (held === undefined) return
        this.#mayRestore(held)
        const answer = await this.#atOnce(codeOf(broker.ack(held.handle)))
        return this.#is('ack', answer, (model, moment) => ack(model, held, moment))
      }
      case 'extend':
        return this.#extend(command.pick, command.ms)
      case 'deadLetter':
        return this.#deadLetter(command.pick)
      case 'advance':
        return world.clock.advance(command.ms)
      case 'reset': {
        const to = { at: 'offset', queueOffset: command.to } as const
        const name = nameOf(command.group)
        return this.#durably(broker.groups.resetOffsets(name, { topic: 'topic', to }), (model) =>
          reset(model, command.group, Math.min(command.to, model.messages.length)),
        )
      }
      case 'pause': {
        const { paused } = command
        return this.#durably(broker.groups.update(nameOf(command.group), { paused }), (model) => {
          const known = model.groups[command.group]
          assert.ok(known)
          return withGroup(model, command.group, { ...known, isPaused: paused })
        })
      }
      case 'end':
        return this.#end(command.group)
      case 'restart':
        world.lives.place.heal()
        await world.clock.advance(20_000)
        return world.restart()
      case 'powerCut': {
        this.#models = distinct([...this.#since, ...this.#models])
        this.#count(this.#models.length > 1 ? 'a cut among several steps' : 'a cut after a flush')
        world.lives.place.heal()
        return world.powerCut()
      }
      case 'slow':
        return world.lives.place.slowWrites('commit-log', command.ms)
      case 'fail': {
        const fault = { error: 'EIO', leaves: command.leaves, count: 1 } as const
        return world.lives.place.failWrites('commit-log', fault)
      }
    }
  }

  async #append(messageGroup: string): Promise<unknown> {
    const messageId = `m${this.#sent++}`
    const about = { messageId, bornAtMs: 1, bornHost: 'here' }
    return this.#world.broker.append('topic', encodeDraft({ body: 'x', messageGroup }, about))
  }

  async #receive(command: Extract<Command, { type: 'receive' }>): Promise<void> {
    const { group: index, batchMax, invisibleMs, attemptId } = command
    const asked = { group: nameOf(index), batchMax, invisibleMs }
    const answer = this.#world.waiting(attemptId === '' ? asked : { ...asked, attemptId })
    const code = await this.#atOnce(codeOf(answer))
    if (code === 'THROTTLED') {
      assert.is.not(this.#world.broker.log.mode, 'writing', 'a receive is throttled for a reason')
      return this.#count('receive throttled')
    }
    assert.is(code, 'done')
    const deliveries = await answer
    const given = deliveries
      .map(({ message, attempt }) => `${message.queueOffset}.${attempt}`)
      .join(' ')
    this.#is('receive', given, (model, moment) => receive(model, index, command, moment))
    for (const { handle } of deliveries)
      this.#held.unshift({ group: index, incarnation: handle.groupId, handle })
    this.#held.length = Math.min(this.#held.length, HELD_MAX)
    if (deliveries.length > 0) this.#count('received')
  }

  async #extend(at: number, ms: number): Promise<void> {
    const held = this.#pick(at)
    if (held === undefined) return
    this.#mayRestore(held)
    const extending = this.#world.broker.extend(held.handle, ms)
    const answer = await this.#atOnce(codeOf(extending))
    this.#is('extend', answer, (model, moment) => extend(model, held, ms, moment))
    if (answer !== 'done') return
    const handle = await extending
    this.#held = this.#held.map((each) => (each === held ? { ...held, handle } : each))
  }

  async #deadLetter(at: number): Promise<void> {
    const held = this.#pick(at)
    if (held === undefined) return
    const moment = this.#moment
    const restored = this.#mayRestore(held)
    const { broker } = this.#world
    const answer = await this.#world.until(codeOf(broker.deadLetter(held.handle, 'unreadable')))
    if (['STORE_UNAVAILABLE', 'THROTTLED'].includes(answer)) {
      this.#models = distinct([...this.#models, ...restored])
      return this.#count('dead letter refused')
    }
    this.#is('dead letter', answer, (model) => ack(model, held, moment))
    this.#count('dead letter')
  }

  /**
   * A handle of a lease that a crash has lost gives it back first, as a fact of its own: behind
   * it a crash may fall, or what was asked may fail.
   */
  #mayRestore(held: Held): readonly Model[] {
    const moment = this.#moment
    const { generation, invisibleUntilMs } = held.handle
    const before = { ...held, handle: { ...held.handle, generation: generation - 1 } }
    const untilMs = invisibleUntilMs - moment.wallMs
    const restored = this.#models.map((model) => extend(model, before, untilMs, moment).model)
    this.#since.push(...restored)
    return restored
  }

  async #end(index: number): Promise<void> {
    const name = nameOf(index)
    const { groups } = this.#world.broker
    if ((await this.#world.until(codeOf(groups.end(name)))) !== 'done') {
      this.#world.lives.place.heal()
      await this.#world.clock.advance(20_000)
      await this.#world.until(codeOf(groups.end(name)))
    }
    await this.#createGroup(name)
  }

  async #createGroup(name: string): Promise<void> {
    const { groups } = this.#world.broker
    const options = { attemptsMax: 1_000 }
    if ((await this.#world.until(codeOf(groups.create(name, options)))) !== 'done') {
      this.#world.lives.place.heal()
      await this.#world.clock.advance(20_000)
      await this.#world.until(groups.create(name, options))
    }
    const index = groupNames.indexOf(name as (typeof groupNames)[number])
    const incarnation = groups.find(name)?.groupId ?? 0
    assert.ok(incarnation > this.#incarnations, 'no incarnation is used twice')
    this.#incarnations = incarnation
    this.#models = this.#models.map((model) =>
      withGroup(model, index, newGroup(model, incarnation)),
    )
    this.#since = []
  }

  // ——— what must hold

  /** Receives, acks and extensions wait for no disk. */
  async #atOnce<Answer>(answer: Promise<Answer>): Promise<Answer> {
    const begunMs = this.#world.clock.monotonicMs()
    const given = await this.#world.until(answer)
    assert.is(this.#world.clock.monotonicMs(), begunMs, 'nothing buffered waits for the disk')
    return given
  }

  /** Answered when on disk, and then so is everything before. A refusal says it did not happen. */
  async #durably(answer: Promise<unknown>, change: (model: Model) => Model): Promise<void> {
    const code = await this.#world.until(codeOf(answer))
    if (code !== 'done') {
      assert.ok(['STORE_UNAVAILABLE', 'THROTTLED'].includes(code), code)
      return this.#count('refused')
    }
    this.#models = this.#models.map(change)
    this.#since = []
  }

  #is(what: string, answer: string, predict: (model: Model, moment: Moment) => Step): void {
    const moment = this.#moment
    const steps = this.#models.map((model) => predict(model, moment))
    const right = steps.filter((step) => step.answer === answer)
    const expected = distinctTexts(steps.map((step) => step.answer))
    assert.ok(right.length > 0, `${what}: ${answer || 'nothing'}, not ${expected}`)
    this.#models = distinct(right.map(({ model }) => model))
    this.#count(`${what}: ${answer === EXPIRED ? 'refused' : answer === '' ? 'nothing' : 'done'}`)
  }

  #mustBe(what: string, of: (model: Model) => string, is: string): void {
    const right = this.#models.filter((model) => of(model) === is)
    const expected = distinctTexts(this.#models.map(of))
    assert.ok(right.length > 0, `${what}: ${is}, not ${expected}`)
    this.#models = right
  }

  #gauges(): string {
    const { broker } = this.#world
    const visible = broker.topics.describe('topic').offsets[0]?.offsetMax ?? 0
    return groupNames
      .map((name) => {
        const [progress] = broker.groups.describe(name).progress
        return `${progress?.inFlight ?? 0}/${progress?.lag ?? visible}`
      })
      .join(' ')
  }

  #pick(at: number): Held | undefined {
    return this.#held.length === 0 ? undefined : this.#held[at % this.#held.length]
  }

  #count(what: string): void {
    this.#tally.set(what, (this.#tally.get(what) ?? 0) + 1)
  }
}

const nameOf = (index: number): string => groupNames[index % groupNames.length] as string

const distinctTexts = (texts: readonly string[]): string =>
  [...new Set(texts)].map((text) => text || 'nothing').join(' or ')

const distinct = (models: readonly Model[]): Model[] => [
  ...new Map(models.map((model) => [JSON.stringify(model), model])).values(),
]
