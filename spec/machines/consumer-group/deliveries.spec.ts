import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  decideAck,
  decideExtend,
  heldSlot,
} from '../../../machines/consumer-group/deliveries.decider.ts'
import { Deliveries, leaseState } from '../../../machines/consumer-group/deliveries.ts'
import { planReceive } from '../../../machines/consumer-group/receive.decider.ts'
import type { DeliveriesState } from '../../../model/delivery/facts.ts'
import type { ReceiptHandle } from '../../../model/delivery/receipt-handle.ts'
import { isBrokerError } from '../../../model/errors.ts'
import { holds } from '../../support/property.ts'

/**
 * The oracle: one record per offset in a plain array, and a clock. It knows neither slots nor
 * runs nor `next`; an offset that was never delivered is simply `new`.
 */
interface Message {
  readonly group: number
  state: 'new' | 'leased' | 'acked' | 'dead'
  attempt: number
  generation: number
  untilMs: number
}

const ATTEMPTS_MAX = 3
const lease1 = { epoch: 1, clientId: '' }
const LEASE_MS = 10
const QUEUE = 24

type Step =
  | { type: 'receive'; batchMax: number; wanted: number }
  | { type: 'ack'; pick: number }
  | { type: 'extend'; pick: number; ms: number }
  | { type: 'advance'; ms: number }
  | { type: 'arrive'; count: number }
  | { type: 'reset'; next: number }
  | { type: 'flush' }
  | { type: 'restart' }
  /** What was not flushed is forgotten; who holds a handle keeps it. */
  | { type: 'crash' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('receive' as const),
      batchMax: fc.integer({ min: 1, max: 5 }),
      // A filter as a bit mask over the offset modulo 3.
      wanted: fc.constantFrom(7, 7, 7, 5, 1),
    }),
  },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('ack' as const), pick: fc.nat(40) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('extend' as const),
      pick: fc.nat(40),
      ms: fc.constantFrom(0, 5, 10, 20),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('advance' as const),
      ms: fc.constantFrom(1, 5, 9, 10),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('arrive' as const),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('reset' as const), next: fc.nat(QUEUE) }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('flush' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('crash' as const) }) },
)

const histories = fc.record({
  groups: fc.array(fc.nat(3), { minLength: QUEUE, maxLength: QUEUE }),
  isOrdered: fc.boolean(),
  unackedMax: fc.constantFrom(4, 100),
  steps: fc.array(step, { maxLength: 60, size: '+1' }),
})

class Run {
  deliveries = new Deliveries()
  messages: Message[]
  readonly handles: ReceiptHandle[] = []
  /** As somebody really holds it, by offset: a crash does not change that. */
  readonly newest = new Map<number, ReceiptHandle>()
  /** Offsets of which a crash has lost something, until they are delivered again. */
  readonly lost = new Set<number>()
  kept: { state: DeliveriesState; messages: Message[] }
  epoch = 1
  resets = 0
  readonly isOrdered: boolean
  readonly unackedMax: number
  nowMs = 1_000
  end = 0

  constructor({
    groups,
    isOrdered,
    unackedMax,
  }: { groups: number[]; isOrdered: boolean; unackedMax: number }) {
    this.isOrdered = isOrdered
    this.unackedMax = unackedMax
    this.messages = groups.map((group) => ({
      group: isOrdered ? group : 0,
      state: 'new',
      attempt: 0,
      generation: 0,
      untilMs: 0,
    }))
    this.kept = this.snapshot()
  }

  snapshot() {
    return { state: this.deliveries.state(0), messages: structuredClone(this.messages) }
  }

  get now() {
    return { wallMs: this.nowMs, monotonicMs: this.nowMs }
  }

  take(stepped: Step): void {
    switch (stepped.type) {
      case 'arrive':
        this.end = Math.min(QUEUE, this.end + stepped.count)
        return
      case 'advance':
        this.nowMs += stepped.ms
        return
      case 'flush':
        this.kept = this.snapshot()
        return
      case 'restart':
        this.kept = this.snapshot()
        this.start()
        return
      case 'crash':
        this.messages.forEach((message, offset) => {
          if (!isDeepStrictEqual(message, this.kept.messages[offset])) this.lost.add(offset)
        })
        this.start()
        return
      case 'reset':
        this.reset(Math.min(stepped.next, this.end))
        return
      case 'receive':
        this.receive(stepped.batchMax, stepped.wanted)
        return
      case 'ack':
        this.ack(this.handles[stepped.pick])
        return
      case 'extend':
        this.extend(this.handles[stepped.pick], stepped.ms)
        return
    }
  }

  start(): void {
    this.deliveries = new Deliveries()
    this.deliveries.restore(this.kept.state, { skewMs: 0 })
    this.messages = structuredClone(this.kept.messages)
    this.epoch++
  }

  /** Durable, so all before it is on disk, too. */
  reset(next: number): void {
    this.deliveries.fold({ type: 'reset', next }, { skewMs: 0 })
    this.resets++
    this.lost.clear()
    this.messages.forEach((message, offset) => {
      message.state = offset < next ? 'acked' : 'new'
      message.attempt = 0
      message.generation = 0
      message.untilMs = 0
    })
    this.kept = this.snapshot()
  }

  isOut(message: Message): boolean {
    return message.state === 'leased' && message.untilMs > this.nowMs
  }

  receive(batchMax: number, wanted: number): void {
    const { deliveries } = this
    deliveries.expire(this.nowMs, () => undefined)
    const plan = planReceive(
      deliveries,
      {
        offsetMax: this.end,
        isOrdered: this.isOrdered,
        look: (offset) => ((wanted >> (offset % 3)) & 1 ? 'take' : 'skip'),
        groupHash: (offset) => this.messages[offset]?.group ?? 0,
      },
      { batchMax, unackedMax: this.unackedMax, attemptsMax: ATTEMPTS_MAX, scanMax: 8 },
    )
    const unackedBefore = deliveries.unacked
    assert.not(plan.isIncomplete)
    assert.ok(plan.offsets.length <= batchMax)
    for (const offset of plan.exhausted) this.exhaust(offset)
    if (plan.skipped.length > 0) {
      const before = this.messages.map(({ state }) => state)
      deliveries.fold({ type: 'acked', runs: plan.skipped }, { skewMs: 0 })
      for (let index = 0; index < plan.skipped.length; index += 2)
        for (let count = 0; count < (plan.skipped[index + 1] as number); count++) {
          const offset = (plan.skipped[index] as number) + count
          assert.not(this.isOut(this.messages[offset] as Message), 'filtered a leased message')
          assert.is.not(before[offset], 'acked')
          ;(this.messages[offset] as Message).state = 'acked'
        }
    }
    for (const offset of plan.offsets) this.checkDeliverable(offset, plan.offsets)
    const invisibleUntilMs = this.nowMs + LEASE_MS
    deliveries.fold(
      {
        type: 'leased',
        runs: plan.leases,
        invisibleUntilMs,
        autoRenew: false,
        attemptId: '',
        epoch: this.epoch,
        clientId: '',
      },
      { skewMs: 0 },
    )
    for (const offset of plan.offsets) {
      const message = this.messages[offset] as Message
      message.state = 'leased'
      message.attempt++
      message.generation = 0
      message.untilMs = invisibleUntilMs
      const { attempt, generation } = message
      const { epoch, resets } = this
      const ids = { topicId: 1, groupId: 2, queueId: 0, epoch, resets }
      this.lost.delete(offset)
      this.give({ ...ids, queueOffset: offset, attempt, generation, invisibleUntilMs })
    }
    // Near the bound, what a message group holds back takes room, too, and may hide others; and
    // what is on its way to the dead letters still blocks its group.
    const isBounded =
      this.unackedMax < QUEUE && (this.isOrdered || unackedBefore >= this.unackedMax)
    const isSure = !plan.hasMore && plan.exhausted.length === 0 && !isBounded
    if (plan.offsets.length === 0 && isSure) this.checkNothingLeft(wanted)
  }

  exhaust(offset: number): void {
    const message = this.messages[offset] as Message
    assert.is(message.attempt, ATTEMPTS_MAX)
    assert.not(this.isOut(message))
    const slot = this.deliveries.table.find(offset)
    this.deliveries.holdForDeadLetter(slot)
    this.deliveries.fold({ type: 'acked', runs: [offset, 1] }, { skewMs: 0 })
    message.state = 'dead'
  }

  checkDeliverable(offset: number, batch: readonly number[]): void {
    const message = this.messages[offset] as Message
    assert.ok(offset < this.end, 'delivered what is not visible')
    assert.ok(message.state === 'new' || message.state === 'leased', `delivered ${message.state}`)
    assert.not(this.isOut(message), 'delivered early')
    if (message.group === 0) return
    this.messages.slice(0, offset).forEach((earlier, at) => {
      if (earlier.group !== message.group) return
      const isDone = earlier.state === 'acked' || earlier.state === 'dead'
      assert.ok(isDone || batch.includes(at), `${offset} overtook ${at} of its message group`)
    })
  }

  /** An empty answer hides nothing that could have been delivered. */
  checkNothingLeft(wanted: number): void {
    const blocked = new Set<number>()
    this.messages.slice(0, this.end).forEach((message, offset) => {
      const isDone = message.state === 'acked' || message.state === 'dead'
      if (isDone) return
      const isFree = !this.isOut(message) && !(message.group !== 0 && blocked.has(message.group))
      if (message.group !== 0) blocked.add(message.group)
      if (isFree && message.attempt < ATTEMPTS_MAX && (wanted >> (offset % 3)) & 1)
        assert.unreachable(`offset ${offset} was hidden`)
    })
  }

  give(handle: ReceiptHandle): void {
    this.handles.push(handle)
    this.newest.set(handle.queueOffset, handle)
  }

  /**
   * The newest handle counts, for as long as it says. Of an older one nobody can say when a crash
   * has lost what came after it: then it may be taken for the newest.
   */
  isHonoured(handle: ReceiptHandle): boolean | 'maybe' {
    const { queueOffset, invisibleUntilMs, resets } = handle
    const { state } = this.messages[queueOffset] as Message
    const isOpen = state === 'new' || state === 'leased'
    if (!isOpen || resets !== this.resets || invisibleUntilMs <= this.nowMs) return false
    if (this.newest.get(queueOffset) === handle) return true
    return this.lost.has(queueOffset) ? 'maybe' : false
  }

  ack(handle: ReceiptHandle | undefined): void {
    if (handle === undefined) return
    const message = this.messages[handle.queueOffset] as Message
    this.deliveries.expireAt(handle.queueOffset, this.nowMs, () => undefined)
    const outcome = attempt(() => decideAck(this.deliveries, handle, this.now))
    if (message.state === 'acked' || message.state === 'dead') {
      assert.is(outcome, undefined, 'acknowledging twice is harmless')
      return
    }
    const isHonoured = this.isHonoured(handle)
    if (isHonoured !== 'maybe') assert.is(outcome !== 'expired', isHonoured)
    if (outcome === 'expired' || outcome === undefined) return
    this.deliveries.fold(outcome, { skewMs: 0 })
    message.state = 'acked'
  }

  extend(handle: ReceiptHandle | undefined, ms: number): void {
    if (handle === undefined) return
    const message = this.messages[handle.queueOffset] as Message
    this.deliveries.expire(this.nowMs, () => undefined)
    const fact = attempt(() =>
      decideExtend(this.deliveries, handle, { invisibleMs: ms, cause: 'negativeAck' }, this.now),
    )
    const isHonoured = this.isHonoured(handle)
    if (isHonoured !== 'maybe') assert.is(fact !== 'expired', isHonoured)
    if (fact === 'expired') return
    this.deliveries.fold(fact, { skewMs: 0 })
    const { generation, invisibleUntilMs } = fact
    message.state = 'leased'
    message.attempt = handle.attempt
    message.generation = generation
    message.untilMs = invisibleUntilMs
    this.give({ ...handle, generation, invisibleUntilMs })
  }

  /** Sizes and floor, counted the slow way. */
  check(): void {
    const { deliveries } = this
    const open = (message: Message) => message.state === 'new' || message.state === 'leased'
    const leased = this.messages.filter(({ state }) => state === 'leased').length
    assert.is(this.messages.slice(0, deliveries.next).filter(open).length, deliveries.unacked)
    assert.ok(this.messages.slice(deliveries.next).every(({ state }) => state === 'new'))
    const first = this.messages.findIndex(open)
    assert.is(deliveries.floor, Math.min(first < 0 ? QUEUE : first, deliveries.next))
    assert.ok(deliveries.inFlight <= leased)
    assert.ok(deliveries.table.capacity <= Math.max(64, deliveries.unacked * 8))
  }
}

const attempt = <Result>(decide: () => Result): Result | 'expired' => {
  try {
    return decide()
  } catch (error) {
    if (isBrokerError(error, 'RECEIPT_HANDLE_EXPIRED')) return 'expired'
    throw error
  }
}

const DeliveriesSpec = suite('deliveries')

DeliveriesSpec('behave as an array of messages with deadlines, also across restarts', () =>
  holds(
    fc.property(histories, ({ steps, ...world }) => {
      const run = new Run(world)
      for (const stepped of steps) {
        run.take(stepped)
        run.check()
      }
    }),
    { runs: 1_000 },
  ),
)

DeliveriesSpec('hold the floor, never the queue, for a message in a long back-off', () => {
  const deliveries = new Deliveries()
  const context = { skewMs: 0 }
  const lease = (runs: number[], untilMs: number) =>
    deliveries.fold(
      {
        type: 'leased',
        runs,
        invisibleUntilMs: untilMs,
        autoRenew: false,
        attemptId: '',
        ...lease1,
      },
      context,
    )
  lease([0, 1, 1], 7_200_000)
  for (let offset = 1; offset < 50_000; offset += 100) {
    lease([offset, 100, 1], 1_000)
    deliveries.fold({ type: 'acked', runs: [offset, 100] }, context)
  }
  assert.is(deliveries.floor, 0)
  assert.is(deliveries.unacked, 1)
  assert.ok(deliveries.table.capacity <= 512, `${deliveries.table.capacity} slots for one message`)
})

DeliveriesSpec('renew a lease in place: the first handle still counts', () => {
  const deliveries = new Deliveries()
  deliveries.fold(
    {
      type: 'leased',
      runs: [0, 1, 1],
      invisibleUntilMs: 60,
      autoRenew: true,
      attemptId: '',
      ...lease1,
    },
    { skewMs: 0, sessionOf: () => 7 },
  )
  deliveries.expire(60, () => 120)
  const ids = { topicId: 1, groupId: 2, queueId: 0, epoch: 1, resets: 0 }
  const handle = { ...ids, queueOffset: 0, attempt: 1, generation: 0, invisibleUntilMs: 60 }
  assert.is(heldSlot(deliveries, handle, { wallMs: 100, monotonicMs: 100 }), 0)
  const fact = decideAck(deliveries, handle, { wallMs: 100, monotonicMs: 100 })
  assert.equal(fact, { type: 'acked', runs: [0, 1] })
})

DeliveriesSpec('give a client’s own deadline precedence over renewal', () => {
  const deliveries = new Deliveries()
  const context = { skewMs: 0, sessionOf: () => 7 }
  deliveries.fold(
    {
      type: 'leased',
      runs: [0, 1, 1],
      invisibleUntilMs: 60,
      autoRenew: true,
      attemptId: '',
      ...lease1,
    },
    context,
  )
  const cause = 'negativeAck' as const
  const change = {
    queueOffset: 0,
    attempt: 1,
    generation: 1,
    invisibleUntilMs: 10,
    cause,
    epoch: 1,
  }
  deliveries.fold({ type: 'extended', ...change }, context)
  deliveries.expire(10, (slot) => (deliveries.table.autoRenew[slot] === 1 ? 120 : undefined))
  assert.is(deliveries.available, 1)
})

DeliveriesSpec(
  'take an acknowledgement whose lease a crash has lost, in time and only then',
  () => {
    const handle = {
      topicId: 1,
      groupId: 2,
      queueId: 0,
      queueOffset: 3,
      attempt: 1,
      generation: 0,
      invisibleUntilMs: 100,
      epoch: 1,
      resets: 0,
    }
    const lost = new Deliveries()
    const fact = decideAck(lost, handle, { wallMs: 99, monotonicMs: 5 })
    assert.equal(fact, { type: 'acked', runs: [3, 1] })
    if (fact) lost.fold(fact, { skewMs: 0 })
    assert.equal([lost.next, lost.unacked, lost.available, lost.floor], [4, 3, 3, 0])
    assert.throws(() => decideAck(new Deliveries(), handle, { wallMs: 100, monotonicMs: 5 }))
  },
)

DeliveriesSpec('remember the batch of an attempt id', () => {
  const deliveries = new Deliveries()
  deliveries.fold(
    {
      type: 'leased',
      runs: [0, 2, 1],
      invisibleUntilMs: 60,
      autoRenew: false,
      attemptId: 'a',
      ...lease1,
    },
    { skewMs: 0 },
  )
  assert.equal(deliveries.offsetsOfAttempt('a'), [0, 1])
  assert.equal(deliveries.offsetsOfAttempt('b'), [])
  assert.is(deliveries.table.state[0], leaseState.leased)
})

DeliveriesSpec.run()
