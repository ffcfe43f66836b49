import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { eventually, openDoor } from './support/doors.ts'
import {
  ConsumeResult,
  Producer,
  PushConsumer,
  quiet,
  SimpleConsumer,
} from './support/official-client.ts'

/** The official Node client, unmodified, over real sockets. */
const NodeClient = suite('the official Node client')

type World = Awaited<ReturnType<typeof openDoor>>

const optionsOf = ({ endpoint }: World) => ({
  endpoints: endpoint,
  namespace: '',
  logger: quiet,
})

const aProducer = async (world: World, ...topics: string[]) => {
  const producer = new Producer({ ...optionsOf(world), topics, maxAttempts: 1 })
  await producer.startup()
  return producer
}

const aConsumer = async (world: World, topic: string, expression = '*') => {
  const consumer = new SimpleConsumer({
    ...optionsOf(world),
    consumerGroup: 'group',
    subscriptions: new Map([[topic, expression]]),
    awaitDuration: 5_000,
  })
  await consumer.startup()
  return consumer
}

NodeClient('starts with two topics at once, in spite of its start-up race', async () => {
  const world = await openDoor()
  const startMs = performance.now()
  const producer = await aProducer(world, 'first', 'second')
  assert.ok(performance.now() - startMs < 3_000)
  await producer.shutdown()
  await world.door.close({ drainMs: 1_000 })
})

NodeClient('sends, receives, acks, and sees what it sent', async () => {
  const world = await openDoor()
  const producer = await aProducer(world, 'orders')
  const receipt = await producer.send({
    topic: 'orders',
    tag: 'paid',
    keys: ['k1', 'k2'],
    body: Buffer.from('héllo'),
    properties: new Map([['colour', 'grün']]),
  })
  const consumer = await aConsumer(world, 'orders')
  const [message] = await consumer.receive(10, 15_000)
  if (message === undefined) throw new Error('nothing was received')
  assert.is(message.messageId, receipt.messageId)
  assert.is(receipt.transactionId, receipt.messageId)
  assert.is(receipt.offset, 0)
  assert.is(message.body.toString(), 'héllo')
  assert.is.not(message.corrupted, true)
  assert.equal([message.tag, message.keys], ['paid', ['k1', 'k2']])
  assert.equal([...message.properties], [['colour', 'grün']])
  assert.is(message.deliveryAttempt, 1)
  assert.instance(message.transportDeliveryTimestamp, Date)
  await consumer.ack(message)
  await Promise.all([consumer.shutdown(), producer.shutdown()])
  assert.equal(world.broker.terminated.length, 2)
  await eventually('both streams are closed', () => world.broker.openSessions.size === 0)
  await world.door.close({ drainMs: 1_000 })
})

NodeClient('receives only the tags it asks for', async () => {
  const world = await openDoor()
  const producer = await aProducer(world, 'orders')
  for (const tag of ['paid', 'paid late', 'sent'])
    await producer.send({ topic: 'orders', tag, body: Buffer.from(tag) })
  const consumer = await aConsumer(world, 'orders', 'paid || sent')
  const messages = await consumer.receive(10, 15_000)
  assert.equal(
    messages.map(({ tag }) => tag),
    ['paid', 'sent'],
  )
  await Promise.all([consumer.shutdown(), producer.shutdown()])
  await world.door.close({ drainMs: 1_000 })
})

NodeClient('changes an invisible duration and goes on with the new handle', async () => {
  const world = await openDoor()
  const producer = await aProducer(world, 'orders')
  await producer.send({ topic: 'orders', body: Buffer.from('x') })
  const consumer = await aConsumer(world, 'orders')
  const [message] = await consumer.receive(1, 15_000)
  if (message === undefined) throw new Error('nothing was received')
  await consumer.changeInvisibleDuration(message, 20_000)
  await consumer.ack(message)
  assert.equal(world.broker.extended, [20_000])
  await Promise.all([consumer.shutdown(), producer.shutdown()])
  await world.door.close({ drainMs: 1_000 })
})

NodeClient('is told why: an unknown topic, a delivery time beyond the horizon', async () => {
  const world = await openDoor({}, { autoCreate: false })
  world.broker.addTopic('orders', 'DELAY')
  const producer = await aProducer(world, 'orders')
  const later = { topic: 'orders', body: Buffer.from('x'), delay: 25 * 3_600_000 }
  await assertRejects(producer.send(later), /40012/)
  assert.is(world.broker.stored.get('orders')?.length, 0)
  await assertRejects(producer.send({ topic: 'unknown', body: Buffer.from('x') }), /40402/)
  await producer.shutdown()
  await world.door.close({ drainMs: 1_000 })
})

const assertRejects = async (work: Promise<unknown>, pattern: RegExp): Promise<void> => {
  const error = await work.then(
    () => new Error('it was accepted'),
    (thrown: unknown) => thrown,
  )
  assert.match(String(error), pattern)
}

NodeClient('pushes to a listener, again after a refusal, until it is acked', async () => {
  const world = await openDoor({ longPollingMs: 5_000 })
  const producer = await aProducer(world, 'orders')
  const attempts: (number | undefined)[] = []
  const consumer = new PushConsumer({
    ...optionsOf(world),
    consumerGroup: 'group',
    subscriptions: new Map([['orders', '*']]),
    messageListener: {
      consume: async ({ deliveryAttempt }) => {
        attempts.push(deliveryAttempt)
        return attempts.length < 3 ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS
      },
    },
  })
  await consumer.startup()
  await producer.send({ topic: 'orders', body: Buffer.from('x') })
  await eventually('three attempts', () => attempts.length >= 3)
  const [request] = world.broker.received
  assert.equal([request?.autoRenew, request?.invisibleMs], [true, 60_000])
  assert.ok((request?.attemptId ?? '').length > 0)
  assert.equal(attempts, [1, 2, 3])
  // Its shutdown waits for the poll that is running (RocketMQ gRPC 12.2, 11).
  await consumer.shutdown()
  await producer.shutdown()
  await world.door.close({ drainMs: 1_000 })
})

NodeClient('consumes a FIFO topic in order, and retries before it gives up', async () => {
  const world = await openDoor({ longPollingMs: 5_000 }, { autoCreate: false })
  world.broker.addTopic('steps', 'FIFO', 2)
  world.broker.attemptsMax.set('group', 3)
  const producer = await aProducer(world, 'steps')
  const seen: string[] = []
  const consumer = new PushConsumer({
    ...optionsOf(world),
    consumerGroup: 'group',
    subscriptions: new Map([['steps', '*']]),
    messageListener: {
      consume: async ({ body }) => {
        seen.push(String(body))
        return String(body) === 'bad' ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS
      },
    },
  })
  await consumer.startup()
  for (const text of ['one', 'bad'])
    await producer.send({ topic: 'steps', messageGroup: 'g', body: Buffer.from(text) })
  await eventually('the bad one is dead-lettered', () => world.broker.deadLettered.length === 1)
  assert.equal(seen, ['one', 'bad', 'bad', 'bad'])
  await consumer.shutdown()
  await producer.shutdown()
  await world.door.close({ drainMs: 1_000 })
})

NodeClient.run()
