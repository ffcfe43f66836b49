import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type GlasspostServer, startServer } from '../../index.ts'
import {
  ConsumeResult,
  type MessageView,
  type PushConsumer,
} from '../protocols/grpc/support/official-client.ts'
import { startConsumer, startProducer, startPushConsumer } from '../support/clients.ts'
import { eventually } from '../support/waiting.ts'

/** The official Node client against a whole broker, where messages are not handled at once. */
const Failures = suite<{ server: GlasspostServer }>('the official Node client, when things fail')

const INVISIBLE_MS = 10_000
const REDELIVERED_MS = 20_000

Failures.before.each(async (context) => {
  context.server = await startServer({ memory: true, grpcPort: 0, autoCreateTopics: true })
})
Failures.after.each(({ server }) => server.close())

const textOf = ({ body }: MessageView): string => body.toString()

/** It waits for its running poll to end, up to 20 s: a message ends that at once. */
const stopPush = async (consumer: PushConsumer, send: () => Promise<unknown>): Promise<void> => {
  const stopping = consumer.shutdown()
  await send()
  await stopping
}

const isDone = ({ groups }: GlasspostServer['broker']): boolean => {
  if (groups.find('group') === undefined) return false
  const { progress } = groups.describe('group')
  return progress.length > 0 && progress.every(({ lag }) => lag === 0)
}

Failures('a message whose time is over comes again as attempt 2', async ({ server }) => {
  const producer = await startProducer(server.grpcAddress, { topics: ['again'] })
  await producer.send({ topic: 'again', body: Buffer.from('x') })
  const consumer = await startConsumer(server.grpcAddress, { topic: 'again' })
  const [first] = await consumer.receive(1, INVISIBLE_MS)
  if (first === undefined) throw new Error('nothing was received')
  await consumer.changeInvisibleDuration(first, 1_000)
  const [second] = await consumer.receive(1, INVISIBLE_MS)
  assert.equal([second?.messageId, second?.deliveryAttempt], [first.messageId, 2])
  if (second) await consumer.ack(second)
  assert.ok(isDone(server.broker))
  await Promise.all([consumer.shutdown(), producer.shutdown()])
})

Failures('a pushed message is tried again until its listener succeeds', async ({ server }) => {
  const producer = await startProducer(server.grpcAddress, { topics: ['pushed'] })
  const attempts = new Map<string, number[]>()
  const subscription = { topic: 'pushed' }
  const consumer = await startPushConsumer(server.grpcAddress, subscription, async (message) => {
    const seen = [...(attempts.get(textOf(message)) ?? []), message.deliveryAttempt ?? 0]
    attempts.set(textOf(message), seen)
    const isBad = textOf(message) === 'bad' && seen.length < 3
    return isBad ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS
  })
  for (const text of ['good', 'bad'])
    await producer.send({ topic: 'pushed', body: Buffer.from(text) })
  await eventually('both are done', () => isDone(server.broker), REDELIVERED_MS)
  assert.equal(attempts.get('good'), [1])
  assert.equal(attempts.get('bad'), [1, 2, 3])
  await stopPush(consumer, () => producer.send({ topic: 'pushed', body: Buffer.from('last') }))
  await producer.shutdown()
})

Failures(
  'a bad message of a message group dies in its turn; nothing overtakes it',
  async ({ server }) => {
    const { broker, grpcAddress } = server
    await broker.topics.create('steps', { type: 'FIFO', queues: 4 })
    await broker.groups.create('group', { attemptsMax: 2 })
    const producer = await startProducer(grpcAddress, { topics: ['steps'] })
    const seen: string[] = []
    const consumer = await startPushConsumer(grpcAddress, { topic: 'steps' }, async (message) => {
      seen.push(textOf(message))
      return textOf(message) === 'a3' ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS
    })
    for (let step = 0; step < 6; step++)
      for (const messageGroup of ['a', 'b', 'c'])
        await producer.send({
          topic: 'steps',
          messageGroup,
          body: Buffer.from(messageGroup + step),
        })
    await eventually('all are done', () => isDone(broker), REDELIVERED_MS)
    const of = (group: string) => seen.filter((text) => text.startsWith(group)).join(' ')
    assert.is(of('a'), 'a0 a1 a2 a3 a3 a4 a5')
    assert.is(of('b'), 'b0 b1 b2 b3 b4 b5')
    assert.is(of('c'), 'c0 c1 c2 c3 c4 c5')
    const [dead] = await broker.receive({ topic: '%DLQ%group', group: 'undertaker' })
    assert.equal([dead?.text, dead?.origin?.topic], ['a3', 'steps'])
    const last = { topic: 'steps', messageGroup: 'd', body: Buffer.from('last') }
    await stopPush(consumer, () => producer.send(last))
    await producer.shutdown()
  },
)

Failures('a producer that runs is told of a topic that does not exist', async () => {
  await using strict = await startServer({ memory: true, grpcPort: 0 })
  await strict.broker.topics.create('known')
  const producer = await startProducer(strict.grpcAddress, { topics: ['known'] })
  await producer.send({ topic: 'known', body: Buffer.from('x') })
  const outcome = await producer.send({ topic: 'unknown', body: Buffer.from('x') }).then(
    () => 'it was accepted',
    (error: unknown) => String(error),
  )
  assert.match(outcome, /40402/)
  await producer.shutdown()
})

Failures.run()
