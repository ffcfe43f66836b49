import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createBroker } from '../../../index.ts'

const HOUR = 3_600_000

const Nack = suite('embedded nack')

Nack('keeps a message away for as long as the group’s retry policy says, by attempt', async () => {
  await using broker = await createBroker({ memory: true })
  await broker.topics.create('orders', { queues: 1 })
  await broker.groups.create('billing', { retry: { kind: 'customized', stepsMs: [0, HOUR] } })
  await broker.send('orders', { body: 'x' })
  const receive = async () => (await broker.receive({ topic: 'orders', group: 'billing' }))[0]
  const first = await receive()
  await first?.nack()
  const second = await receive()
  assert.is(second?.cause, 'negativeAck')
  const refusedAtMs = Date.now()
  await second?.nack()
  const untilMs = second?.handle.invisibleUntilMs ?? 0
  assert.ok(untilMs >= refusedAtMs + HOUR, `only ${untilMs - refusedAtMs} ms`)
  assert.is(await receive(), undefined)
  await second?.nack(0)
  assert.is((await receive())?.attempt, 3, 'a delay of its own counts more')
})

Nack.run()
