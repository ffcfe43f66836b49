import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { holds } from '../../support/property.ts'
import { eventually } from '../../support/waiting.ts'
import { openDoor, type OpenedDoor } from './support/http-door.ts'

const MEBI = 1 << 20
const GROWTH_MIB_MAX = 150
const ENDS_MS_MAX = 10_000

const Fuzz = suite<{ door: OpenedDoor }>('the HTTP door, fuzzed')

Fuzz.before(async (context) => {
  const door = await openDoor({ limits: { headersMs: 2_000, requestMs: 2_000 } })
  await door.broker.topics.create('a', { queues: 1 })
  await door.broker.groups.create('g')
  context.door = door
})
Fuzz.after(async ({ door }) => {
  await door[Symbol.asyncDispose]()
})

const isServing = async ({ url }: OpenedDoor): Promise<boolean> =>
  (await fetch(`${url}/livez`)).status === 200

const noDefect = ({ logged }: OpenedDoor): void =>
  assert.equal(
    logged.filter((line) => line.includes('unexpectedly')),
    [],
  )

/** Sends the pieces, says that no more comes or just leaves, and waits for the end. */
const pour = async (
  port: number,
  pieces: readonly Uint8Array[],
  isRude: boolean,
): Promise<Socket> => {
  const socket = connect({ host: '127.0.0.1', port })
  socket.on('error', () => {})
  await once(socket, 'connect')
  for (const piece of pieces) socket.write(piece)
  if (isRude) socket.destroy()
  else socket.end()
  socket.resume()
  if (!socket.closed) await once(socket, 'close')
  return socket
}

const heads = fc.constantFrom(
  'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'POST /v1/topics HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n',
  'POST /v1/topics HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n',
  'GET / HTTP/1.1\r\nHost: \r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'GET http://[ HTTP/1.1\r\n\r\n',
)
const pieces = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    heads.map((head) => Buffer.from(head)),
  ),
  { minLength: 1, maxLength: 4 },
)

Fuzz('bytes of any kind: it serves on, and holds nothing of who sent them', async ({ door }) => {
  await holds(
    fc.asyncProperty(pieces, fc.boolean(), async (sent, isRude) => {
      await pour(door.port, sent, isRude)
    }),
    { runs: 150 },
  )
  assert.ok(await isServing(door))
  noDefect(door)
})

const topic = fc.constantFrom('a', 'b', '%DLQ%g', 'no such', '..', '', 'é', 'x'.repeat(300), '%')
const anything = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(undefined, -1, 1e308, 0.5))
const field = fc.constantFrom(
  ...['name', 'topic', 'type', 'queues', 'retention', 'body', 'bodyBase64', 'tag', 'keys'],
  ...['properties', 'messageGroup', 'batchMax', 'receiptHandle', 'invisibleMs', 'attemptsMax'],
  ...['to', 'queueId', 'filter', 'reason', 'retry', '__proto__', 'constructor'],
)
const body = fc.oneof(
  fc.dictionary(field, anything, { maxKeys: 5 }).map((fields) => JSON.stringify(fields)),
  fc.string({ maxLength: 60 }),
  fc.constantFrom('{"name":"a","name":"b"}', '[]', 'null', '"', '['.repeat(5_000)),
)

Fuzz('requests of any kind: answered in the form of the document, no defect', async ({ door }) => {
  const document = (await (await fetch(`${door.url}/openapi.json`)).json()) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  }
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ path, method: method.toUpperCase() })),
  )
  const query = fc.option(
    fc.tuple(fc.constantFrom('limit', 'after', 'fromOffset', 'all', 'topic'), topic),
  )
  const rssBefore = process.memoryUsage.rss()
  await holds(
    fc.asyncProperty(
      fc.tuple(fc.constantFrom(...operations), topic, body, query),
      async ([{ path, method }, name, text, asked]) => {
        const filled = path.replace(/\{\w+\}/g, () => encodeURIComponent(name))
        const search = asked ? `?${asked[0]}=${encodeURIComponent(asked[1])}` : ''
        const answer = await fetch(`${door.url}${filled}${search}`, {
          method,
          headers: { 'content-type': 'application/json' },
          ...(method === 'GET' ? {} : { body: text }),
        })
        const said = await answer.text()
        assert.is.not(answer.status, 500, `${method} ${filled}: ${said}`)
        if (answer.status < 400) return
        const { code, remedy } = JSON.parse(said) as Record<string, unknown>
        assert.ok(typeof code === 'string' && typeof remedy === 'string', said)
      },
    ),
    { runs: 400 },
  )
  assert.ok(await isServing(door))
  noDefect(door)
  const grownMiB = (process.memoryUsage.rss() - rssBefore) / MEBI
  assert.ok(grownMiB < GROWTH_MIB_MAX, `${grownMiB} MiB more`)
  const { clean, residue } = await door.broker.audit()
  assert.ok(clean, JSON.stringify(residue))
})

Fuzz(
  'a connection that sends nothing, or slowly, ends; others are not disturbed',
  async (context) => {
    const { door } = context
    const silent = connect({ host: '127.0.0.1', port: door.port })
    silent.on('error', () => {})
    silent.write('GET /livez HTTP/1.1\r\nHost: loc')
    silent.resume()
    assert.ok(await isServing(door))
    await eventually('it was ended', () => silent.closed, 40_000)
  },
)

Fuzz('afterwards nobody is connected and nothing waits', async ({ door }) => {
  await eventually(
    'nothing waits',
    async () => /^glasspost_parked_receives\{[^}]*\} 0$/m.test(await door.broker.metrics()),
    ENDS_MS_MAX,
  )
})

Fuzz.run()
