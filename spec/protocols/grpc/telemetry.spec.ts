import { createHash } from 'node:crypto'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BrokerError } from '../../../model/errors.ts'
import { encodeProperties } from '../../../model/message/properties-block.ts'
import { encodeSystem } from '../../../model/message/system-block.ts'
import type { CallContext } from '../../../protocols/grpc/context.ts'
import { TelemetryStream } from '../../../protocols/grpc/operations/telemetry.ts'
import { aCall, aDoor } from './support/calls.ts'
import { bytesOf, definition, service } from './support/official.ts'
import { consumerSettings, producerSettings, settingsCommand } from './support/requests.ts'

const Telemetry = suite('Telemetry')

const { AddressScheme, ClientType, Code, Language } = definition

const aStream = (world: ReturnType<typeof aDoor>, about: Partial<CallContext> = {}) => {
  const said: InstanceType<typeof service.TelemetryCommand>[] = []
  let ends = 0
  const stream = new TelemetryStream(aCall(world.door, about), {
    send: (bytes) => void said.push(service.TelemetryCommand.deserializeBinary(bytes)),
    end: () => void ends++,
  })
  return {
    stream,
    said,
    /** What the last command says. */
    last: () => said.at(-1),
    tell: (settings: Parameters<typeof settingsCommand>[0]) =>
      stream.receive(settingsCommand(settings)),
    ends: () => ends,
  }
}

const secondsOf = (duration: { getSeconds(): number; getNanos(): number } | undefined) =>
  (duration?.getSeconds() ?? 0) + (duration?.getNanos() ?? 0) / 1e9

Telemetry('gives a producer what it needs: OK, an exponential backoff, a body size', () => {
  const { tell, last } = aStream(aDoor())
  tell(producerSettings(['orders']))
  assert.equal(last()?.getStatus()?.toObject(), { code: 20000, message: 'OK' })
  const settings = last()?.getSettings()
  const backoff = settings?.getBackoffPolicy()
  const exponential = backoff?.getExponentialBackoff()
  assert.is(backoff?.getMaxAttempts(), 3)
  assert.equal(
    [exponential?.getInitial(), exponential?.getMax()]
      .map(secondsOf)
      .concat(exponential?.getMultiplier() ?? 0),
    [0.01, 1, 2],
  )
  assert.equal(settings?.getPublishing()?.toObject(), {
    topicsList: [{ name: 'orders', resourceNamespace: '' }],
    maxBodySize: 4_194_304,
    validateMessageType: true,
  })
  assert.not(settings?.hasSubscription())
  assert.equal(settings?.getMetric()?.toObject(), { on: false, endpoints: undefined })
})

Telemetry('refuses a subscription whose filter is illegal, with its position', () => {
  const subscribing = (type: (typeof definition.FilterType)['SQL' | 'TAG'], expression: string) => {
    const { tell, last, ends } = aStream(aDoor())
    const settings = consumerSettings('group', ['orders'])
    const filter = new definition.FilterExpression().setType(type).setExpression(expression)
    settings.getSubscription()?.getSubscriptionsList()[0]?.setExpression(filter)
    tell(settings)
    return { ...last()?.getStatus()?.toObject(), ends: ends() }
  }
  const { SQL, TAG } = definition.FilterType
  const told = subscribing(SQL, "colour = 'red' OR price >")
  assert.is(told.code, 40010)
  assert.match(told.message ?? '', /at position 26/)
  assert.is(told.ends, 1)
  assert.is(subscribing(TAG, '||').code, 40010)
  assert.is(subscribing(SQL, "colour = 'red' OR price > 5").code, 20000)
  assert.is(subscribing(TAG, '').code, 20000)
})

Telemetry('echoes the rest', () => {
  const { tell, last } = aStream(aDoor())
  const asked = producerSettings(['orders'])
    .setUserAgent(new definition.UA().setLanguage(Language.GOLANG).setVersion('5.1.4'))
    .setAccessPoint(new definition.Endpoints().setScheme(AddressScheme.DOMAIN_NAME))
  tell(asked)
  const told = last()?.getSettings()
  assert.equal(told?.getUserAgent()?.toObject(), asked.getUserAgent()?.toObject())
  assert.equal(told?.getAccessPoint()?.toObject(), asked.getAccessPoint()?.toObject())
  assert.is(told?.getClientType(), ClientType.PRODUCER)
  assert.is(secondsOf(told?.getRequestTimeout()), 3)
})

Telemetry('gives a consumer a customized backoff, its attempts, batch and poll', () => {
  const world = aDoor()
  world.broker.attemptsMax.set('group', 5)
  const { tell, last } = aStream(world)
  tell(consumerSettings('group', ['orders']))
  const settings = last()?.getSettings()
  const backoff = settings?.getBackoffPolicy()
  assert.is(backoff?.getMaxAttempts(), 5)
  const steps = backoff?.getCustomizedBackoff()?.getNextList().map(secondsOf)
  assert.equal(
    steps,
    [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200],
  )
  const subscription = settings?.getSubscription()
  assert.is(subscription?.getReceiveBatchSize(), 32)
  assert.is(secondsOf(subscription?.getLongPollingTimeout()), 20)
  assert.is(subscription?.getFifo(), false)
  assert.ok(subscription?.hasFifo())
  assert.is(subscription?.getGroup()?.getName(), 'group')
  assert.is(subscription?.getSubscriptionsList()[0]?.getTopic()?.getName(), 'orders')
  assert.not(settings?.hasPublishing())
})

Telemetry('counts 17 attempts for a group that does not exist yet', () => {
  const { tell, last } = aStream(aDoor())
  tell(consumerSettings('new', ['orders']))
  assert.is(last()?.getSettings()?.getBackoffPolicy()?.getMaxAttempts(), 17)
})

Telemetry('gives a Node consumer the only backoff it knows', () => {
  const { tell, last } = aStream(aDoor())
  tell(
    consumerSettings('group', ['orders']).setUserAgent(
      new definition.UA().setLanguage(Language.NODE_JS),
    ),
  )
  const backoff = last()?.getSettings()?.getBackoffPolicy()
  assert.ok(backoff?.hasExponentialBackoff())
  assert.is(secondsOf(backoff?.getExponentialBackoff()?.getInitial()), 1)
  assert.is(backoff?.getMaxAttempts(), 17)
})

Telemetry('tells a client its group’s retry policy, in a kind that it understands', () => {
  const world = aDoor()
  world.broker.attemptsMax.set('group', 5)
  const backoffOf = (language: (typeof Language)[keyof typeof Language]) => {
    const { tell, last } = aStream(world)
    const userAgent = new definition.UA().setLanguage(language)
    tell(consumerSettings('group', ['orders']).setUserAgent(userAgent))
    const backoff = last()?.getSettings()?.getBackoffPolicy()
    const exponential = backoff?.getExponentialBackoff()
    return exponential
      ? [exponential.getInitial(), exponential.getMax()].map(secondsOf)
      : backoff?.getCustomizedBackoff()?.getNextList().map(secondsOf).slice(0, 4)
  }
  world.broker.retries.set('group', { kind: 'customized', stepsMs: [3_000, 9_000] })
  assert.equal(backoffOf(Language.JAVA), [3, 9])
  assert.equal(backoffOf(Language.NODE_JS), [3, 9])
  const exponential = { initialMs: 2_000, maxMs: 10_000, multiplier: 2 }
  world.broker.retries.set('group', { kind: 'exponential', ...exponential })
  assert.equal(backoffOf(Language.JAVA), [2, 10])
  assert.equal(backoffOf(Language.PYTHON), [2, 4, 8, 10])
})

Telemetry('tells a consumer to go in order if it says so, or if all its topics are FIFO', () => {
  const world = aDoor()
  world.broker.addTopic('steps', 'FIFO')
  world.broker.addTopic('orders', 'NORMAL')
  const isFifo = (topics: string[], said?: boolean) => {
    const { tell, last } = aStream(world)
    const settings = consumerSettings('group', topics)
    if (said !== undefined) settings.getSubscription()?.setFifo(said)
    tell(settings)
    return last()?.getSettings()?.getSubscription()?.getFifo()
  }
  assert.is(isFifo(['steps']), true)
  assert.is(isFifo(['steps', 'orders']), false)
  assert.is(isFifo(['steps', 'unknown']), false)
  assert.is(isFifo([]), false)
  assert.is(isFifo(['orders'], true), true)
})

Telemetry('says the first settings again to a client that may listen late', async () => {
  const late: [string, Partial<CallContext>, ReturnType<typeof producerSettings>][] = [
    ['two topics', {}, producerSettings(['a', 'b'])],
    ['language HTTP', { header: () => 'HTTP' }, producerSettings(['a'])],
    [
      'a Node user agent',
      {},
      producerSettings(['a']).setUserAgent(new definition.UA().setLanguage(Language.NODE_JS)),
    ],
  ]
  for (const [what, about, settings] of late) {
    const world = aDoor()
    const { tell, said } = aStream(world, about)
    tell(settings)
    assert.is(said.length, 1, what)
    await world.clock.advance(199)
    assert.is(said.length, 1, what)
    await world.clock.advance(1)
    assert.is(said.length, 2, what)
    await world.clock.advance(800)
    assert.is(said.length, 3, what)
    assert.equal(said[2]?.toObject(), said[0]?.toObject())
    tell(settings)
    await world.clock.advance(10_000)
    assert.is(said.length, 4, what)
  }
})

Telemetry('says them once to others', async () => {
  const world = aDoor()
  const { tell, said } = aStream(world, { header: () => 'JAVA' })
  tell(producerSettings(['a']))
  await world.clock.advance(10_000)
  assert.is(said.length, 1)
})

Telemetry('keeps nothing when its stream is over', async () => {
  const world = aDoor()
  const { tell, said, stream, ends } = aStream(world)
  tell(producerSettings(['a', 'b']))
  assert.equal([...world.broker.openSessions], ['client-1 producer'])
  assert.is(world.door.clients.find('client-1')?.requestTimeoutMs, 3_000)
  stream.end()
  stream.end()
  assert.is(ends(), 1)
  assert.equal([world.broker.openSessions.size, world.door.clients.size], [0, 0])
  assert.is(world.clock.pending, 0)
  await world.clock.advance(10_000)
  tell(producerSettings(['a', 'b']))
  assert.is(said.length, 1)
})

Telemetry('of an older stream that ends takes nothing from a newer one', () => {
  const world = aDoor()
  const older = aStream(world)
  const newer = aStream(world)
  older.tell(producerSettings(['a']))
  newer.tell(producerSettings(['a']))
  older.stream.close()
  assert.ok(world.door.clients.find('client-1'))
})

Telemetry('follows a client that changes sides', () => {
  const world = aDoor()
  const { tell } = aStream(world)
  tell(producerSettings(['a']))
  tell(consumerSettings('group', ['a']))
  assert.equal([...world.broker.openSessions], ['client-1 consumer'])
})

const aHalf = (topic: string, body: string) => ({
  transactionId: 'transaction 1',
  message: {
    topic,
    topicId: 1,
    queueId: 0,
    queueOffset: 0,
    physicalOffset: 0,
    storeAtMs: 1_234,
    type: 'TRANSACTION' as const,
    system: encodeSystem({
      messageId: 'm1',
      tag: 'paid',
      keys: ['k1', 'k2'],
      messageGroup: '',
      bornAtMs: 1,
      bornHost: 'host',
      traceContext: '',
    }),
    properties: encodeProperties({ colour: 'grün' }),
    body: Buffer.from(body),
  },
})

Telemetry('asks a producer about a transaction with the whole message', () => {
  const world = aDoor()
  const { tell, last } = aStream(world)
  tell(producerSettings(['orders', 'steps']))
  const [checker] = world.broker.checkers
  assert.equal([...(checker?.topics ?? [])], ['orders', 'steps'])
  assert.is(checker?.check(aHalf('orders', 'half')), true)
  const asked = last()?.getRecoverOrphanedTransactionCommand()
  assert.not(last()?.hasSettings() || last()?.hasStatus())
  assert.is(asked?.getTransactionId(), 'transaction 1')
  const message = asked?.getMessage()
  assert.is(message?.getTopic()?.getName(), 'orders')
  assert.is(Buffer.from(message?.getBody_asU8() ?? []).toString(), 'half')
  assert.equal(message?.getUserPropertiesMap().toArray(), [['colour', 'grün']])
  const system = message?.getSystemProperties()
  assert.equal([system?.getMessageId(), system?.getTag()], ['m1', 'paid'])
  assert.equal(system?.getKeysList(), ['k1', 'k2'])
  const checksum = createHash('md5').update('half').digest('hex').toUpperCase()
  assert.equal(system?.getBodyDigest()?.toObject(), { type: 2, checksum })
  assert.is(system?.getBodyEncoding(), definition.Encoding.IDENTITY)
  assert.is(system?.getMessageType(), definition.MessageType.TRANSACTION)
  assert.is(secondsOf(system?.getStoreTimestamp()), 1.234)
})

Telemetry('offers a producer for checks while its stream is open, by its newest topics', () => {
  const world = aDoor()
  const { tell, stream } = aStream(world)
  tell(producerSettings(['orders']))
  const [before] = world.broker.checkers
  tell(producerSettings(['steps']))
  assert.equal(
    [...world.broker.checkers].flatMap(({ topics }) => [...topics]),
    ['steps'],
  )
  stream.close()
  assert.is(world.broker.checkers.size, 0)
  assert.is(before?.check(aHalf('orders', 'x')), false)
})

Telemetry('never offers a consumer for checks', () => {
  const world = aDoor()
  const { tell } = aStream(world)
  tell(producerSettings(['orders']))
  tell(consumerSettings('group', ['orders']))
  assert.is(world.broker.checkers.size, 0)
})

/** Settings that are refused: the client is told why, and the stream ends, with OK. */
const isRefused = (settings: Parameters<typeof settingsCommand>[0]): number => {
  const world = aDoor()
  const { tell, last, ends } = aStream(world)
  tell(settings)
  assert.is(last()?.hasSettings(), false)
  assert.is(ends(), 1)
  assert.is(world.broker.openSessions.size, 0)
  return last()?.getStatus()?.getCode() ?? 0
}

Telemetry('refuses illegal settings with a status, and ends with OK', () => {
  assert.is(isRefused(producerSettings(['a b'])), 40002)
  assert.is(isRefused(consumerSettings('a b', ['orders'])), 40003)
  assert.is(isRefused(consumerSettings('group', [''])), 40002)
  assert.is(isRefused(new definition.Settings()), 40000)
})

Telemetry('refuses clients that are not built: pull and lite', () => {
  for (const type of [
    ClientType.PULL_CONSUMER,
    ClientType.LITE_PUSH_CONSUMER,
    ClientType.LITE_SIMPLE_CONSUMER,
  ])
    assert.is(isRefused(consumerSettings('group', ['a']).setClientType(type)), 50100)
})

Telemetry('answers settings of both kinds with one: the two exclude each other', () => {
  const { stream, last } = aStream(aDoor())
  const both = [consumerSettings('group', ['a']), producerSettings(['a'])].map(bytesOf)
  const settings = Buffer.concat(both)
  stream.receive(Buffer.concat([Buffer.from([(2 << 3) | 2]), varint(settings.length), settings]))
  assert.ok(last()?.getSettings()?.hasPublishing())
})

/** Client properties are newer than the official classes at hand. */
const withProperties = (...properties: [string, string][]): number => {
  const { stream, last } = aStream(aDoor())
  const field = (number: number, value: Buffer) =>
    Buffer.concat([Buffer.from([(number << 3) | 2]), varint(value.length), value])
  const entries = properties.map(([key, value]) =>
    field(9, Buffer.concat([field(1, Buffer.from(key)), field(2, Buffer.from(value))])),
  )
  const settings = Buffer.concat([bytesOf(producerSettings(['a'])), ...entries])
  stream.receive(field(2, settings))
  return last()?.getStatus()?.getCode() ?? 0
}
const varint = (value: number): Buffer =>
  value < 128 ? Buffer.from([value]) : Buffer.from([(value % 128) | 128, Math.floor(value / 128)])

Telemetry('limits the properties of a client', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, index): [string, string] => [`k${index}`, ''])
  assert.is(withProperties(['a.b-c_1', 'x'.repeat(256)]), 20000)
  assert.is(withProperties(...many(32)), 20000)
  assert.is(withProperties(...many(33)), 40021)
  assert.is(withProperties(['1a', 'x']), 40021)
  assert.is(withProperties(['a'.repeat(65), 'x']), 40021)
  assert.is(withProperties(['rocketmq.a', 'x']), 40021)
  assert.is(withProperties(['a', 'x'.repeat(257)]), 40021)
  const large = many(17).map(([key]): [string, string] => [key, 'x'.repeat(250)])
  assert.is(withProperties(...large), 40021)
})

Telemetry('tolerates wrong answers and unknown commands', () => {
  const { stream, said, ends } = aStream(aDoor())
  const wrong = new service.TelemetryCommand()
    .setStatus(new definition.Status().setCode(Code.NOT_IMPLEMENTED))
    .setVerifyMessageCommand(new service.VerifyMessageCommand().setNonce('n'))
  const trace = new service.TelemetryCommand().setThreadStackTrace(
    new service.ThreadStackTrace().setThreadStackTrace('mock stack'),
  )
  for (const command of [wrong, trace, new service.TelemetryCommand()])
    stream.receive(bytesOf(command))
  assert.equal([said.length, ends()], [0, 0])
})

Telemetry('asks for a client id', () => {
  const { last, ends } = aStream(aDoor(), { clientId: '' })
  assert.equal([last()?.getStatus()?.getCode(), ends()], [40017, 1])
})

Telemetry('can be refused from outside', () => {
  const { stream, last, ends } = aStream(aDoor())
  stream.refuse(new BrokerError('THROTTLED', { reason: 'too many streams' }))
  assert.equal([last()?.getStatus()?.getCode(), ends()], [42900, 1])
})

Telemetry.run()
