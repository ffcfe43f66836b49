import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTls } from 'node:tls'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type GlasspostServer, startServer } from '../../index.ts'
import { attack, bytesInUse, damaged, Dice, recorded } from '../support/fuzzing.ts'
import { seededRandom } from '../support/random.ts'
import { eventually, sleep } from '../support/waiting.ts'
import { framesOf, RawClient, telemetryOf } from './grpc/support/raw-client.ts'
import {
  ackRequest,
  consumerSettings,
  producerSettings,
  receiveRequest,
  sendRequest,
  settingsCommand,
} from './grpc/support/requests.ts'

/**
 * Strategy: recorded conversations with bytes damaged, HTTP/2 frames made of dice behind a sound
 * beginning, requests whose headers or framing are wrong, plain noise, and all of it in TLS too.
 * Invariants: the process lives, a well-behaved client beside it is answered every time and finds
 * what it sent, no connection, session or call is left, and memory is back where it was.
 *
 * `FUZZ_ATTACKS=20000` runs long, `SEED=…` repeats.
 */
const ATTACKS = Number(process.env['FUZZ_ATTACKS'] ?? 600)
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
const AT_ONCE = 8
const GROWTH_BYTES_MAX = 12 * 2 ** 20

const Fuzz = suite(`hostile bytes on both ports, SEED=${SEED}`)

const portOf = (address: string): number => Number(address.replace(/.*:/, ''))

const grpcConversations = (port: number): Promise<Buffer[]> =>
  Promise.all(
    [
      (client: RawClient) =>
        client.unary('SendMessage', sendRequest('fuzzed', 'a body', 'another')),
      (client: RawClient) => client.unary('AckMessage', ackRequest('fuzzed', 'no handle')),
      (client: RawClient) => framesOf(client.receive(receiveRequest('fuzzed', { pollMs: 1 }), 800)),
      async (client: RawClient) => {
        const stream = client.telemetry()
        const told = telemetryOf(stream)
        stream.write(settingsCommand(producerSettings(['fuzzed'])))
        stream.write(settingsCommand(consumerSettings('group', ['fuzzed'])))
        stream.end()
        await told
      },
    ].map((converse) =>
      recorded(port, async (relayed) => {
        const client = new RawClient(`127.0.0.1:${relayed}`)
        await converse(client)
        client.close()
      }),
    ),
  )

const httpConversation = (method: string, path: string, body = ''): Buffer =>
  Buffer.from(
    `${method} ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
      `content-length: ${body.length}\r\n\r\n${body}`,
  )

const httpConversations: readonly [Buffer, ...Buffer[]] = [
  httpConversation('GET', '/metrics'),
  httpConversation('GET', '/topics/fuzzed'),
  httpConversation('POST', '/topics', '{"name":"fuzzed-too","queues":8}'),
  httpConversation('DELETE', '/topics/fuzzed-too'),
  Buffer.concat(['/livez', '/readyz', '/audit'].map((path) => httpConversation('GET', path))),
]

/** The client's preface and empty SETTINGS, as every connection begins. */
const beginning = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
])

const aFrame = (dice: Dice): Buffer => {
  const payload = dice.bytes(40)
  const head = Buffer.alloc(9)
  head.writeUIntBE(dice.below(8) === 0 ? dice.below(2 ** 24) : payload.length, 0, 3)
  head.writeUInt8(dice.below(12), 3)
  head.writeUInt8(dice.below(256), 4)
  head.writeUInt32BE(dice.below(5), 5)
  return Buffer.concat([head, payload])
}

const someFrames = (dice: Dice): Buffer =>
  Buffer.concat([beginning, ...Array.from({ length: 1 + dice.below(6) }, () => aFrame(dice))])

/** A sound HTTP/2 client that asks for the wrong things, or leaves in the middle. */
const wrongRequest = async (dice: Dice, port: number): Promise<void> => {
  const session = connectHttp2(`http://127.0.0.1:${port}`)
  session.on('error', () => undefined)
  const service = '/apache.rocketmq.v2.MessagingService/'
  const stream = session.request({
    ':method': dice.pick(['POST', 'GET', 'PUT']),
    ':path': dice.pick([
      `${service}SendMessage`,
      `${service}ReceiveMessage`,
      `${service}Telemetry`,
      '/',
    ]),
    'content-type': dice.pick(['application/grpc', 'application/grpc+proto', 'text/plain', '']),
    'grpc-timeout': dice.pick(['1S', '0m', '99999999H', 'x', '-1S']),
    'grpc-encoding': dice.pick(['identity', 'gzip', 'nonsense']),
    'x-mq-client-id': dice.pick(['fuzz', '', 'x'.repeat(2_000)]),
  })
  stream.on('error', () => undefined)
  stream.resume()
  const body = dice.bytes(64)
  const head = Buffer.alloc(5)
  head.writeUInt8(dice.below(3), 0)
  head.writeUInt32BE(dice.pick([body.length, 0, body.length + 9, 2 ** 31]), 1)
  stream.write(Buffer.concat([head, body]))
  if (dice.below(2) === 0) stream.end()
  await sleep(dice.below(15))
  if (dice.below(2) === 0) stream.close(dice.below(14))
  await sleep(dice.below(5))
  session.destroy()
}

/** Noise within an established TLS connection. */
const noiseInTls = async (dice: Dice, port: number): Promise<void> => {
  const options = { port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] }
  const socket = connectTls(options)
  socket.on('error', () => undefined)
  socket.write(dice.pick([() => dice.bytes(200), () => someFrames(dice)])())
  socket.resume()
  await sleep(dice.below(20))
  socket.destroy()
}

const withServer = async (
  use: (server: GlasspostServer, good: RawClient) => Promise<void>,
): Promise<void> => {
  await using server = await startServer({
    ...{ memory: true, grpcPort: 0, httpPort: 0, tls: { mode: 'optional' } },
    grpc: { handshakeMs: 500, keepaliveMs: 500 },
    settings: { sessionGraceMs: 1_000 },
  })
  for (const topic of ['fuzzed', 'good']) await server.broker.topics.create(topic)
  const good = new RawClient(server.grpcAddress, { 'x-mq-client-id': 'good' })
  await use(server, good)
  good.close()
}

Fuzz('hurt nobody: no crash, no leak, other connections unharmed', () =>
  withServer(async (server, good) => {
    const dice = new Dice(seededRandom(SEED))
    const [grpc, http] = [portOf(server.grpcAddress), portOf(server.httpAddress)]
    const [first, ...others] = await grpcConversations(grpc)
    const sound: readonly [Buffer, ...Buffer[]] = [first ?? beginning, ...others]
    const hello = await recorded(grpc, (port) => noiseInTls(dice, port))
    const attacks: readonly [() => Promise<void>, ...(() => Promise<void>)[]] = [
      () => attack(dice, grpc, damaged(dice, dice.pick(sound))),
      () => attack(dice, grpc, damaged(dice, dice.pick(sound))),
      () => attack(dice, grpc, damaged(dice, hello)),
      () => attack(dice, grpc, someFrames(dice)),
      () => attack(dice, grpc, Buffer.concat([Buffer.from('P'), dice.bytes(100)])),
      () => attack(dice, grpc, dice.bytes(100)),
      () => wrongRequest(dice, grpc),
      () => noiseInTls(dice, grpc),
      () => attack(dice, http, damaged(dice, dice.pick(httpConversations))),
      () => attack(dice, http, dice.bytes(100)),
    ]
    let sent = 0
    const sendOne = async (): Promise<void> => {
      const { code, message } = await good.status('SendMessage', sendRequest('good', `${sent}`))
      assert.is(code, 20000, message)
      sent++
    }
    const run = async (count: number): Promise<void> => {
      for (let done = 0; done < count; done += AT_ONCE)
        await Promise.all([
          sendOne(),
          ...Array.from({ length: AT_ONCE }, () => dice.pick(attacks)()),
        ])
      await eventually('only the good connection is left', () => server.connections <= 1)
    }
    // What is loaded and cached once is not a leak.
    await run(ATTACKS / 3)
    const before = await bytesInUse()
    await run(ATTACKS)
    const growth = (await bytesInUse()) - before
    assert.ok(growth < GROWTH_BYTES_MAX, `${(growth / 2 ** 20).toFixed(1)} MiB more`)
    const { offsets } = server.broker.topics.describe('good')
    const stored = offsets.reduce((sum, { offsetMin, offsetMax }) => sum + offsetMax - offsetMin, 0)
    assert.is(stored, sent)
    await eventually('sessions are over', () => server.broker.port.sessions.count <= 2, 10_000)
  }),
)

Fuzz.run()
