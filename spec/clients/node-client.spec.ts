import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type GlasspostServer, startServer } from '../../index.ts'
import { definition } from '../protocols/grpc/support/official.ts'
import { ConsumeResult, FilterExpression } from '../protocols/grpc/support/official-client.ts'
import {
  leaveClientsBehind,
  startConsumer,
  startProducer,
  startPushConsumer,
} from '../support/clients.ts'
import { eventually } from '../support/waiting.ts'

/** The official Node client, unmodified, against the whole broker over real sockets. */
const NodeClient = suite('the official Node client and the whole broker')

NodeClient.after(leaveClientsBehind)

const serving = (
  name: string,
  use: (server: GlasspostServer, endpoint: string) => Promise<void>,
  autoCreateTopics = true,
): void => {
  NodeClient(name, async () => {
    await using server = await startServer({ memory: true, grpcPort: 0, autoCreateTopics })
    await use(server, server.grpcAddress)
  })
}

const textOf = ({ body }: { body: Buffer }): string => body.toString('utf8')

serving(
  'starts a producer of two topics, makes them, and gets dense offsets',
  async (server, at) => {
    const producer = await startProducer(at, { topics: ['first', 'second'] })
    for (let index = 0; index < 16; index++)
      await producer.send({ topic: index % 2 ? 'first' : 'second', body: Buffer.from(`${index}`) })
    const { offsets, type } = server.broker.topics.describe('first')
    assert.is(type, 'MIXED')
    assert.equal(
      offsets.map(({ offsetMax }) => offsetMax),
      Array(8).fill(1),
    )
    await producer.shutdown()
  },
)

serving(
  'fails to start a producer of an unknown topic while auto-create is off',
  async (server, at) => {
    await startProducer(at, { topics: ['unknown'] }).then(
      () => assert.unreachable('it started'),
      (error: Error) => assert.match(error.message, /topic routes/),
    )
    assert.equal(server.broker.topics.list(), [])
  },
  false,
)

serving('round-trips body, tag, keys and properties; an ack is for good', async (_, at) => {
  const producer = await startProducer(at, { topics: ['orders'] })
  const properties = new Map([['colour', 'grün']])
  const body = Buffer.from('héllo')
  const sent = await producer.send({
    topic: 'orders',
    tag: 'paid',
    keys: ['a', 'b'],
    body,
    properties,
  })
  const consumer = await startConsumer(at, { topic: 'orders' })
  const [message] = await consumer.receive(8, 10_000)
  assert.ok(message)
  assert.is(textOf(message), 'héllo')
  assert.is(message.messageId, sent.messageId)
  assert.is(message.tag, 'paid')
  assert.equal(message.keys, ['a', 'b'])
  assert.is(message.properties.get('colour'), 'grün')
  assert.is(message.deliveryAttempt, 1)
  await consumer.ack(message)
  await consumer.ack(message)
  assert.equal(await consumer.receive(8, 10_000), [])
  await Promise.all([producer.shutdown(), consumer.shutdown()])
})

serving(
  'tells tags of one hash apart, and filtered messages move the floor',
  async (server, at) => {
    const producer = await startProducer(at, { topics: ['tags'] })
    for (const tag of ['Aa', 'BB', 'Aa', 'BB'])
      await producer.send({ topic: 'tags', tag, body: Buffer.from(tag) })
    const consumer = await startConsumer(at, { topic: 'tags', expression: 'BB' })
    const received: string[] = []
    while (received.length < 2)
      for (const message of await consumer.receive(8, 10_000)) {
        received.push(textOf(message))
        await consumer.ack(message)
      }
    assert.equal(received, ['BB', 'BB'])
    const lag = () =>
      server.broker.groups.describe('group').progress.reduce((sum, each) => sum + each.lag, 0)
    assert.is(lag(), 0)
    await Promise.all([producer.shutdown(), consumer.shutdown()])
  },
)

const { SQL } = definition.FilterType

serving(
  'matches SQL92 on properties, and what does not match moves the floor',
  async (server, at) => {
    const producer = await startProducer(at, { topics: ['priced'] })
    for (const [price, colour] of ['5 red', '12.5 red', 'cheap red', '30 blue'].map((each) =>
      each.split(' '),
    ))
      await producer.send({
        topic: 'priced',
        body: Buffer.from(`${price}`),
        properties: new Map(Object.entries({ price, colour } as Record<string, string>)),
      })
    const expression = new FilterExpression("price > 5 AND colour = 'red'", SQL)
    const consumer = await startConsumer(at, { topic: 'priced', expression })
    const [message] = await consumer.receive(8, 10_000)
    assert.ok(message)
    assert.is(textOf(message), '12.5')
    await consumer.ack(message)
    assert.is((await consumer.receive(8, 10_000)).length, 0)
    const { progress } = server.broker.groups.describe('group')
    assert.is(
      progress.reduce((sum, { lag }) => sum + lag, 0),
      0,
    )
    await Promise.all([producer.shutdown(), consumer.shutdown()])
  },
)

serving('fails to start a consumer with an illegal filter, and says where', async (_, at) => {
  const producer = await startProducer(at, { topics: ['wrong'] })
  await startConsumer(at, { topic: 'wrong', expression: new FilterExpression('a >', SQL) }).then(
    () => assert.unreachable('it started'),
    (error: Error) => assert.match(error.message, /40010.*position 4|position 4/),
  )
  await producer.shutdown()
})

serving(
  'redelivers what was given back, and refuses the handle that was replaced',
  async (server, at) => {
    const producer = await startProducer(at, { topics: ['again'] })
    await producer.send({ topic: 'again', body: Buffer.from('x') })
    const consumer = await startConsumer(at, { topic: 'again' })
    const [first] = await consumer.receive(1, 10_000)
    assert.ok(first)
    await consumer.changeInvisibleDuration(first, 0)
    const [second] = await consumer.receive(1, 10_000)
    assert.is(second?.deliveryAttempt, 2)
    await consumer.ack(first).then(
      () => assert.unreachable('the old handle was taken'),
      (error: Error) => assert.match(error.message, /40013/),
    )
    if (second) await consumer.ack(second)
    assert.is(server.broker.groups.describe('group').progress[0]?.inFlight ?? 0, 0)
    await Promise.all([producer.shutdown(), consumer.shutdown()])
  },
)

serving(
  'push: consumes all, retries a failure, and dead-letters after the last attempt',
  async (server, at) => {
    await server.broker.groups.create('group', { attemptsMax: 2 })
    const producer = await startProducer(at, { topics: ['push'] })
    const seen: string[] = []
    const consumer = await startPushConsumer(at, { topic: 'push' }, async (message) => {
      seen.push(`${textOf(message)} ${message.deliveryAttempt}`)
      return textOf(message) === 'poison' ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS
    })
    for (const body of ['a', 'b', 'poison', 'c'])
      await producer.send({ topic: 'push', body: Buffer.from(body) })
    await eventually(
      'the poison is dead',
      () => server.broker.topics.find('%DLQ%group') !== undefined,
      30_000,
    )
    const dead = await server.broker.receive({
      topic: '%DLQ%group',
      group: 'undertaker',
      waitMs: 5_000,
    })
    assert.equal(
      dead.map(({ text, origin }) => [text, origin?.topic]),
      [['poison', 'push']],
    )
    assert.equal([...seen].sort(), ['a 1', 'b 1', 'c 1', 'poison 1', 'poison 2'])
    await Promise.all([producer.shutdown(), consumer.shutdown()])
  },
)

serving('push: a message group is consumed in order, one after the other', async (server, at) => {
  await server.broker.topics.create('fifo', { type: 'FIFO', queues: 4 })
  const producer = await startProducer(at, { topics: ['fifo'] })
  for (let index = 0; index < 12; index++)
    await producer.send({
      topic: 'fifo',
      messageGroup: `g${index % 3}`,
      body: Buffer.from(`${index}`),
    })
  const seen: number[] = []
  const consumer = await startPushConsumer(at, { topic: 'fifo' }, async (message) => {
    seen.push(Number(textOf(message)))
    return ConsumeResult.SUCCESS
  })
  await eventually('all are consumed', () => seen.length >= 12, 30_000)
  for (const rest of [0, 1, 2]) {
    const ofGroup = seen.filter((index) => index % 3 === rest)
    assert.equal(
      ofGroup,
      [...ofGroup].sort((a, b) => a - b),
    )
  }
  assert.is(seen.length, 12)
  await Promise.all([producer.shutdown(), consumer.shutdown()])
})

serving(
  'leaves nothing behind: ended topics and groups are clean to the audit',
  async (server, at) => {
    const producer = await startProducer(at, { topics: ['gone'] })
    await producer.send({ topic: 'gone', body: Buffer.from('x') })
    const consumer = await startConsumer(at, { topic: 'gone' })
    await consumer.receive(1, 10_000)
    await Promise.all([producer.shutdown(), consumer.shutdown()])
    await server.broker.topics.end('gone')
    await server.broker.groups.end('group')
    const { clean, residue } = await server.broker.audit()
    assert.ok(clean, JSON.stringify(residue))
    await eventually('the sessions are gone', () => server.broker.port.sessions.count === 0, 5_000)
  },
)

NodeClient.run()
