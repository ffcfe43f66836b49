import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ReceiptHandle } from '../../../model/delivery/receipt-handle.ts'
import { isBrokerError } from '../../../model/errors.ts'
import { holds } from '../../support/property.ts'
import { AGroup, codeOf, said } from './a-group.ts'

const AckAll = suite('acks of many in one call')

const aStep = fc.oneof(
  fc.record({ type: fc.constant('receive' as const), count: fc.integer({ min: 1, max: 12 }) }),
  fc.record({ type: fc.constant('extend' as const), pick: fc.nat({ max: 40 }) }),
  fc.record({ type: fc.constant('advance' as const), ms: fc.constantFrom(1, 5_000, 10_000) }),
  fc.record({ type: fc.constantFrom('flush' as const, 'powerCut' as const) }),
  fc.record({
    type: fc.constant('ack' as const),
    picks: fc.array(fc.nat({ max: 60 }), { maxLength: 50, size: 'max' }),
  }),
)

type Step = typeof aStep extends fc.Arbitrary<infer Value> ? Value : never

const codesOf = (refusals: readonly unknown[]): string[] =>
  refusals.map((error) => {
    if (error === undefined) return 'done'
    return isBrokerError(error) ? error.code : 'no coded error'
  })

/** What all acks of a script answered, and what is left in the end. */
const played = async (script: readonly Step[], isTogether: boolean): Promise<unknown> => {
  const world = await AGroup.open()
  await world.send(20, 'a')
  await world.send(60)
  const handles: ReceiptHandle[] = []
  const answers: unknown[] = []
  for (const step of script)
    switch (step.type) {
      case 'receive':
        for (const { handle } of await world.receive({ batchMax: step.count })) handles.push(handle)
        break
      case 'extend': {
        const handle = handles[step.pick % handles.length]
        if (handle)
          await world.until(world.broker.extend(handle, 12_000)).then(
            (extended) => handles.push(extended),
            () => undefined,
          )
        break
      }
      case 'advance':
        await world.clock.advance(step.ms)
        break
      case 'flush':
      case 'powerCut':
        await world[step.type]()
        break
      case 'ack': {
        const picked = step.picks.flatMap((pick) => {
          const handle = handles[pick % handles.length]
          if (handle === undefined) return []
          return pick > 57 ? [{ ...handle, queueId: pick }] : [handle]
        })
        if (isTogether) answers.push(codesOf(await world.until(world.broker.ackAll(picked))))
        else {
          const one: string[] = []
          for (const handle of picked) one.push(await codeOf(world.until(world.broker.ack(handle))))
          answers.push(one)
        }
        await world.clock.settle()
      }
    }
  answers.push(world.broker.groups.list().length > 0 && world.broker.groups.describe('group'))
  await world.clock.advance(60_000)
  answers.push(said(await world.receive()), world.broker.groups.describe('group'))
  await world.close()
  return answers
}

AckAll('answer and leave behind what so many acks would', async () => {
  const property = fc.asyncProperty(fc.array(aStep, { maxLength: 25 }), async (script) => {
    assert.equal(await played(script, true), await played(script, false))
  })
  await holds(property, { runs: 40 })
})

AckAll('are one fact of at most 3 bytes a message in a batch of 32', async () => {
  const world = await AGroup.open()
  await world.send(64)
  await world.receive()
  const every = (await world.receive()).map(({ handle }) => handle)
  await world.flush()
  const { log } = world.broker
  const before = log.position
  await world.until(world.broker.ackAll(every))
  assert.ok(log.position - before <= 24, `${log.position - before} bytes for a whole batch`)
  await world.send(64)
  const scattered: ReceiptHandle[] = []
  for (const [index, { handle }] of (await world.receive()).entries())
    if (index % 2 === 0) scattered.push(handle)
  for (const [index, { handle }] of (await world.receive()).entries())
    if (index % 2 === 0) scattered.push(handle)
  await world.flush()
  const middle = log.position
  await world.until(world.broker.ackAll(scattered))
  assert.is(scattered.length, 32)
  assert.ok(log.position - middle <= 32 * 3, `${log.position - middle} bytes for 32 ranges`)
  await world.close()
})

AckAll('with ackFlush sync are answered when they are on disk', async () => {
  const world = await AGroup.open({ ackFlush: 'sync' })
  await world.send(3)
  const handles = (await world.receive()).map(({ handle }) => handle)
  assert.equal(codesOf(await world.until(world.broker.ackAll(handles))), ['done', 'done', 'done'])
  await world.powerCut()
  await world.clock.advance(60_000)
  assert.is(said(await world.receive()), '')
  await world.send(2)
  const more = (await world.receive()).map(({ handle }) => handle)
  world.lives.place.failWrites('commit-log', { error: 'EIO', leaves: 'nothing', count: 1 })
  const refused = codesOf(await world.until(world.broker.ackAll(more)))
  assert.equal(refused, ['STORE_UNAVAILABLE', 'STORE_UNAVAILABLE'])
  await world.clock.advance(1_000)
  await world.close()
})

AckAll.run()
