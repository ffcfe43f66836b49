import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BoundedCache } from '../../../actors/system/bounded-cache.ts'
import { ConsumeQueue } from '../../../actors/topic/consume-queue.ts'
import { BLOCK_UNITS, UNIT_BYTES, type Unit } from '../../../storage/codec/unit-block.ts'
import { holds } from '../../support/property.ts'

const unitOf = (number: number): Unit => ({
  chunk: number * 1000,
  at: number % 7,
  size: 1 + (number % 50),
  tagsCode: number,
  groupHash: number % 3,
})

/** A queue with the storage taken out: the units by offset, and what of them is committed. */
interface Model {
  min: number
  committed: Unit[]
  admitted: Unit[]
  gone: Unit[]
}

/** What the log would say since the last checkpoint, to be placed anew. */
type Fact = { readonly offset: number; readonly unit: Unit } | { readonly min: number }

class Subject {
  readonly index = new Map<number, Buffer>()
  readonly gone: Unit[] = []
  queue: ConsumeQueue
  #kept = { offsetMin: 0, offsetMax: 0, isOrdered: false }
  facts: Fact[] = []
  #numbered = 0

  constructor() {
    this.queue = this.#open(this.#kept)
  }

  next(): Unit {
    return unitOf(++this.#numbered)
  }

  async checkpoint(isWritten: boolean): Promise<void> {
    while (!this.queue.isPrepared) await this.queue.prepareCheckpoint()
    const { puts, removed } = this.queue.checkpoint()
    if (!isWritten) return
    for (const { block, units } of puts) this.index.set(block, Buffer.from(units))
    for (const block of removed) this.index.delete(block)
    this.queue.checkpointed(puts, removed)
    this.#kept = this.queue.bounds
    this.facts = []
  }

  /** From the last checkpoint and what the log says since then. */
  async reopen(): Promise<void> {
    this.queue = this.#open(this.#kept)
    for (const fact of this.facts)
      if ('unit' in fact) await this.queue.place(fact.offset, fact.unit)
      else this.queue.trim(fact.min)
  }

  #open(bounds: { offsetMin: number; offsetMax: number; isOrdered: boolean }): ConsumeQueue {
    return new ConsumeQueue(0, bounds, {
      // Room for one block: every other one evicts it.
      cache: new BoundedCache(BLOCK_UNITS * UNIT_BYTES),
      cacheBase: () => 0,
      read: async (_, block) => this.index.get(block),
      owner: {
        tierStart: () => undefined,
        topicId: 1,
        queueVisible: () => {},
        unitGone: (unit) => this.gone.push(unit),
      },
    })
  }
}

const read = async (queue: ConsumeQueue, offset: number): Promise<Unit> => {
  for (let round = 0; round < 10; round++) {
    const unit = queue.unit(offset)
    if (unit) return unit
    await queue.load(offset)
  }
  throw new Error(`offset ${offset} cannot be read`)
}

type Step =
  | { readonly type: 'append' | 'trim' | 'carry' | 'read'; readonly count: number }
  | { readonly type: 'commit' | 'rollBack' | 'failedCheckpoint' | 'checkpoint' | 'reopen' }

const aStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    type: fc.constantFrom('append' as const, 'append' as const, 'trim' as const),
    count: fc.oneof(fc.nat({ max: 5 }), fc.integer({ min: 100, max: 200 })),
  }),
  fc.record({ type: fc.constantFrom('carry' as const, 'read' as const), count: fc.nat() }),
  fc.record({
    type: fc.constantFrom(
      ...(['commit', 'rollBack', 'failedCheckpoint', 'checkpoint', 'reopen'] as const),
    ),
  }),
)

const run = async (step: Step, model: Model, subject: Subject): Promise<void> => {
  const { queue } = subject
  const end = model.min + model.committed.length
  switch (step.type) {
    case 'append':
      for (let count = 0; count < step.count; count++) {
        const unit = subject.next()
        assert.is(queue.append(unit), end + model.admitted.length)
        model.admitted.push(unit)
      }
      return
    case 'commit':
      model.admitted.forEach((unit, index) => subject.facts.push({ offset: end + index, unit }))
      model.committed.push(...model.admitted)
      model.admitted = []
      queue.commit(model.min + model.committed.length)
      return
    case 'rollBack':
      queue.rollBack()
      model.gone.push(...model.admitted)
      model.admitted = []
      return
    case 'trim': {
      const min = Math.min(end, model.min + step.count)
      queue.trim(min)
      subject.facts.push({ min })
      model.committed.splice(0, min - model.min)
      model.min = min
      return
    }
    case 'carry': {
      if (model.committed.length === 0) return
      const offset = model.min + (step.count % model.committed.length)
      const unit = subject.next()
      await queue.makeWhole(offset)
      queue.repoint(offset, unit)
      subject.facts.push({ offset, unit })
      model.committed[offset - model.min] = unit
      return
    }
    case 'read': {
      if (model.committed.length === 0) return
      const index = step.count % model.committed.length
      assert.equal(await read(queue, model.min + index), model.committed[index])
      return
    }
    case 'failedCheckpoint':
      return subject.checkpoint(false)
    // What is admitted is synced before a checkpoint is written, and before a process ends well.
    case 'checkpoint':
      await run({ type: 'commit' }, model, subject)
      return subject.checkpoint(true)
    case 'reopen':
      await run({ type: 'rollBack' }, model, subject)
      return subject.reopen()
  }
}

const ConsumeQueueSpec = suite('consume queue')

ConsumeQueueSpec('is an array whose start moves, whatever is written, lost or opened anew', () =>
  holds(
    fc.asyncProperty(fc.array(aStep, { maxLength: 40, size: 'max' }), async (script) => {
      const model: Model = { min: 0, committed: [], admitted: [], gone: [] }
      const subject = new Subject()
      for (const step of script) {
        await run(step, model, subject)
        const { offsetMin, offsetMax, admittedEnd } = subject.queue
        const end = model.min + model.committed.length
        assert.equal([offsetMin, offsetMax], [model.min, end])
        assert.is(admittedEnd, end + model.admitted.length)
      }
      assert.equal(subject.gone, model.gone)
      for (const [index, unit] of model.committed.entries())
        assert.equal(await read(subject.queue, model.min + index), unit)
    }),
    { runs: 300 },
  ),
)

ConsumeQueueSpec('leaves no block in the index that is wholly trimmed', () =>
  holds(
    fc.asyncProperty(fc.nat({ max: 600 }), fc.nat({ max: 600 }), async (count, min) => {
      const model: Model = { min: 0, committed: [], admitted: [], gone: [] }
      const subject = new Subject()
      await run({ type: 'append', count }, model, subject)
      await run({ type: 'checkpoint' }, model, subject)
      await run({ type: 'trim', count: min }, model, subject)
      await run({ type: 'checkpoint' }, model, subject)
      const first = Math.floor(model.min / BLOCK_UNITS)
      assert.ok([...subject.index.keys()].every((block) => block >= first))
    }),
    { runs: 50 },
  ),
)

ConsumeQueueSpec('reads again what moved into the index while it was reading', async () => {
  const subject = new Subject()
  const model: Model = { min: 0, committed: [], admitted: [], gone: [] }
  await run({ type: 'append', count: 3 }, model, subject)
  await run({ type: 'checkpoint' }, model, subject)
  await subject.reopen()
  const loading = subject.queue.load(0)
  await run({ type: 'append', count: 1 }, model, subject)
  await run({ type: 'checkpoint' }, model, subject)
  await loading
  assert.equal(await read(subject.queue, 3), unitOf(4))
  assert.equal(await read(subject.queue, 0), unitOf(1))
})

ConsumeQueueSpec.run()
