import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ConsumeResult, Producer, PushConsumer, SimpleConsumer } from 'rocketmq-client-nodejs'

/**
 * `npm run demo`: a tour in less than a minute. A broker process of its own on a free port, the
 * official RocketMQ client as it comes from npm, and a `kill -9` in the middle.
 */
const cli = fileURLToPath(new URL('cli.js', import.meta.resolve('glasspost')))
const MESSAGES = 1_000
const IN_FLIGHT = 32
const INVISIBLE_MS = 10_000
const LIMIT_MS = 120_000

/** Makes the client say nothing of its own; this program says what happens. */
const logger = { info() {}, warn() {}, error() {} }
process.env['HOME'] = tmpdir()

const say = (line: string): void => console.log(`  ${line}`)
const chapter = (title: string): void => console.log(`\n${title}`)
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const dataDir = await mkdtemp(join(tmpdir(), 'glasspost-demo-'))
let broker: ChildProcess | undefined

/** Starts a broker, and says where it is ready. */
const startBroker = async (port = 0): Promise<string> => {
  const flags = ['--json', '--data-dir', dataDir, '--grpc-port', `${port}`, '--auto-create-topics']
  const child = spawn(process.execPath, [cli, 'start', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  broker = child
  const [line] = (await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error('the broker did not start'))),
  ])) as [Buffer]
  const { grpc } = JSON.parse(line.toString()) as { grpc: string }
  return grpc
}

const endBroker = async (signal: NodeJS.Signals): Promise<void> => {
  if (broker === undefined || broker.exitCode !== null || broker.signalCode !== null) return
  broker.kill(signal)
  await once(broker, 'exit')
}

const aConsumer = async (endpoints: string, topic: string, group: string) => {
  const consumer = new SimpleConsumer({
    endpoints,
    namespace: '',
    logger,
    consumerGroup: group,
    subscriptions: new Map([[topic, '*']]),
    awaitDuration: 5_000,
  })
  await consumer.startup()
  return consumer
}

const sendAndReceive = async (endpoints: string, producer: Producer): Promise<void> => {
  chapter('1. Send, receive, acknowledge')
  for (const body of ['order 1', 'order 2'])
    await producer.send({ topic: 'orders', tag: 'paid', body: Buffer.from(body) })
  say('sent two orders; each answer meant: it is on disk')
  const consumer = await aConsumer(endpoints, 'orders', 'billing')
  let kept = ''
  for (let received = 0; received < 2; )
    for (const message of await consumer.receive(2, INVISIBLE_MS)) {
      received++
      const text = message.body.toString()
      if (text === 'order 1') {
        await consumer.ack(message)
        say(`received "${text}" and acknowledged it`)
      } else {
        await consumer.changeInvisibleDuration(message, 2_000)
        kept = text
        say(`received "${text}" and did not acknowledge it: it is hidden for 2 s`)
      }
    }
  for (let isBack = false; !isBack; )
    for (const message of await consumer.receive(2, INVISIBLE_MS)) {
      say(`"${kept}" came back by itself, as attempt ${message.deliveryAttempt}; acknowledged now`)
      await consumer.ack(message)
      isBack = true
    }
  await consumer.shutdown()
}

const pushInOrder = async (endpoints: string, producer: Producer): Promise<void> => {
  chapter('2. Order where it matters')
  const seen: string[] = []
  const consumer = new PushConsumer({
    endpoints,
    namespace: '',
    logger,
    consumerGroup: 'ledger',
    subscriptions: new Map([['accounts', '*']]),
    messageListener: {
      consume: async ({ body }) => {
        seen.push(body.toString())
        return ConsumeResult.SUCCESS
      },
    },
  })
  await consumer.startup()
  for (const step of ['opened', 'filled', 'closed'])
    for (const messageGroup of ['alice', 'bob']) {
      const body = Buffer.from(`${messageGroup} ${step}`)
      await producer.send({ topic: 'accounts', messageGroup, body })
    }
  while (seen.length < 6) await sleep(50)
  for (const name of ['alice', 'bob'])
    say(`pushed, in order: ${seen.filter((text) => text.startsWith(name)).join(', ')}`)
}

const deadLetter = async (endpoints: string, producer: Producer): Promise<void> => {
  chapter('3. A message that nobody can handle')
  await producer.send({ topic: 'parcels', body: Buffer.from('parcel without address') })
  const consumer = await aConsumer(endpoints, 'parcels', 'shipping')
  let attempts = 0
  for (let isGone = false; !isGone; ) {
    const messages = await consumer.receive(1, INVISIBLE_MS)
    attempts += messages.length
    // Given back at once. After the last attempt that a group has, nothing comes any more.
    for (const message of messages) await consumer.changeInvisibleDuration(message, 0)
    isGone = messages.length === 0
  }
  await consumer.shutdown()
  const undertaker = await aConsumer(endpoints, '%DLQ%shipping', 'undertaker')
  for (let isThere = false; !isThere; )
    for (const message of await undertaker.receive(1, INVISIBLE_MS)) {
      say(`"${message.body.toString()}" failed ${attempts} times and is not lost:`)
      say(`it waits in ${message.topic}, where somebody can look at it`)
      await undertaker.ack(message)
      isThere = true
    }
  await undertaker.shutdown()
}

const killInTheMiddle = async (endpoints: string, producer: Producer): Promise<void> => {
  chapter('4. kill -9, while messages are on their way')
  const waiting = Array.from({ length: MESSAGES }, (_, number) => number)
  const acknowledged = new Set<number>()
  const half = MESSAGES / 2
  let restarting: Promise<void> | undefined
  const killAndRestart = async (): Promise<void> => {
    await endBroker('SIGKILL')
    say(`killed the broker after ${acknowledged.size} acknowledged sends, ${IN_FLIGHT} under way`)
    const startMs = Date.now()
    await startBroker(Number(endpoints.split(':').at(-1)))
    say(`started it again on the same data: ready in ${Date.now() - startMs} ms`)
  }
  const lane = async (): Promise<void> => {
    for (let number = waiting.shift(); number !== undefined; number = waiting.shift())
      try {
        await producer.send({ topic: 'stream', body: Buffer.from(`${number}`) })
        acknowledged.add(number)
        if (acknowledged.size >= half) restarting ??= killAndRestart()
      } catch {
        // Not acknowledged: a sender sends it again, as real ones do.
        waiting.push(number)
        await sleep(100)
      }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  await restarting
  say(`the same client went on: ${acknowledged.size} of ${MESSAGES} sends are acknowledged`)

  const consumer = await aConsumer(endpoints, 'stream', 'auditors')
  const seen = new Set<number>()
  let received = 0
  while (seen.size < MESSAGES) {
    const messages = await consumer.receive(32, INVISIBLE_MS)
    for (const { body } of messages) seen.add(Number(body.toString()))
    received += messages.length
    await Promise.all(messages.map((message) => consumer.ack(message)))
  }
  say(`received ${received}: all ${seen.size}, ${received - seen.size} of them twice, 0 lost`)
}

const tour = async (): Promise<void> => {
  console.log('A tour of glasspost with the official RocketMQ client for Node')
  const endpoints = await startBroker()
  say(`a broker runs on ${endpoints}, its data is in ${dataDir}`)
  const topics = ['orders', 'accounts', 'parcels', 'stream']
  const producer = new Producer({ endpoints, namespace: '', logger, topics, maxAttempts: 1 })
  await producer.startup()
  await sendAndReceive(endpoints, producer)
  await pushInOrder(endpoints, producer)
  await deadLetter(endpoints, producer)
  await killInTheMiddle(endpoints, producer)
}

const leave = async (code: number): Promise<never> => {
  await endBroker(code === 0 ? 'SIGTERM' : 'SIGKILL')
  await rm(dataDir, { recursive: true, force: true })
  // The client keeps timers of its own, so the end is said aloud.
  process.exit(code)
}

const fail = (error: unknown): Promise<never> => {
  console.error('The tour ended early:', error)
  return leave(1)
}

setTimeout(() => void fail(new Error('it took too long')), LIMIT_MS).unref()
process.once('SIGINT', () => void leave(130)).once('SIGTERM', () => void leave(143))
tour().then(async () => {
  chapter('That was the tour. "npm start" runs a broker of your own; the README says the rest.')
  await leave(0)
}, fail)
