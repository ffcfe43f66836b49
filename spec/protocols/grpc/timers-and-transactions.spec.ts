import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BrokerError } from '../../../model/errors.ts'
import { aCall, aDoor } from './support/calls.ts'
import { definition, resourceOf, service } from './support/official.ts'
import { aMessage } from './support/requests.ts'
import { codeOf, serve } from './support/serving.ts'

/** What a door does with scheduled messages and transactions: RocketMQ gRPC 4.4, 4.9, 4.11. */
const Door = suite('scheduled messages and transactions at the door')

const { MessageType, TransactionResolution } = definition

const aWorld = () => {
  const world = aDoor()
  world.broker.addTopic('later', 'DELAY')
  world.broker.addTopic('halves', 'TRANSACTION')
  world.broker.addTopic('orders')
  return world
}
type World = ReturnType<typeof aWorld>

const timestampOf = (ms: number) => {
  const system = definition.SystemProperties.deserializeBinary(new Uint8Array([90, 0]))
  const timestamp = system.getDeliveryTimestamp()
  timestamp?.setSeconds(Math.floor(ms / 1_000))
  timestamp?.setNanos((ms % 1_000) * 1_000_000)
  return timestamp
}

const send = async ({ door }: World, ...messages: ReturnType<typeof aMessage>[]) => {
  const request = new service.SendMessageRequest().setMessagesList(messages)
  const reply = await serve('SendMessage', aCall(door), request, service.SendMessageResponse)
  return { code: reply.getStatus()?.getCode(), entries: reply.getEntriesList() }
}

const scheduled = (topic: string, body: string, atMs: number) => {
  const message = aMessage(topic, body)
  message.getSystemProperties()?.setDeliveryTimestamp(timestampOf(atMs))
  return message
}

const half = (topic: string, body: string) => {
  const message = aMessage(topic, body)
  message.getSystemProperties()?.setMessageType(MessageType.TRANSACTION)
  return message
}

const recall = async ({ door }: World, topic: string, handle: string) => {
  const request = new service.RecallMessageRequest()
    .setTopic(resourceOf(topic))
    .setRecallHandle(handle)
  const reply = await serve('RecallMessage', aCall(door), request, service.RecallMessageResponse)
  const { code, message } = reply.getStatus()?.toObject() ?? {}
  return { code, message, messageId: reply.getMessageId() }
}

Door('a scheduled message is answered with a handle to recall it by', async () => {
  const world = aWorld()
  const { code, entries } = await send(
    world,
    scheduled('later', 'x', world.clock.wallMs() + 60_000),
  )
  assert.is(code, 20000)
  const handle = entries[0]?.getRecallHandle() ?? ''
  assert.is(world.broker.scheduled.get(handle)?.deliverAtMs, world.clock.wallMs() + 60_000)
  assert.equal(await recall(world, 'later', handle), {
    code: 20000,
    message: 'OK',
    messageId: 'id of x',
  })
  assert.is(world.broker.scheduled.size, 0)
})

Door('a message whose time has passed is delivered at once, and cannot be recalled', async () => {
  const world = aWorld()
  const { code, entries } = await send(world, scheduled('later', 'x', world.clock.wallMs() - 1))
  assert.equal([code, entries[0]?.getRecallHandle()], [20000, ''])
  assert.is(world.broker.stored.get('later')?.[0]?.type, 'DELAY')
})

Door('the horizon of a door is a setting', async () => {
  const world = aWorld()
  const inTwoDays = scheduled('later', 'x', world.clock.wallMs() + 48 * 3_600_000)
  assert.is((await send(world, inTwoDays)).code, 40012)
  const far = { ...world, door: { ...world.door, deliverAheadMsMax: 48 * 3_600_000 } }
  assert.is((await send(far, inTwoDays)).code, 20000)
})

Door('a topic takes scheduled messages and transactions by its type', async () => {
  const world = aWorld()
  const soon = world.clock.wallMs() + 1
  assert.is((await send(world, scheduled('orders', 'x', soon))).code, 40014)
  assert.is((await send(world, half('orders', 'x'))).code, 40014)
  assert.is((await send(world, scheduled('halves', 'x', soon))).code, 40014)
  assert.is((await send(world, half('later', 'x'))).code, 40014)
})

Door('a recall that came too late, or with a wrong handle, says so', async () => {
  const world = aWorld()
  const late = await recall(world, 'later', 'later m1')
  assert.is(late.code, 50001)
  assert.match(late.message ?? '', 'was delivered already')
  const wrong = await recall(world, 'later', 'other m1')
  assert.is(wrong.code, 50001)
  assert.match(wrong.message ?? '', 'not one of this topic')
})

Door('a recall needs a topic that can hold scheduled messages', async () => {
  const world = aWorld()
  assert.is((await recall(world, 'a b', 'h')).code, 40002)
  assert.is((await recall(world, 'unknown', 'h')).code, 40402)
  assert.is((await recall(world, 'orders', 'h')).code, 40014)
})

Door('a half message is answered with its transaction, and is not in its topic', async () => {
  const world = aWorld()
  const { code, entries } = await send(world, half('halves', 'x'))
  assert.equal([code, entries[0]?.getTransactionId()], [20000, 'transaction of id of x'])
  assert.is(entries[0]?.getMessageId(), 'id of x')
  assert.is(world.broker.stored.get('halves')?.length, 0)
})

const endRequest = (
  topic: string,
  transactionId: string,
  resolution: definition.TransactionResolution,
) =>
  new service.EndTransactionRequest()
    .setTopic(resourceOf(topic))
    .setMessageId('m1')
    .setTransactionId(transactionId)
    .setResolution(resolution)

Door('EndTransaction commits, rolls back, or leaves it as it is', async () => {
  const world = aWorld()
  await send(world, half('halves', 'one'), half('halves', 'two'))
  const end = (id: string, resolution: definition.TransactionResolution) =>
    codeOf('EndTransaction', aCall(world.door), endRequest('halves', id, resolution))
  const { COMMIT, ROLLBACK, TRANSACTION_RESOLUTION_UNSPECIFIED } = TransactionResolution
  assert.is(await end('transaction of id of one', TRANSACTION_RESOLUTION_UNSPECIFIED), 20000)
  assert.equal(world.broker.resolved, [])
  assert.is(await end('transaction of id of one', COMMIT), 20000)
  assert.is(await end('transaction of id of two', ROLLBACK), 20000)
  assert.equal(world.broker.resolved, ['halves m1 commit', 'halves m1 rollback'])
  assert.is(await end('transaction of nobody', COMMIT), 50001)
})

Door('EndTransaction refuses a blank id and an illegal topic', async () => {
  const { door } = aWorld()
  const end = (topic: string, id: string) =>
    codeOf('EndTransaction', aCall(door), endRequest(topic, id, TransactionResolution.COMMIT))
  assert.is(await end('halves', ''), 40008)
  assert.is(await end('halves', ' '), 40008)
  assert.is(await end('a b', 'id'), 40002)
})

Door('a failure of either is told as what it is', async () => {
  const world = aWorld()
  world.broker.failure = new BrokerError('STORE_UNAVAILABLE', { store: 's', operation: 'write' })
  assert.is((await recall(world, 'later', 'later m1')).code, 50001)
  world.broker.failure = new BrokerError('OUTCOME_UNKNOWN', { waitedMs: 1 })
  const request = endRequest('halves', 'id', TransactionResolution.COMMIT)
  assert.is(await codeOf('EndTransaction', aCall(world.door), request), 50401)
})

Door.run()
