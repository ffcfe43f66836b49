import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Delivery } from '../../../model/ports.ts'
import { AGroup, codeOf, said } from './a-group.ts'

const renewed = { clientId: 'client', autoRenew: true, invisibleMs: 60_000 }

const countOf = (world: AGroup, cause: Delivery['cause']): number => {
  for (const group of world.broker.state.groups.values())
    if (group.name === 'group') return group.causes.get(cause) ?? 0
  return 0
}

const Leases = suite('leases')

Leases('every redelivery has a cause, and is counted by it', async () => {
  const world = await AGroup.open()
  await world.send(4)
  const first = await world.receive({ batchMax: 2 })
  world.broker.sessions.open('client', 'consumer')
  await world.receive({ ...renewed, batchMax: 1 })
  await world.receive({ batchMax: 1, attemptId: 'a' })
  assert.is(said(await world.receive({ attemptId: 'a' })), '3.1 repeatedAttempt')
  const [, second] = first
  assert.ok(second)
  await world.until(world.broker.extend(second.handle, 0))
  world.broker.sessions.terminate('client')
  await world.clock.advance(1_000)
  assert.is(said(await world.receive({ batchMax: 2 })), '1.2 negativeAck, 2.2 sessionLost')
  await world.clock.advance(9_000)
  assert.is(said(await world.receive({ batchMax: 2 })), '0.2 deadline, 3.2 deadline')
  for (const cause of ['negativeAck', 'sessionLost', 'repeatedAttempt'] as const)
    assert.is(countOf(world, cause), 1, cause)
  assert.is(countOf(world, 'deadline'), 2)
  assert.is(countOf(world, 'first'), 0, 'a first delivery is no redelivery')
  await world.close()
})

Leases('causes outlive a restart, from the index and from the log', async () => {
  for (const end of ['restart', 'powerCut'] as const) {
    const world = await AGroup.open()
    await world.send(1)
    const [delivery] = await world.receive()
    assert.ok(delivery)
    await world.until(world.broker.extend(delivery.handle, 5_000))
    await world.flush()
    await world[end]()
    await world.clock.advance(5_000)
    assert.is(said(await world.receive()), '0.2 negativeAck')
    await world.close()
  }
})

Leases(
  'an unsynced lease is lost in a crash: a handle proves it, and says what it was',
  async () => {
    const world = await AGroup.open()
    await world.send(4)
    const before = await world.receive({ batchMax: 3 })
    await world.powerCut()
    const third = before[2]
    assert.ok(third)
    await world.ack([third])
    assert.is(
      said(await world.receive()),
      '0.1 crashRecovery, 1.1 crashRecovery, 3.1 first',
      'what was read before it was lost with it',
    )
    assert.is(countOf(world, 'crashRecovery'), 2)
    await world.close()
  },
)

Leases('after a crash nobody ends a delivery that somebody else was given since', async () => {
  const world = await AGroup.open()
  await world.send(1)
  const [lost] = await world.receive()
  await world.powerCut()
  const [given] = await world.receive()
  assert.ok(lost && given)
  assert.is(given.attempt, lost.attempt, 'counted anew')
  assert.is(await codeOf(world.until(world.broker.ack(lost.handle))), 'RECEIPT_HANDLE_EXPIRED')
  await world.ack([given])
  await world.close()
})

Leases('a client that comes back in time keeps its leases over a restart', async () => {
  for (const end of ['restart', 'powerCut'] as const) {
    const world = await AGroup.open()
    await world.send(1)
    world.broker.sessions.open('client', 'consumer')
    const held = await world.receive(renewed)
    await world.flush()
    await world[end]()
    await world.clock.advance(29_000)
    world.broker.sessions.open('client', 'consumer')
    await world.clock.advance(200_000)
    assert.is(said(await world.receive()), '', 'renewed')
    await world.ack(held)
    await world.close()
  }
})

Leases('a client that does not come back loses its leases after one grace period', async () => {
  for (const end of ['restart', 'powerCut'] as const) {
    const world = await AGroup.open()
    await world.send(1)
    world.broker.sessions.open('client', 'consumer')
    await world.receive(renewed)
    await world.flush()
    await world[end]()
    assert.is(world.broker.sessions.count, 1)
    const begunMs = world.clock.monotonicMs()
    assert.is(said(await world.receive({ waitMs: 40_000 })), '0.2 sessionLost')
    assert.is(world.clock.monotonicMs() - begunMs, 31_000)
    assert.is(world.broker.sessions.count, 0)
    await world.close()
  }
})

Leases('a client without leases leaves nothing behind', async () => {
  const world = await AGroup.open()
  await world.send(1)
  world.broker.sessions.open('client', 'consumer')
  await world.ack(await world.receive(renewed))
  await world.flush()
  await world.powerCut()
  assert.is(world.broker.sessions.count, 0)
  await world.close()
})

Leases('an attempt gets the same batch, also after a restart and a checkpoint', async () => {
  for (const end of ['restart', 'powerCut'] as const) {
    const world = await AGroup.open()
    await world.send(6, 'a')
    const batch = await world.receive({ batchMax: 3, attemptId: 'one' })
    await world.flush()
    await world[end]()
    const again = await world.receive({ batchMax: 3, attemptId: 'one' })
    assert.equal(
      again.map(({ handle }) => handle),
      batch.map(({ handle }) => handle),
    )
    await world.ack(again.slice(0, 1))
    await world.flush()
    await world[end]()
    const left = await world.receive({ batchMax: 3, attemptId: 'one' })
    assert.is(said(left), '1.1 repeatedAttempt, 2.1 repeatedAttempt', 'what is left of it')
    await world.ack(left)
    assert.is(said(await world.receive({ batchMax: 1, attemptId: 'one' })), '3.1 first')
    await world.close()
  }
})

Leases('an attempt is not given what another was given since', async () => {
  const world = await AGroup.open()
  await world.send(1)
  await world.receive({ attemptId: 'one' })
  await world.clock.advance(10_000)
  assert.is(said(await world.receive({ attemptId: 'two' })), '0.2 deadline')
  assert.is(said(await world.receive({ attemptId: 'one' })), '')
  await world.close()
})

Leases('a retry whose message group is held waits, is served, and keeps its attempt', async () => {
  const world = await AGroup.open()
  await world.send(2, 'a')
  const held = await world.receive({ batchMax: 1, attemptId: 'one' })
  const waiting = world.waiting({ batchMax: 1, attemptId: 'two', waitMs: 9_000 })
  await world.clock.advance(3_000)
  await world.ack(held)
  assert.is(said(await world.until(waiting)), '1.1 first')
  assert.is(said(await world.receive({ attemptId: 'two' })), '1.1 repeatedAttempt')
  await world.close()
})

Leases('a message group goes on when a dead letter is on disk, and not before', async () => {
  const world = await AGroup.open()
  await world.send(2, 'a')
  const [first] = await world.receive({ batchMax: 1 })
  assert.ok(first)
  // The dead-letter topic has to be there, so that nothing but the letter waits for the disk.
  await world.until(world.broker.topics.create('%DLQ%group', { queues: 1 }))
  await world.flush()
  world.lives.place.slowWrites('commit-log', 500)
  const letter = world.broker.deadLetter(first.handle, 'bad')
  await world.clock.advance(400)
  assert.is(said(await world.receive()), '')
  await world.until(letter)
  assert.is(said(await world.receive()), '1.1 first')
  await world.close()
})

Leases('all groups together hold so many messages, and what comes back goes on', async () => {
  const receiver = { unackedMax: 100, unackedTotalMax: 5, scanMax: 100 }
  const world = await AGroup.open({ receiver })
  await world.send(8)
  const held = await world.receive({ batchMax: 3 })
  assert.is((await world.receive({ group: 'other' })).length, 2)
  assert.is(await codeOf(world.receive({ waitMs: 5_000 })), 'THROTTLED')
  await world.ack(held)
  assert.is((await world.receive({ group: 'other', batchMax: 1 })).length, 1)
  await world.clock.advance(10_000)
  assert.is((await world.receive({ group: 'other', batchMax: 3 })).length, 3, 'again')
  await world.restart()
  assert.is(world.broker.state.unacked, 3)
  await world.until(world.broker.groups.end('other'))
  assert.is(world.broker.state.unacked, 0)
  await world.close()
})

Leases('a lease that ends wakes who waits, at its deadline and not before', async () => {
  const world = await AGroup.open()
  await world.send(1)
  const early = world.receive({ waitMs: 60_000, batchMax: 1 })
  await early
  const begunMs = world.clock.monotonicMs()
  const late = await world.receive({ waitMs: 60_000 })
  assert.is(said(late), '0.2 deadline')
  assert.is(world.clock.monotonicMs() - begunMs, 10_000)
  await world.close()
})

Leases('who waited before a lease was granted is woken by its end, too', async () => {
  const world = await AGroup.open()
  await world.until(world.broker.groups.create('group'))
  const waiting = world.waiting({ waitMs: 60_000 })
  const other = world.waiting({ waitMs: 60_000 })
  await world.send(1)
  assert.is(said(await world.until(Promise.race([waiting, other]))), '0.1 first')
  const begunMs = world.clock.monotonicMs()
  const both = await world.until(Promise.all([waiting, other]))
  assert.is(said(both.flat()), '0.1 first, 0.2 deadline')
  assert.is(world.clock.monotonicMs() - begunMs, 10_000)
  await world.close()
})

Leases.run()
