import { connect, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { connect as connectHttp2 } from 'node:http2'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { aCertificate } from '../../support/certificates.ts'
import { eventually, openDoor, sleep } from './support/doors.ts'
import { bytesOf, service } from './support/official.ts'
import { RawClient } from './support/raw-client.ts'
import { sendRequest } from './support/requests.ts'

const Front = suite('one port for TLS and plaintext')

type World = Awaited<ReturnType<typeof openDoor>>

const withDoor = (
  name: string,
  options: Parameters<typeof openDoor>[0] | (() => Promise<Parameters<typeof openDoor>[0]>),
  spec: (world: World) => Promise<void>,
): void =>
  Front(name, async () => {
    const world = await openDoor(typeof options === 'function' ? await options() : options)
    world.broker.addTopic('orders')
    try {
      await spec(world)
    } finally {
      await world.door.close({ drainMs: 100 })
    }
  })

const tlsOptional = async () => ({ tls: { certificate: await aCertificate(), isRequired: false } })
const tlsRequired = async () => ({ tls: { certificate: await aCertificate(), isRequired: true } })

const codeIn = (reply: Buffer = Buffer.alloc(0)): number =>
  service.SendMessageResponse.deserializeBinary(reply).getStatus()?.getCode() ?? 0

/** A send over a channel of its own; the status code of the reply, or the gRPC error's text. */
const sendOver = (endpoint: string, channel: ReturnType<typeof credentials.createSsl>) =>
  new Promise<number | string>((resolve) => {
    const client = new Client(endpoint, channel, { 'grpc.use_local_subchannel_pool': 1 })
    const metadata = new Metadata()
    metadata.set('x-mq-client-id', 'spec')
    client.makeUnaryRequest(
      '/apache.rocketmq.v2.MessagingService/SendMessage',
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      bytesOf(sendRequest('orders', 'x'.repeat(100_000))),
      metadata,
      { deadline: Date.now() + 5_000 },
      (error, reply) => {
        client.close()
        if (error) resolve(error.details)
        else resolve(codeIn(reply))
      },
    )
  })

const unverified = () => credentials.createSsl(null, null, null, { rejectUnauthorized: false })
const plaintext = () => credentials.createInsecure()

withDoor('serves plaintext, and TLS with verification off and on', tlsOptional, async (world) => {
  const { endpoint } = world
  assert.is(await sendOver(endpoint, plaintext()), 20000)
  assert.is(await sendOver(endpoint, unverified()), 20000)
  const cert = await certificateOf(world)
  assert.is(await sendOver(endpoint, credentials.createSsl(Buffer.from(cert))), 20000)
  const other = Buffer.from((await aCertificate()).cert)
  assert.match(String(await sendOver(endpoint, credentials.createSsl(other))), /certificate/i)
  assert.is(world.broker.stored.get('orders')?.length, 3)
})

const tlsTo = ({ door }: World, options: ConnectionOptions = {}): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connectTls({
      port: door.address.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
      ...options,
    })
    socket.once('secureConnect', () => resolve(socket))
    socket.once('error', reject)
  })

const certificateOf = async (world: World): Promise<string> => {
  const socket = await tlsTo(world)
  const { raw } = socket.getPeerCertificate()
  socket.destroy()
  return `-----BEGIN CERTIFICATE-----\n${raw.toString('base64')}\n-----END CERTIFICATE-----\n`
}

withDoor('speaks h2, nothing older, and not below TLS 1.2', tlsOptional, async (world) => {
  const socket = await tlsTo(world)
  assert.is(socket.alpnProtocol, 'h2')
  socket.destroy()
  for (const options of [{ ALPNProtocols: ['http/1.1'] }, { maxVersion: 'TLSv1.1' as const }]) {
    const outcome = await tlsTo(world, options).catch((error: unknown) => error)
    assert.instance(outcome, Error)
  }
  const without = await tlsTo(world, { ALPNProtocols: [] })
  await new Promise((resolve) => without.once('close', resolve).resume())
})

withDoor('serves TLS only where it is required', tlsRequired, async ({ endpoint }) => {
  assert.is(await sendOver(endpoint, unverified()), 20000)
  assert.type(await sendOver(endpoint, plaintext()), 'string')
})

withDoor('serves plaintext only where TLS is off', {}, async ({ endpoint }) => {
  assert.is(await sendOver(endpoint, plaintext()), 20000)
  assert.type(await sendOver(endpoint, unverified()), 'string')
})

withDoor(
  'gives new connections a new certificate, and keeps the old ones',
  tlsOptional,
  async (world) => {
    const { door } = world
    const open = connectHttp2(`https://127.0.0.1:${door.address.port}`, {
      rejectUnauthorized: false,
    })
    await new Promise((resolve) => open.once('connect', resolve))
    const before = await certificateOf(world)
    door.renewCertificate(await aCertificate())
    assert.is.not(await certificateOf(world), before)
    const rtt = await new Promise<boolean>((resolve) =>
      open.ping((error) => resolve(error === null)),
    )
    assert.ok(rtt, 'the old connection lives')
    open.destroy()
  },
)

const connected = ({ door }: World): Promise<Socket> =>
  new Promise((resolve) => {
    const socket = connect(door.address.port, '127.0.0.1', () => resolve(socket))
    // A refusal may come before the connection is known to be there.
    socket.on('error', () => resolve(socket))
  })

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.closed) resolve()
    else socket.once('close', () => resolve()).resume()
  })

withDoor(
  'closes who says nothing, and who begins TLS and stops',
  async () => ({ ...(await tlsOptional()), handshakeMs: 200 }),
  async (world) => {
    const silent = await connected(world)
    const halfway = await connected(world)
    halfway.write(Buffer.from([0x16, 0x03, 0x01]))
    const startMs = performance.now()
    await Promise.all([closed(silent), closed(halfway)])
    const tookMs = performance.now() - startMs
    assert.ok(tookMs > 150 && tookMs < 2_000, `${tookMs} ms`)
    await eventually('all are gone', () => world.door.connections === 0)
  },
)

withDoor('closes at once who speaks something else', tlsOptional, async (world) => {
  for (const text of ['GET / HTTP/1.1\r\n\r\n', '\0\0\0', 'SSH-2.0-x\r\n']) {
    const socket = await connected(world)
    socket.write(text)
    await closed(socket)
  }
  await eventually('all are gone', () => world.door.connections === 0)
})

withDoor('does not wait for the undecided when it closes', {}, async (world) => {
  const silent = await connected(world)
  await eventually('it was accepted', () => world.door.connections === 1)
  const startMs = performance.now()
  await Promise.all([closed(silent), world.door.close({ drainMs: 5_000 })])
  assert.ok(performance.now() - startMs < 1_000)
})

for (const [limit, options] of [
  ['in all', { connectionsMax: 3 }],
  ['from one address', { connectionsPerAddressMax: 3 }],
] as const)
  withDoor(`refuses more connections than allowed ${limit}`, options, async (world) => {
    const { door, logger } = world
    const sockets = await Promise.all(Array.from({ length: 3 }, () => connected(world)))
    await eventually('all are there', () => door.connections === 3)
    for (let index = 0; index < 5; index++) await closed(await connected(world))
    assert.is(door.connections, 3)
    const warned = logger.lines.filter(({ level }) => level === 'warn')
    assert.is(warned.length, 1, 'one line for many')
    sockets[0]?.destroy()
    await eventually('one is gone', () => door.connections === 2)
    const client = new RawClient(world.endpoint)
    assert.is((await client.status('SendMessage', sendRequest('orders', 'x'))).code, 20000)
    client.close()
    for (const socket of sockets) socket.destroy()
    await eventually('all are gone', () => door.connections === 0)
  })

withDoor('reads a first byte that comes alone', {}, async (world) => {
  const socket = await connected(world)
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  socket.write(preface.subarray(0, 1))
  await sleep(50)
  socket.write(preface.subarray(1))
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])
  socket.write(settings)
  const reply = await new Promise<Buffer>((resolve) => void socket.once('data', resolve))
  assert.is(reply[3], 4, 'a SETTINGS frame')
  socket.destroy()
})

withDoor(
  'tells clients how many calls one connection may have',
  { inFlightPerConnectionMax: 17 },
  async (world) => {
    const session = connectHttp2(`http://127.0.0.1:${world.door.address.port}`)
    const settings = await new Promise<{ maxConcurrentStreams?: number }>((resolve) => {
      session.once('remoteSettings', resolve)
    })
    assert.is(settings.maxConcurrentStreams, 17)
    session.destroy()
  },
)

withDoor(
  'refuses a request that is too large, and goes on',
  { requestBytesMax: 200_000 },
  async (world) => {
    const client = new RawClient(world.endpoint)
    const large = sendRequest('orders', 'x'.repeat(300_000))
    const error = await client.unary('SendMessage', large).catch((thrown: unknown) => thrown)
    assert.match(String(error), /RESOURCE_EXHAUSTED/)
    assert.is((await client.status('SendMessage', sendRequest('orders', 'x'))).code, 20000)
    client.close()
  },
)

Front.run()
