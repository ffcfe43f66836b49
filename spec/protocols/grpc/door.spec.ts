import { connect } from 'node:http2'
import { status as grpcStatus, type StatusObject } from '@grpc/grpc-js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../../model/errors.ts'
import type { ReceiveRequest, ReceiveResult, SendReceipt } from '../../../model/ports.ts'
import { eventually, openDoor, sleep } from './support/doors.ts'
import { bytesOf, resourceOf, service } from './support/official.ts'
import { framesOf, RawClient, telemetryOf } from './support/raw-client.ts'
import {
  ackRequest,
  changeRequest,
  producerSettings,
  receiveRequest,
  sendRequest,
  settingsCommand,
} from './support/requests.ts'

const Door = suite('the gRPC door')

type World = Awaited<ReturnType<typeof openDoor>> & { client: RawClient }

/** A spec in front of an open door, which is closed behind it. */
const withDoor = (
  name: string,
  spec: (world: World) => Promise<void>,
  options: Parameters<typeof openDoor>[0] = {},
): void =>
  Door(name, async () => {
    const opened = await openDoor(options)
    const client = new RawClient(opened.endpoint)
    try {
      await spec({ ...opened, client })
    } finally {
      client.close()
      await opened.door.close({ drainMs: 200 })
    }
  })

const unaryRpcs = [
  'QueryRoute',
  'QueryAssignment',
  'Heartbeat',
  'SendMessage',
  'AckMessage',
  'ChangeInvisibleDuration',
  'ForwardMessageToDeadLetterQueue',
  'EndTransaction',
  'RecallMessage',
  'SyncLiteSubscription',
  'NotifyClientTermination',
]

withDoor('answers UNIMPLEMENTED to what it does not know', async ({ client }) => {
  for (const rpc of ['PullMessage', 'UpdateOffset', 'GetOffset', 'QueryOffset', 'Whatever']) {
    const error = await client.unary(rpc, Buffer.alloc(0)).catch((thrown: unknown) => thrown)
    assert.is((error as StatusObject).code, grpcStatus.UNIMPLEMENTED, rpc)
  }
})

withDoor('asks for a client id on every RPC', async ({ endpoint }) => {
  for (const headers of [{}, { 'x-mq-client-id': ' ' }]) {
    const client = new RawClient(endpoint, headers)
    for (const rpc of unaryRpcs)
      assert.is((await client.status(rpc, Buffer.alloc(0))).code, 40017, rpc)
    assert.is((await framesOf(client.receive(receiveRequest('orders')))).code, 40017)
    const { commands, grpc } = await telemetryOf(client.telemetry())
    assert.equal([commands[0]?.getStatus()?.getCode(), grpc], [40017, grpcStatus.OK])
    client.close()
  }
})

withDoor('answers malformed bytes with a code, never with a gRPC error', async ({ client }) => {
  const malformed = Buffer.from([0x0a, 0xff, 0xff, 0x01])
  for (const rpc of unaryRpcs.filter((name) => name !== 'SyncLiteSubscription'))
    assert.is((await client.status(rpc, malformed)).code, 40016, rpc)
  assert.is((await framesOf(client.receive(malformed))).code, 40016)
  const stream = client.telemetry()
  stream.write(malformed)
  const { commands, grpc } = await telemetryOf(stream)
  assert.equal([commands[0]?.getStatus()?.getCode(), grpc], [40016, grpcStatus.OK])
})

withDoor('tells a defect from a refusal, in the log and not to the client', async (world) => {
  world.broker.failure = new Error('secret')
  world.broker.addTopic('orders')
  const { code, message } = await world.client.status('SendMessage', sendRequest('orders', 'x'))
  assert.is(code, 50001)
  assert.not.match(message, /secret/)
  assert.ok(world.logger.lines.some(({ level }) => level === 'error'))
})

withDoor('takes and gives bodies of 4 MiB, above the library’s own limit', async (world) => {
  const { client, broker } = world
  broker.addTopic('orders')
  const body = Buffer.alloc(4_194_304, 'x')
  assert.is((await client.status('SendMessage', sendRequest('orders', body))).code, 20000)
  const { messages, frames } = await framesOf(client.receive(receiveRequest('orders')))
  assert.equal(frames, ['OK', 'message', 'time'])
  const response = service.ReceiveMessageResponse.deserializeBinary(messages[0] as Buffer)
  assert.ok(body.equals(response.getMessage()?.getBody_asU8() ?? Buffer.alloc(0)))
})

withDoor('wakes a long poll with a message that arrives', async ({ client, broker }) => {
  broker.addTopic('orders')
  const waiting = framesOf(client.receive(receiveRequest('orders', { pollMs: 20_000 })))
  await eventually('it waits', () => broker.received.length === 1)
  await client.unary('SendMessage', sendRequest('orders', 'x'))
  assert.equal((await waiting).frames, ['OK', 'message', 'time'])
})

withDoor('answers a poll before its deadline, with a status', async ({ client, broker }) => {
  broker.addTopic('orders')
  const request = receiveRequest('orders', { pollMs: 20_000 })
  const { frames, code, grpc } = await framesOf(client.receive(request, 5_100))
  assert.equal([code, grpc], [40401, grpcStatus.OK])
  assert.equal(frames, ['no new message', 'time'])
})

withDoor('stops waiting for a client that went away', async ({ client, broker }) => {
  broker.addTopic('orders')
  const stream = client.receive(receiveRequest('orders', { pollMs: 20_000 }))
  const ended = framesOf(stream)
  await eventually('it waits', () => broker.received.length === 1)
  stream.cancel()
  await ended
  await eventually('its signal is aborted', () => broker.received[0]?.signal?.aborted === true)
})

withDoor('gives back what arrives for a client that went away', async ({ client, broker }) => {
  broker.addTopic('orders')
  let answer = (): void => undefined
  const original = broker.receive.bind(broker)
  broker.receive = async (request: ReceiveRequest): Promise<ReceiveResult> => {
    const result = await original(request)
    await new Promise<void>((resolve) => {
      answer = resolve
    })
    return result
  }
  await client.unary('SendMessage', sendRequest('orders', 'a', 'b'))
  const stream = client.receive(receiveRequest('orders'))
  const ended = framesOf(stream)
  await eventually('it is served', () => broker.received.length === 1)
  await sleep(20)
  stream.cancel()
  await ended
  await eventually('its signal is aborted', () => broker.received[0]?.signal?.aborted === true)
  answer()
  await eventually('both are given back', () => broker.extended.length === 2)
  assert.equal(broker.extended, [0, 0])
})

/** A stream of bare HTTP/2: it does not read, and its session can die without a word. */
const openStream = (endpoint: string, rpc: string) => {
  const session = connect(`http://${endpoint}`)
  const stream = session.request({
    ':method': 'POST',
    ':path': `/apache.rocketmq.v2.MessagingService/${rpc}`,
    'content-type': 'application/grpc',
    'x-mq-client-id': 'raw-2',
  })
  stream.on('error', () => undefined)
  return { session, stream }
}

const grpcFrame = (bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0, 0, 0, 0, bytes.length]), bytes])

withDoor('gives back what it could not write to the end', async ({ client, broker, endpoint }) => {
  broker.addTopic('orders')
  const body = Buffer.alloc(1_048_576, 'x')
  for (let count = 0; count < 4; count++)
    await client.unary('SendMessage', sendRequest('orders', body))
  // Nobody reads, so flow control holds the rest back on the server.
  const { session, stream } = openStream(endpoint, 'ReceiveMessage')
  stream.end(grpcFrame(bytesOf(receiveRequest('orders'))))
  await eventually('it is served', () => broker.received.length === 1)
  await sleep(100)
  assert.equal(broker.extended, [])
  session.destroy()
  await eventually('all are given back', () => broker.extended.length === 4)
})

withDoor('does not give back what it wrote', async ({ client, broker }) => {
  broker.addTopic('orders')
  await client.unary('SendMessage', sendRequest('orders', 'a'))
  await framesOf(client.receive(receiveRequest('orders')))
  await sleep(50)
  assert.equal(broker.extended, [])
})

withDoor(
  'throttles calls beyond its bound, and repeats the handle of a change',
  async ({ client, broker }) => {
    broker.addTopic('orders')
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const original = broker.append.bind(broker)
    broker.append = async (topic, message): Promise<SendReceipt> => {
      await held
      return original(topic, message)
    }
    const first = client.status('SendMessage', sendRequest('orders', 'x'))
    await sleep(50)
    const { code, message } = await client.status('AckMessage', ackRequest('orders', 'h'))
    assert.is(code, 42900)
    assert.match(message, 'flow limit')
    const changed = service.ChangeInvisibleDurationResponse.deserializeBinary(
      await client.unary('ChangeInvisibleDuration', changeRequest('orders', 'the handle', 0)),
    )
    assert.is(changed.getStatus()?.getCode(), 42900)
    assert.is(changed.getReceiptHandle(), 'the handle')
    release()
    assert.is((await first).code, 20000)
    assert.is((await client.status('SendMessage', sendRequest('orders', 'x'))).code, 20000)
  },
  { inFlightMax: 1 },
)

withDoor(
  'throttles long polls beyond its bound, apart from other calls',
  async ({ client, broker }) => {
    broker.addTopic('orders')
    const polls = [1, 2].map(() => framesOf(client.receive(receiveRequest('orders'))))
    const refused = await Promise.race(polls)
    assert.equal([refused.code, refused.frames.length], [42900, 2])
    assert.match(refused.frames[0] ?? '', 'polling full')
    assert.is((await client.status('SendMessage', sendRequest('orders', 'x'))).code, 20000)
    await Promise.all(polls)
  },
  { inFlightMax: 1 },
)

withDoor('ends telemetry with OK when the client closes its half', async ({ client, broker }) => {
  const stream = client.telemetry()
  const ended = telemetryOf(stream)
  stream.write(settingsCommand(producerSettings(['orders'])))
  await eventually('its session is open', () => broker.openSessions.size === 1)
  stream.end()
  const { commands, grpc } = await ended
  assert.equal([commands[0]?.getStatus()?.getCode(), grpc], [20000, grpcStatus.OK])
  await eventually('its session is closed', () => broker.openSessions.size === 0)
})

withDoor('lets go of the session of a client that vanished', async ({ client, broker, ...at }) => {
  const cancelled = client.telemetry()
  cancelled.on('error', () => undefined)
  cancelled.write(settingsCommand(producerSettings(['orders'])))
  await eventually('its session is open', () => broker.openSessions.size === 1)
  cancelled.cancel()
  await eventually('its session is closed', () => broker.openSessions.size === 0)
  const { session, stream } = openStream(at.endpoint, 'Telemetry')
  // Nobody reads the answers, so the door stops reading too, and never sees the end of it.
  const settings = grpcFrame(settingsCommand(producerSettings(['orders'])))
  stream.write(Buffer.concat(Array.from({ length: 5_000 }, () => settings)))
  await eventually('its session is open', () => broker.openSessions.size === 1)
  await sleep(200)
  session.destroy()
  await eventually('its session is closed', () => broker.openSessions.size === 0)
})

Door('refuses an advertised address that is none, and a port in use', async () => {
  const refusal = await openDoor({ advertisedAddress: 'nowhere' }).catch((error: unknown) => error)
  assert.ok(isBrokerError(refusal, 'SETTINGS_ILLEGAL'))
  const { door } = await openDoor()
  const error = await openDoor({ port: door.address.port }).catch((thrown: unknown) => thrown)
  assert.is((error as NodeJS.ErrnoException).code, 'EADDRINUSE')
  await door.close({ drainMs: 0 })
})

withDoor('sends a client back to the address it dialled', async ({ client, endpoint }) => {
  const request = new service.QueryRouteRequest().setTopic(resourceOf('orders'))
  const reply = await client.unary('QueryRoute', bytesOf(request))
  const [queue] = service.QueryRouteResponse.deserializeBinary(reply).getMessageQueuesList()
  const [address] = queue?.getBroker()?.getEndpoints()?.getAddressesList() ?? []
  assert.is(`${address?.getHost()}:${address?.getPort()}`, endpoint)
})

Door.run()
