import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { brokerDefaults } from '../../../actors/broker/settings.ts'
import type { DeliveryFact } from '../../../model/delivery/facts.ts'
import { encodeDraft } from '../../../model/message/encode.ts'
import type { Delivery } from '../../../model/ports.ts'
import { chunkOffsetOf } from '../../../storage/codec/chunk.ts'
import {
  isDeliveryFact,
  readDeliveriesAddress,
  readDeliveryFact,
} from '../../../storage/codec/delivery-fact.ts'
import { recordsOf } from '../../../storage/codec/record.ts'
import { holds } from '../../support/property.ts'
import { AGroup, codeOf, said } from './a-group.ts'

/** The black-box steps of RocketMQ's asynchronous pop storage (core facts, 8.5). */
const StoreTrouble = suite('a group while its store is in trouble')

const progressOf = (world: AGroup, group = 'group') => {
  const [progress] = world.broker.groups.describe(group).progress
  return { inFlight: progress?.inFlight ?? 0, lag: progress?.lag ?? 0 }
}

const handleOf = ([delivery]: readonly Delivery[]) => {
  assert.ok(delivery)
  return delivery.handle
}

/** A message that is on its way to a disk that takes its time. */
const sendUnanswered = (world: AGroup): Promise<unknown> =>
  world.broker.append(
    'topic',
    encodeDraft({ body: 'x' }, { messageId: 'x', bornAtMs: 1, bornHost: 'here' }),
  )

StoreTrouble('1: no receive and no ack waits for a slow disk, nor those of others', async () => {
  const world = await AGroup.open()
  await world.send(200)
  for (const group of ['a', 'b']) await world.until(world.broker.groups.create(group))
  world.lives.place.slowWrites('commit-log', 500)
  const sent = sendUnanswered(world)
  await world.clock.advance(1)
  const begunMs = world.clock.monotonicMs()
  const consume = async (group: string): Promise<void> => {
    const [delivery] = await world.waiting({ group, batchMax: 1 })
    assert.ok(delivery)
    await world.broker.ack(delivery.handle)
  }
  const consumers = Array.from({ length: 100 }, (_, index) => consume(index % 2 ? 'a' : 'b'))
  await world.until(Promise.all(consumers))
  assert.is(world.clock.monotonicMs(), begunMs, 'no time has passed')
  assert.equal(progressOf(world, 'a'), { inFlight: 0, lag: 150 })
  assert.ok(world.broker.log.unsyncedBytes > 0)
  await world.until(sent)
  await world.clock.advance(2_000)
  assert.is(world.broker.log.unsyncedBytes, 0)
  await world.close()
})

StoreTrouble('1: with ackFlush sync they wait for the disk, and for nothing else', async () => {
  const world = await AGroup.open({ ackFlush: 'sync' })
  await world.send(1)
  await world.until(world.broker.groups.create('group'))
  world.lives.place.slowWrites('commit-log', 500)
  const begunMs = world.clock.monotonicMs()
  const received = await world.receive()
  assert.is(world.clock.monotonicMs() - begunMs, 500)
  await world.ack(received)
  assert.is(world.clock.monotonicMs() - begunMs, 1_000)
  await world.powerCut()
  assert.is(said(await world.receive()), '', 'what was answered is on disk')
  await world.close()
})

StoreTrouble('3: a lease that was not written is delivered again, never lost', async () => {
  const world = await AGroup.open()
  await world.send(2)
  assert.is(said(await world.receive({ batchMax: 1 })), '0.1 first')
  await world.flush()
  assert.is(said(await world.receive({ batchMax: 1 })), '1.1 first')
  await world.powerCut()
  assert.is(said(await world.receive()), '1.1 first', 'its lease was not on disk')
  await world.clock.advance(10_000)
  assert.is(said(await world.receive()), '0.2 deadline, 1.2 deadline')
  await world.close()
})

for (const leaves of ['torn', 'whole', 'nothing'] as const)
  StoreTrouble(`3: a lease whose write fails and leaves ${leaves} holds, and is kept`, async () => {
    const world = await AGroup.open()
    await world.send(1)
    await world.until(world.broker.groups.create('group'))
    world.lives.place.failWrites('commit-log', { error: 'EIO', leaves, count: 2 })
    await world.receive()
    await world.clock.advance(5_000)
    assert.is(world.broker.log.mode, 'writing')
    assert.is(said(await world.receive()), '', 'nobody gets it early while the process lives')
    await world.flush()
    await world.powerCut()
    assert.is(said(await world.receive()), '', 'its fact was admitted anew')
    await world.clock.advance(5_000)
    assert.is(said(await world.receive()), '0.2 deadline')
    await world.close()
  })

for (const leaves of ['torn', 'whole', 'nothing'] as const)
  StoreTrouble(`4: an ack whose write fails and leaves ${leaves} is for good`, async () => {
    const world = await AGroup.open()
    await world.send(2)
    const received = await world.receive()
    await world.flush()
    world.lives.place.failWrites('commit-log', { error: 'EIO', leaves, count: 2 })
    await world.ack(received.slice(0, 1))
    await world.clock.advance(5_000)
    assert.equal(progressOf(world), { inFlight: 1, lag: 1 })
    await world.flush()
    await world.powerCut()
    await world.clock.advance(10_000)
    assert.is(said(await world.receive()), '1.2 deadline')
    await world.close()
  })

StoreTrouble(
  '4: an ack that a crash loses is asked for once more, and the gauge ends',
  async () => {
    const world = await AGroup.open()
    await world.send(1)
    const received = await world.receive()
    await world.flush()
    await world.ack(received)
    await world.powerCut()
    assert.equal(progressOf(world), { inFlight: 1, lag: 1 })
    await world.clock.advance(10_000)
    const again = await world.receive()
    assert.is(said(again), '0.2 deadline')
    await world.ack(again)
    assert.equal(progressOf(world), { inFlight: 0, lag: 0 })
    await world.close()
  },
)

StoreTrouble('4: what is in flight ends with its deadline, though nobody looks', async () => {
  const world = await AGroup.open()
  await world.send(3)
  await world.receive({ batchMax: 2 })
  assert.equal(progressOf(world), { inFlight: 2, lag: 3 })
  await world.clock.advance(9_999)
  assert.equal(progressOf(world), { inFlight: 2, lag: 3 })
  await world.clock.advance(1)
  assert.equal(progressOf(world), { inFlight: 0, lag: 3 })
  await world.close()
})

StoreTrouble('5: a full buffer throttles receives, lets acks wait, and grows no more', async () => {
  const commitLog = { ...brokerDefaults.commitLog, bytesMax: 32 << 10, chunkBytes: 4 << 10 }
  const { bytesMax, roomWaitMs } = commitLog
  const world = await AGroup.open({ commitLog })
  await world.send(100)
  const [first, second] = (await world.receive({ batchMax: 2 })).map(({ handle }) => handle)
  assert.ok(first && second)
  await world.flush()
  world.lives.place.hangWrites('commit-log')
  const begunMs = world.clock.monotonicMs()
  let newest = first
  const extendOnce = (): Promise<string> =>
    world.until(codeOf(world.broker.extend(newest, 10_000).then((handle) => (newest = handle))))
  const receiveOnce = () => codeOf(world.receive({ batchMax: 1 }))
  const untilRefused = async (step: () => Promise<string>): Promise<string> => {
    for (let round = 0; round < 5_000; round++) {
      const code = await step()
      if (code !== 'done') return code
    }
    return 'never'
  }
  const both = async () => ((await extendOnce()) === 'done' ? receiveOnce() : 'an ack waits')
  assert.is(await untilRefused(both), 'THROTTLED', 'receives stop where acks still find room')
  assert.is(await extendOnce(), 'done')
  assert.is(world.clock.monotonicMs(), begunMs, 'until then nobody has waited')
  assert.is(await untilRefused(extendOnce), 'THROTTLED')
  assert.is(world.clock.monotonicMs() - begunMs, roomWaitMs, 'the last one has waited for room')
  assert.ok(world.broker.log.unsyncedBytes <= bytesMax)
  const waiting = codeOf(world.broker.ack(second))
  await world.clock.advance(100)
  world.lives.place.heal()
  assert.is(await world.until(waiting), 'done', 'it was waiting for room')
  await world.clock.advance(2_000)
  assert.is(world.broker.log.unsyncedBytes, 0)
  await world.send(1)
  assert.is((await world.receive()).at(-1)?.message.queueOffset, 100, 'all goes on')
  await world.close()
})

StoreTrouble('6: a changed deadline is in place, whatever becomes of its write', async () => {
  const world = await AGroup.open()
  await world.send(1)
  const old = handleOf(await world.receive())
  await world.flush()
  world.lives.place.failWrites('commit-log', { error: 'EIO', leaves: 'torn', count: 1 })
  const changed = await world.until(world.broker.extend(old, 30_000))
  assert.is(await codeOf(world.until(world.broker.ack(old))), 'RECEIPT_HANDLE_EXPIRED')
  await world.clock.advance(5_000)
  await world.flush()
  await world.powerCut()
  await world.clock.advance(24_000)
  assert.is(said(await world.receive()), '', 'the new deadline is on disk')
  await world.until(world.broker.ack(changed))
  await world.clock.advance(60_000)
  assert.is(said(await world.receive()), '')
  await world.close()
})

StoreTrouble('6: a change that a crash loses leaves the lease as it was', async () => {
  const world = await AGroup.open()
  await world.send(2)
  const received = await world.receive()
  await world.flush()
  const [first, second] = received.map(({ handle }) => handle)
  assert.ok(first && second)
  const changed = await world.until(world.broker.extend(first, 30_000))
  await world.until(world.broker.extend(second, 30_000))
  await world.powerCut()
  await world.until(world.broker.ack(changed))
  await world.clock.advance(9_999)
  assert.is(said(await world.receive()), '', 'never earlier than before')
  await world.clock.advance(1)
  assert.is(said(await world.receive()), '1.2 deadline')
  await world.close()
})

StoreTrouble(
  '7: ten taken, five acked, a flush, the other five acked: none comes again',
  async () => {
    const world = await AGroup.open()
    await world.send(10)
    const received = await world.receive()
    await world.ack(received.slice(0, 5))
    await world.flush()
    await world.ack(received.slice(5))
    await world.flush()
    for (const next of ['lives', 'restart', 'powerCut'] as const) {
      if (next !== 'lives') await world[next]()
      await world.clock.advance(60_000)
      assert.is(said(await world.receive()), '', next)
      assert.equal(progressOf(world), { inFlight: 0, lag: 0 })
    }
    await world.close()
  },
)

// ——— 8

/** Every delivery fact of the log, in the order in which it stands there. */
const factsOf = async (world: AGroup): Promise<DeliveryFact[]> => {
  const database = await world.until(world.lives.place.boot().openDatabase('commit-log'))
  const facts: DeliveryFact[] = []
  for (const [key, value] of await world.until(entriesOf(database)))
    for (const { type, version, payload } of recordsOf(value, chunkOffsetOf(key))) {
      if (!isDeliveryFact(type)) continue
      readDeliveriesAddress(payload)
      facts.push(readDeliveryFact(type, payload, version))
    }
  await world.until(database.close())
  return facts
}

const entriesOf = async (
  database: Awaited<ReturnType<ReturnType<AGroup['lives']['place']['boot']>['openDatabase']>>,
): Promise<[Buffer, Buffer][]> => {
  const entries: [Buffer, Buffer][] = []
  for await (const { key, value } of database.entries({}))
    entries.push([Buffer.from(key), Buffer.from(value)])
  return entries
}

/** What is wrong with the order of the facts of one queue. */
const disorderIn = (facts: readonly DeliveryFact[]): string[] => {
  const attempts = new Map<number, number>()
  const done = new Set<number>()
  const wrong: string[] = []
  for (const fact of facts) {
    if (fact.type === 'leased')
      for (let index = 0; index < fact.runs.length; index += 3) {
        const [start = 0, count = 0, attempt = 0] = fact.runs.slice(index, index + 3)
        for (let offset = start; offset < start + count; offset++) {
          if (done.has(offset)) wrong.push(`${offset} is leased after its ack`)
          if (attempt !== (attempts.get(offset) ?? 0) + 1)
            wrong.push(`${offset} has attempt ${attempt} after ${attempts.get(offset)}`)
          attempts.set(offset, attempt)
        }
      }
    if (fact.type === 'extended' && fact.attempt !== attempts.get(fact.queueOffset))
      wrong.push(`${fact.queueOffset} is extended at attempt ${fact.attempt}`)
    if (fact.type !== 'acked') continue
    for (let index = 0; index < fact.runs.length; index += 2) {
      const [start = 0, count = 0] = fact.runs.slice(index, index + 2)
      for (let offset = start; offset < start + count; offset++) {
        if (!attempts.has(offset)) wrong.push(`${offset} is acked before its lease`)
        done.add(offset)
      }
    }
  }
  return wrong
}

const aStep = fc.oneof(
  fc.record({ type: fc.constant('receive' as const), count: fc.integer({ min: 1, max: 8 }) }),
  fc.record({ type: fc.constantFrom('ack', 'extend', 'giveBack'), pick: fc.nat({ max: 20 }) }),
  fc.record({ type: fc.constant('advance' as const), ms: fc.constantFrom(0, 5, 11, 600, 10_000) }),
  fc.record({
    type: fc.constant('fail' as const),
    leaves: fc.constantFrom('torn' as const, 'whole' as const, 'nothing' as const),
  }),
  fc.record({ type: fc.constant('slow' as const), ms: fc.constantFrom(0, 500) }),
)

StoreTrouble('8: in the log a lease stands before its ack, whatever fails or is slow', async () => {
  const small = { chunkBytes: 256, commitChunksMax: 2, bufferedLingerMs: 10 }
  const commitLog = { ...brokerDefaults.commitLog, ...small }
  const property = fc.asyncProperty(
    fc.array(aStep, { maxLength: 60, size: 'max' }),
    async (script) => {
      const world = await AGroup.open({ commitLog })
      await world.send(30)
      await world.until(world.broker.groups.create('group'))
      const held: Delivery[] = []
      const taken = async (work: Promise<unknown>): Promise<void> => {
        const code = await codeOf(world.until(work))
        assert.ok(['done', 'THROTTLED', 'RECEIPT_HANDLE_EXPIRED'].includes(code), code)
      }
      for (const step of script) {
        const handle = 'pick' in step ? held[step.pick % held.length]?.handle : undefined
        if (step.type === 'receive')
          await taken(
            world.waiting({ batchMax: step.count }).then((deliveries) => held.push(...deliveries)),
          )
        else if (step.type === 'advance') await world.clock.advance(step.ms)
        else if (step.type === 'slow') world.lives.place.slowWrites('commit-log', step.ms)
        else if (step.type === 'fail') {
          const { leaves } = step
          world.lives.place.failWrites('commit-log', { error: 'EIO', leaves, count: 1 })
        } else if (handle === undefined) continue
        else if (step.type === 'ack') await taken(world.broker.ack(handle))
        else await taken(world.broker.extend(handle, step.type === 'extend' ? 20_000 : 0))
      }
      world.lives.place.heal()
      await world.clock.advance(10_000)
      await world.flush()
      await world.close()
      world.life.die()
      assert.equal(disorderIn(await factsOf(world)), [])
    },
  )
  await holds(property, { runs: 60 })
})

StoreTrouble.run()
