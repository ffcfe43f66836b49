import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BrokerMetrics } from '../../../actors/metrics/broker-metrics.ts'
import { brokerDefaults } from '../../../actors/broker/settings.ts'
import { tagFilter } from '../../../model/delivery/filter.ts'
import { encodeDraft, type MessageDraft } from '../../../model/message/encode.ts'
import type { Delivery } from '../../../model/ports.ts'
import { AGroup, codeOf, said } from './a-group.ts'

/** RocketMQ's bugs of pop consumption, as questions; the whole list: docs/corner-cases-pop.md. */
const CornerCases = suite('corner cases of pop')

const offsetsOf = (deliveries: readonly Delivery[]): number[] =>
  deliveries.map(({ message }) => message.queueOffset)

const only = ([delivery]: readonly Delivery[]) => {
  assert.ok(delivery)
  return delivery
}

let sent = 0
const append = (world: AGroup, draft: Partial<MessageDraft>) =>
  world.broker.append(
    'topic',
    encodeDraft(
      { body: 'x', ...draft },
      { messageId: `c${sent++}`, bornAtMs: 1, bornHost: 'here' },
    ),
  )

const lagOf = (world: AGroup): number =>
  world.broker.groups.describe('group').progress.reduce((sum, { lag }) => sum + lag, 0)

CornerCases('#7031: receives at one moment share no message and no handle', async () => {
  const world = await AGroup.open()
  await world.send(20)
  await world.until(world.broker.groups.create('group'))
  const receives = Array.from({ length: 10 }, () => world.waiting({ batchMax: 2 }))
  const batches = await world.until(Promise.all(receives))
  const seals = batches.flat().map(({ handle }) => world.broker.sealHandle(handle))
  assert.is(new Set(seals).size, 20)
  assert.equal(
    offsetsOf(batches.flat()).sort((a, b) => a - b),
    [...Array(20).keys()],
  )
  await world.close()
})

CornerCases('#7724: a message that is gone has no other delivered in its place', async () => {
  const world = await AGroup.open({ upkeepRestMs: 1_000 })
  await world.until(world.broker.topics.update('topic', { retention: { ageMs: 60_000 } }))
  await world.send(2)
  await world.receive({ invisibleMs: 600_000 })
  await world.clock.advance(50_000)
  await world.send(2)
  const later = await world.receive({ invisibleMs: 600_000 })
  assert.equal(offsetsOf(later), [2, 3])
  await world.ack(later.slice(0, 1))
  await world.clock.advance(20_000)
  assert.is(
    world.broker.topics.describe('topic').offsets[0]?.offsetMin,
    2,
    'the first two are gone',
  )
  await world.clock.advance(600_000)
  assert.equal(offsetsOf(await world.receive()), [])
  await world.close()
})

CornerCases('#8479: leases of a deleted topic end with it, and touch no new one', async () => {
  const world = await AGroup.open()
  await world.send(5)
  const old = await world.receive()
  await world.until(world.broker.topics.end('topic'))
  await world.until(world.broker.topics.create('topic', { queues: 1, type: 'MIXED' }))
  await world.send(2)
  const handle = only(old).handle
  assert.is(await codeOf(world.until(world.broker.extend(handle, 0))), 'RECEIPT_HANDLE_EXPIRED')
  await world.ack(old)
  assert.is(said(await world.receive()), '0.1 first, 1.1 first')
  await world.flush()
  await world.powerCut()
  await world.clock.advance(10_000)
  assert.is(said(await world.receive()), '0.2 deadline, 1.2 deadline')
  await world.close()
})

CornerCases('#9956: thousands of changes to one deadline come back at once', async () => {
  const world = await AGroup.open()
  const count = 2_000
  await world.until(Promise.all(Array.from({ length: count }, () => append(world, {}))))
  const held: Delivery[] = []
  while (held.length < count) held.push(...(await world.receive()))
  for (const { handle } of held) await world.broker.extend(handle, 30_000)
  await world.clock.advance(29_999)
  assert.is(said(await world.receive()), '')
  await world.clock.advance(1)
  const begunMs = world.clock.monotonicMs()
  let returned = 0
  for (let round = 0; round < Math.ceil(count / 32); round++)
    returned += (await world.receive()).length
  assert.is(returned, count)
  assert.is(world.clock.monotonicMs(), begunMs)
  await world.close()
})

CornerCases('#10985: a read that fails takes no attempt, and the message comes', async () => {
  const world = await AGroup.open({
    commitLog: { ...brokerDefaults.commitLog, cacheBytes: 0 },
  })
  await world.send(1)
  await world.receive()
  await world.clock.advance(10_000)
  await world.restart()
  world.lives.place.failReads('commit-log', { error: 'EIO', count: 1 })
  assert.is(await codeOf(world.receive()), 'STORE_UNAVAILABLE')
  await world.clock.advance(5_000)
  assert.is(said(await world.receive()), '0.2 deadline')
  await world.close()
})

CornerCases('#3507: no lease ends early, whatever the wall clock does', async () => {
  const world = await AGroup.open()
  await world.send(1)
  const first = only(await world.receive())
  world.clock.jumpWall(3_600_000)
  assert.is(said(await world.receive()), '', 'forward')
  world.clock.jumpWall(-7_200_000)
  await world.clock.advance(9_999)
  assert.is(said(await world.receive()), '', 'backward')
  await world.until(world.broker.ack(first.handle))
  await world.clock.advance(60_000)
  assert.is(said(await world.receive()), '', 'and the handle counted all the while')
  await world.close()
})

CornerCases('#8268, #9339: what a filter takes nothing of moves on, in order or not', async () => {
  for (const messageGroup of ['', 'a']) {
    const world = await AGroup.open()
    for (let index = 0; index < 100; index++)
      await world.until(append(world, { tag: 'red', messageGroup }))
    await world.until(append(world, { tag: 'green', messageGroup }))
    const filter = tagFilter('green')
    const received = await world.receive({ filter })
    assert.equal(offsetsOf(received), [100])
    assert.is(lagOf(world), 1)
    await world.ack(received)
    assert.is(said(await world.receive()), '', 'they are done for the group')
    assert.is(lagOf(world), 0)
    await world.close()
  }
})

CornerCases('#8592: news for a blocked message group neither answer nor spin a poll', async () => {
  const world = await AGroup.open()
  await world.send(1, 'a')
  await world.receive({ invisibleMs: 60_000 })
  const begunMs = world.clock.monotonicMs()
  let answeredMs = 0
  const waiting = world
    .waiting({ waitMs: 20_000 })
    .finally(() => (answeredMs = world.clock.monotonicMs()))
  for (let index = 0; index < 50; index++) {
    await world.until(append(world, { messageGroup: 'a' }))
    await world.clock.advance(100)
  }
  assert.is(answeredMs, 0)
  assert.is(said(await world.until(waiting)), '')
  assert.is(answeredMs - begunMs, 20_000)
  const other = world.waiting({ waitMs: 20_000 })
  await world.until(append(world, { messageGroup: 'b' }))
  assert.equal(offsetsOf(await world.until(other)), [51], 'another group of the queue is free')
  await world.close()
})

CornerCases('#8472: a message on its way while a receive parks wakes it', async () => {
  for (let turns = 0; turns < 12; turns++) {
    const world = await AGroup.open()
    await world.until(world.broker.groups.create('group'))
    world.lives.place.slowWrites('commit-log', 5)
    const begunMs = world.clock.monotonicMs()
    const sending = append(world, {})
    for (let turn = 0; turn < turns; turn++) await Promise.resolve()
    const waiting = world.waiting({ waitMs: 20_000 })
    assert.is(said(await world.until(waiting)), '0.1 first')
    assert.ok(world.clock.monotonicMs() - begunMs <= 10)
    await sending
    await world.close()
  }
})

CornerCases('#6681, #9828: what is given back wakes who waits, at once', async () => {
  const world = await AGroup.open()
  await world.send(1)
  const { handle } = only(await world.receive())
  const waiting = world.waiting({ waitMs: 20_000 })
  await world.clock.advance(1_000)
  const begunMs = world.clock.monotonicMs()
  await world.broker.extend(handle, 0)
  assert.is(said(await world.until(waiting)), '0.2 negativeAck')
  assert.is(world.clock.monotonicMs(), begunMs)
  await world.close()
})

CornerCases('#9187: a handle of a message that is not there is refused', async () => {
  const world = await AGroup.open()
  await world.send(1)
  const { handle } = only(await world.receive())
  for (const wrong of [
    { ...handle, queueOffset: 1 },
    { ...handle, queueOffset: 1_000_000 },
    { ...handle, queueId: 1 },
  ]) {
    const { broker } = world
    assert.is(await codeOf(world.until(broker.extend(wrong, 1))), 'RECEIPT_HANDLE_INVALID')
    assert.is(await codeOf(world.until(broker.ack(wrong))), 'RECEIPT_HANDLE_INVALID')
    assert.is(await codeOf(world.until(broker.deadLetter(wrong, 'x'))), 'RECEIPT_HANDLE_INVALID')
  }
  await world.send(1)
  assert.is(said(await world.receive()), '1.1 first')
  await world.close()
})

CornerCases('#9611: a group without lag says 0', async () => {
  const world = await AGroup.open()
  await world.send(1)
  await world.ack(await world.receive())
  const values = [...new BrokerMetrics(world.broker).samples()]
    .filter(({ labels }) => labels['consumer_group'] === 'group')
    .filter(({ name }) => /_(lag|inflight|ready)_messages$/.test(name))
    .map(({ value }) => value)
  assert.equal(values, [0, 0, 0])
  await world.close()
})

CornerCases('#10229: a reset clears the block of a message group', async () => {
  const world = await AGroup.open()
  await world.send(3, 'a')
  await world.ack(await world.receive({ batchMax: 1 }))
  await world.receive({ batchMax: 1, invisibleMs: 600_000 })
  assert.is(said(await world.receive()), '', 'blocked')
  const to = { at: 'earliest' } as const
  await world.until(world.broker.groups.resetOffsets('group', { topic: 'topic', to }))
  assert.is(said(await world.receive()), '0.1 reset, 1.1 reset, 2.1 first')
  await world.close()
})

CornerCases('#9581: receives that are called off leave nothing behind', async () => {
  const world = await AGroup.open()
  await world.until(world.broker.groups.create('group'))
  await world.clock.advance(10_000)
  const before = world.life.timers
  for (let round = 0; round < 20; round++) {
    const abort = new AbortController()
    const waiting = Array.from({ length: 10 }, () =>
      world.waiting({ waitMs: 20_000, signal: abort.signal }),
    )
    await world.clock.advance(1)
    assert.is(world.broker.lot.parked, 10)
    abort.abort()
    assert.equal((await world.until(Promise.all(waiting))).flat(), [])
    assert.is(world.broker.lot.parked, 0)
  }
  assert.is(world.life.timers, before)
  await world.close()
})

CornerCases.run()
