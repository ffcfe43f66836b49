import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { AGroup, codeOf, said } from './a-group.ts'

const Offsets = suite('offsets')

Offsets('a reset to the earliest delivers everything again, and says why', async () => {
  const world = await AGroup.open()
  await world.send(4)
  const first = await world.receive({ batchMax: 3 })
  await world.ack(first.slice(0, 2))
  const reset = { topic: 'topic', to: { at: 'earliest' } } as const
  const results = await world.until(world.broker.groups.resetOffsets('group', reset))
  assert.equal(results, [{ queueId: 0, from: 2, to: 0 }])
  assert.is(said(await world.receive()), '0.1 reset, 1.1 reset, 2.1 reset, 3.1 first')
  await world.close()
})

Offsets('a reset ends leases: no handle of before counts, however it is used', async () => {
  const world = await AGroup.open()
  await world.send(3)
  const before = await world.receive()
  const { broker } = world
  const at = (queueOffset: number) =>
    ({ topic: 'topic', queueId: 0, to: { at: 'offset', queueOffset } }) as const
  await world.until(broker.groups.resetOffsets('group', at(1)))
  const [zeroth, second, third] = before.map(({ handle }) => handle)
  assert.ok(zeroth && second && third)
  assert.is(await codeOf(world.until(broker.ack(third))), 'RECEIPT_HANDLE_EXPIRED')
  const again = await world.receive({ batchMax: 1 })
  assert.is(said(again), '1.1 reset')
  assert.is(await codeOf(world.until(broker.ack(second))), 'RECEIPT_HANDLE_EXPIRED')
  assert.is(await codeOf(world.until(broker.extend(second, 0))), 'RECEIPT_HANDLE_EXPIRED')
  const letter = broker.deadLetter(second, 'bad')
  assert.is(await codeOf(world.until(letter)), 'RECEIPT_HANDLE_EXPIRED')
  assert.is(await codeOf(world.until(broker.ack(zeroth))), 'done', 'nothing is left to refuse')
  await world.ack(again)
  assert.is(said(await world.receive()), '2.1 reset')
  await world.close()
})

Offsets('a reset is in force when it is answered, and after any way to start', async () => {
  const world = await AGroup.open()
  await world.send(3)
  await world.ack(await world.receive())
  const to = { at: 'offset', queueOffset: 1 } as const
  await world.until(world.broker.groups.resetOffsets('group', { topic: 'topic', to }))
  await world.powerCut()
  assert.is(said(await world.receive({ batchMax: 1 })), '1.1 reset')
  await world.flush()
  await world.restart()
  assert.is(said(await world.receive({ batchMax: 1 })), '2.1 reset')
  await world.close()
})

Offsets('while a reset waits for the disk nothing is taken, and acks wait for it', async () => {
  const world = await AGroup.open()
  await world.send(3)
  const before = await world.receive({ batchMax: 2 })
  await world.flush()
  world.lives.place.slowWrites('commit-log', 500)
  const to = { at: 'earliest' } as const
  const reset = world.broker.groups.resetOffsets('group', { topic: 'topic', to })
  await world.clock.advance(100)
  assert.is(said(await world.receive()), '', 'neither as before nor as after')
  const handle = before[0]?.handle
  assert.ok(handle)
  const ack = codeOf(world.broker.ack(handle))
  await world.until(reset)
  assert.is(await world.until(ack), 'RECEIPT_HANDLE_EXPIRED')
  assert.is(said(await world.receive()), '0.1 reset, 1.1 reset, 2.1 first')
  await world.close()
})

Offsets('a reset that could not be written did not happen', async () => {
  const world = await AGroup.open()
  await world.send(2)
  await world.ack(await world.receive())
  await world.flush()
  world.lives.place.failWrites('commit-log', { error: 'EIO', leaves: 'nothing', count: 1 })
  const to = { at: 'earliest' } as const
  const reset = world.broker.groups.resetOffsets('group', { topic: 'topic', to })
  assert.is(await codeOf(world.until(reset)), 'STORE_UNAVAILABLE')
  await world.clock.advance(1_000)
  assert.is(said(await world.receive()), '')
  await world.send(1)
  assert.is(said(await world.receive()), '2.1 first')
  await world.close()
})

Offsets('a receive that waits gets what a reset brings back', async () => {
  const world = await AGroup.open()
  await world.send(1)
  await world.ack(await world.receive())
  const waiting = world.receive({ waitMs: 5_000 })
  const to = { at: 'earliest' } as const
  const reset = world.broker.groups.resetOffsets('group', { topic: 'topic', to })
  assert.is(said(await waiting), '0.1 reset')
  await reset
  await world.close()
})

Offsets('a reset to a time goes on with the first message stored at it or after', async () => {
  const world = await AGroup.open()
  await world.until(world.broker.groups.create('group'))
  const times: number[] = []
  for (let index = 0; index < 300; index++) {
    times.push(world.clock.wallMs())
    await world.send(1)
    if (index % 3 === 2) await world.clock.advance(10)
  }
  for (const index of [0, 4, 150, 299]) {
    const timeMs = Math.floor(times[index] as number)
    const to = { at: 'time', timeMs } as const
    await world.until(world.broker.groups.resetOffsets('group', { topic: 'topic', to }))
    const [delivery] = await world.receive({ batchMax: 1 })
    assert.is(delivery?.message.storeAtMs, timeMs)
    assert.is(
      delivery?.message.queueOffset,
      times.findIndex((each) => Math.floor(each) >= timeMs),
    )
  }
  const to = { at: 'time', timeMs: world.clock.wallMs() + 1 } as const
  await world.until(world.broker.groups.resetOffsets('group', { topic: 'topic', to }))
  assert.is(said(await world.receive()), '', 'there is nothing so young')
  await world.close()
})

Offsets('a reset of what does not exist is refused', async () => {
  const world = await AGroup.open()
  await world.until(world.broker.groups.create('group'))
  const { groups } = world.broker
  const to = { at: 'latest' } as const
  const missing = groups.resetOffsets('group', { topic: 'nothing', to })
  assert.is(await codeOf(missing), 'TOPIC_NOT_FOUND')
  assert.is(await codeOf(groups.resetOffsets('nobody', { topic: 'topic', to })), 'GROUP_NOT_FOUND')
  const queue = groups.resetOffsets('group', { topic: 'topic', queueId: 7, to })
  assert.is(await codeOf(queue), 'OFFSET_RESET_ILLEGAL')
  await world.close()
})

Offsets('a group that begins with the latest sees nothing of before, and all since', async () => {
  const world = await AGroup.open({ groupsStartFrom: 'latest' })
  const { broker } = world
  await world.until(broker.topics.update('topic', { queues: 3 }))
  await world.send(4)
  assert.is((await world.receive()).length, 0)
  await world.flush()
  await world.powerCut()
  await world.send(5)
  assert.is((await world.receive()).length, 5, 'whichever queue they went to')
  await world.until(world.broker.topics.update('topic', { queues: 4 }))
  await world.send(4)
  assert.is((await world.receive()).length, 4, 'also of queues that came later')
  await world.close()
})

Offsets('a paused group gets nothing and no error, until it goes on', async () => {
  const world = await AGroup.open()
  const { groups } = world.broker
  await world.until(groups.create('group'))
  await world.send(2)
  const held = await world.receive({ batchMax: 1, invisibleMs: 1_000 })
  await world.until(groups.update('group', { paused: true }))
  const begunMs = world.clock.monotonicMs()
  assert.is(said(await world.receive({ waitMs: 5_000 })), '')
  assert.is(world.clock.monotonicMs() - begunMs, 5_000, 'answered at its deadline')
  assert.is(said(await world.receive()), '')
  await world.restart()
  assert.is(world.broker.groups.describe('group').paused, true)
  const waiting = world.receive({ waitMs: 5_000 })
  const resumed = world.broker.groups.update('group', { paused: false })
  assert.is(said(await waiting), '0.2 deadline, 1.1 first')
  await resumed
  assert.is(held.length, 1)
  await world.close()
})

Offsets('a paused group takes acknowledgements', async () => {
  const world = await AGroup.open()
  await world.send(1)
  const held = await world.receive()
  await world.until(world.broker.groups.update('group', { paused: true }))
  await world.ack(held)
  await world.until(world.broker.groups.update('group', { paused: false }))
  await world.clock.advance(60_000)
  assert.is(said(await world.receive()), '')
  await world.close()
})

Offsets.run()
