import { tmpdir } from 'node:os'
import { Producer, SimpleConsumer } from 'rocketmq-client-nodejs'

/**
 * `npm run first-message -- [host:port]`: the official RocketMQ client, as it comes from npm,
 * sends one message to a running broker and receives it back.
 */
const endpoints = process.argv[2] ?? '127.0.0.1:8081'
const topic = 'first-message'
const LIMIT_MS = 30_000

/** Makes the client say nothing of its own; this program says what it does. */
const logger = { info() {}, warn() {}, error() {} }
process.env['HOME'] = tmpdir()

const say = (line: string): void => console.log(line)

const giveUp = (reason: string): never => {
  console.error(`It did not work: ${reason}`)
  console.error(`Is a broker running on ${endpoints}? "npm start" starts one on 127.0.0.1:8081.`)
  console.error('If its topics are not made by themselves, start it with --auto-create-topics.')
  process.exit(1)
}

const work = async (): Promise<void> => {
  say(`Connecting the official RocketMQ client to ${endpoints} …`)
  const options = { endpoints, namespace: '', logger }
  const producer = new Producer({ ...options, topics: [topic], maxAttempts: 1 })
  await producer.startup()

  const text = `Hello from ${process.version}, process ${process.pid}`
  const { messageId } = await producer.send({ topic, tag: 'hello', body: Buffer.from(text) })
  say(`Sent      "${text}"`)
  say(`          as ${messageId}. It is on disk: that is what the answer means.`)

  const consumer = new SimpleConsumer({
    ...options,
    consumerGroup: 'first-message-readers',
    subscriptions: new Map([[topic, '*']]),
    awaitDuration: 5_000,
  })
  await consumer.startup()
  for (let isBack = false; !isBack; )
    for (const message of await consumer.receive(16, 15_000)) {
      await consumer.ack(message)
      // Others may have sent theirs, and this program may have been stopped in the middle before.
      if (message.messageId !== messageId) continue
      say(`Received  "${message.body.toString()}"`)
      say('          and acknowledged it: it never comes again to this group.')
      isBack = true
    }
  await Promise.all([producer.shutdown(), consumer.shutdown()])
  say('That was all. Next: "npm run demo", or point your own program here.')
}

setTimeout(() => giveUp(`nothing came back within ${LIMIT_MS / 1_000} s`), LIMIT_MS).unref()
// The client keeps timers of its own, so the end is said aloud.
work().then(
  () => process.exit(0),
  (error: unknown) => giveUp(error instanceof Error ? error.message : String(error)),
)
