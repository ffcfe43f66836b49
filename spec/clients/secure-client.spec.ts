import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { GlasspostServer, ServerOptions } from '../../index.ts'
import { aCertificate } from '../support/certificates.ts'

/**
 * The official Node client over TLS and with access keys. It trusts the roots of one file, which
 * it reads when it first makes a channel; so that file is there before it is loaded.
 */
const folder = await mkdtemp(join(tmpdir(), 'glasspost-secure-'))
const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') }
const trusted = await aCertificate()
await writeFile(files.certFile, trusted.cert)
await writeFile(files.keyFile, trusted.key)
process.env['GRPC_DEFAULT_SSL_ROOTS_FILE_PATH'] = files.certFile

const { ChannelCredentials } = await import('@grpc/grpc-js')
const { startServer } = await import('../../index.ts')
const { ConsumeResult, Producer, PushConsumer, quiet, SimpleConsumer } = await import(
  '../protocols/grpc/support/official-client.ts'
)
const { leaveClientsBehind } = await import('../support/clients.ts')
const { eventually } = await import('../support/waiting.ts')

const Secure = suite('the official Node client, TLS and access keys')

Secure.after(async () => {
  leaveClientsBehind()
  await rm(folder, { recursive: true, force: true })
})

const SECRET = 'a secret of many letters'
const shop = { accessKey: 'shop', accessSecret: SECRET }

interface As {
  readonly sslEnabled?: boolean
  readonly sessionCredentials?: { accessKey: string; accessSecret: string }
}

const common = { namespace: '', logger: quiet, requestTimeout: 2_000 }

const producing = async (endpoints: string, as: As, topic = 'orders'): Promise<void> => {
  const producer = new Producer({ ...common, endpoints, topics: [topic], maxAttempts: 1, ...as })
  await producer.startup()
  await producer.send({ topic, body: Buffer.from('hello') })
  await producer.shutdown()
}

const simple = async (endpoints: string, as: As, consumerGroup = 'group'): Promise<string[]> => {
  const consumer = new SimpleConsumer({
    ...common,
    endpoints,
    consumerGroup,
    subscriptions: new Map([['orders', '*']]),
    awaitDuration: 5_000,
    maxRetryAttempts: 1,
    ...as,
  })
  await consumer.startup()
  const messages = await consumer.receive(32, 15_000)
  for (const message of messages) await consumer.ack(message)
  await consumer.shutdown()
  return messages.map(({ body }) => body.toString())
}

/** The first message that the push consumer is handed. Its shutdown would wait for a long poll. */
const pushed = async (endpoints: string, as: As, consumerGroup = 'push'): Promise<string> => {
  let first: string | undefined
  const consumer = new PushConsumer({
    ...common,
    endpoints,
    consumerGroup,
    subscriptions: new Map([['orders', '*']]),
    messageListener: {
      consume: async ({ body }) => {
        first = body.toString()
        return ConsumeResult.SUCCESS
      },
    },
    ...as,
  })
  await consumer.startup()
  await eventually('it was handed a message', () => first !== undefined, 15_000)
  return first ?? ''
}

/** All three roles, one after the other. */
const roles = async (endpoints: string, as: As): Promise<void> => {
  await producing(endpoints, as)
  assert.equal(await simple(endpoints, as), ['hello'])
  assert.is(await pushed(endpoints, as), 'hello')
}

/** The Node client has no switch for it, others have; so the library below it is told. */
const withoutVerification = async (act: () => Promise<void>): Promise<void> => {
  const createSsl = ChannelCredentials.createSsl.bind(ChannelCredentials)
  ChannelCredentials.createSsl = () => createSsl(null, null, null, { rejectUnauthorized: false })
  try {
    await act()
  } finally {
    ChannelCredentials.createSsl = createSsl
  }
}

const failureOf = (attempt: Promise<unknown>): Promise<string> =>
  attempt.then(
    () => 'none',
    (error: unknown) => String(error),
  )

const serving = async (
  options: ServerOptions,
  use: (server: GlasspostServer) => Promise<void>,
): Promise<void> => {
  const defaults = { memory: true, grpcPort: 0, autoCreateTopics: true } as const
  await using server = await startServer({ ...defaults, ...options })
  await use(server)
}

Secure('works over TLS with verification on, and in the clear on the same port', () =>
  serving({ tls: { mode: 'optional', files } }, async ({ grpcAddress }) => {
    await roles(grpcAddress, { sslEnabled: true })
    await producing(grpcAddress, {})
  }),
)

Secure('works over TLS with verification off, and a certificate that was made', () =>
  serving({ tls: { mode: 'required' } }, async ({ grpcAddress }) => {
    assert.match(await failureOf(producing(grpcAddress, { sslEnabled: true })), /topic routes/)
    assert.match(await failureOf(producing(grpcAddress, {})), /topic routes/)
    await withoutVerification(() => roles(grpcAddress, { sslEnabled: true }))
  }),
)

const accountsText = (secretKey = SECRET) =>
  JSON.stringify({
    accounts: [
      {
        accessKey: 'shop',
        secretKey,
        topics: { 'ord*': ['publish', 'subscribe'] },
        groups: { group: ['subscribe'], push: ['subscribe'] },
      },
      { accessKey: 'reader', secretKey, topics: { orders: ['subscribe'] } },
    ],
  })

const withAccounts = async (
  use: (server: GlasspostServer, file: string) => Promise<void>,
): Promise<void> => {
  const accountsFile = join(folder, 'accounts.json')
  await writeFile(accountsFile, accountsText())
  await serving({ accountsFile, reloadMs: 0, tls: { mode: 'optional', files } }, (server) =>
    use(server, accountsFile),
  )
}

Secure('works with a right key that has the rights, in the clear and over TLS', () =>
  withAccounts(async ({ grpcAddress }) => {
    await roles(grpcAddress, { sessionCredentials: shop })
    const as = { sessionCredentials: shop, sslEnabled: true }
    await producing(grpcAddress, as)
    assert.equal(await simple(grpcAddress, as), ['hello'])
  }),
)

Secure('is refused without a key, with a wrong one, and with another secret', () =>
  withAccounts(async ({ grpcAddress, broker }) => {
    const strangers: readonly As[] = [
      {},
      { sessionCredentials: { accessKey: 'shopp', accessSecret: SECRET } },
      { sessionCredentials: { accessKey: 'shop', accessSecret: `${SECRET}!` } },
    ]
    const failures = await Promise.all(
      strangers.flatMap((as) =>
        [producing, simple, pushed].map((role) => failureOf(role(grpcAddress, as))),
      ),
    )
    for (const failure of failures) assert.match(failure, /topic routes/)
    assert.equal(broker.topics.list(), [])
  }),
)

Secure('is refused with a right key without the right', () =>
  withAccounts(async ({ grpcAddress, broker }) => {
    const as = { sessionCredentials: shop }
    const reader = { sessionCredentials: { accessKey: 'reader', accessSecret: SECRET } }
    await producing(grpcAddress, as)
    assert.match(await failureOf(producing(grpcAddress, as, 'secrets')), /topic routes/)
    assert.match(await failureOf(producing(grpcAddress, reader)), /may not publish to topic/)
    assert.match(await failureOf(simple(grpcAddress, as, 'other')), /may not subscribe/)
    assert.match(await failureOf(pushed(grpcAddress, as, 'other')), /may not subscribe/)
    assert.equal(
      broker.topics.list().map(({ name }) => name),
      ['orders'],
    )
  }),
)

Secure('is refused after its secret was changed, with the server running', () =>
  withAccounts(async (server, file) => {
    const old = { sessionCredentials: shop }
    await producing(server.grpcAddress, old)
    const accessSecret = 'another secret of many letters'
    await writeFile(file, accountsText(accessSecret))
    await server.reload()
    assert.match(await failureOf(producing(server.grpcAddress, old)), /topic routes/)
    const renewed = { sessionCredentials: { accessKey: 'shop', accessSecret } }
    await producing(server.grpcAddress, renewed)
    await writeFile(file, '{')
    await server.reload()
    await producing(server.grpcAddress, renewed)
  }),
)

Secure.run()
