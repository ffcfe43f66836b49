import { request } from 'node:http'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { eventually } from '../../support/waiting.ts'
import { openDoor, type OpenedDoor } from './support/http-door.ts'

const TOKEN = 'an-admin-token-of-some-length'
const WAIT_MS_MAX = 5_000

interface RawAnswer {
  readonly status: number
  readonly text: string
}

/** What `fetch` would not send: any host, any header, a body in chunks. */
const raw = (
  { port }: { readonly port: number },
  path: string,
  options: { readonly method?: string; readonly headers?: Record<string, string> } = {},
  chunks: readonly (string | Buffer)[] = [],
): Promise<RawAnswer> =>
  new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, ...options }, (answer) => {
      let text = ''
      answer.on('data', (part: Buffer) => (text += part.toString()))
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
    })
    sent.on('error', reject)
    for (const chunk of chunks) sent.write(chunk)
    sent.end()
  })

const json = { 'content-type': 'application/json' }
const codeOf = (text: string): unknown => (JSON.parse(text) as { code: unknown }).code

const Door = suite('the HTTP door')

Door('with a token, lets in who bears it; probes stay open and say little', async () => {
  await using door = await openDoor({ token: TOKEN })
  const get = (path: string, authorization?: string) =>
    raw(door, path, authorization === undefined ? {} : { headers: { authorization } })
  for (const given of [undefined, 'Bearer', 'Bearer wrong', `Basic ${TOKEN}`, `Bearer ${TOKEN}x`])
    for (const path of ['/v1/topics', '/metrics', '/v1/audit', '/v1/backup', '/nope']) {
      const { status, text } = await get(path, given)
      assert.equal([status, codeOf(text)], [401, 'TOKEN_REQUIRED'], `${path} ${given}`)
    }
  for (const path of ['/v1/topics', '/metrics'])
    assert.is((await get(path, `bearer ${TOKEN}`)).status, 200, path)
  assert.is((await get('/livez')).status, 200)
  assert.is((await get('/openapi.json')).status, 200)
  assert.equal(JSON.parse((await get('/readyz')).text), { ready: true })
  assert.match((await get('/readyz', `Bearer ${TOKEN}`)).text, '"loops"')
  assert.not(
    door.logged.some((line) => line.includes(TOKEN)),
    'it is never logged',
  )
})

Door('on a local port without a token, answers to addresses and localhost only', async () => {
  await using door = await openDoor()
  const get = (host: string) => raw(door, '/v1/topics', { headers: { host } })
  for (const host of ['127.0.0.1', 'localhost', 'localhost:8082', '[::1]:8082', '10.1.2.3'])
    assert.is((await get(host)).status, 200, host)
  for (const host of ['evil.example', 'evil.example:8082', 'localhost.evil.example'])
    assert.is(codeOf((await get(host)).text), 'HOST_NOT_ALLOWED', host)
  const from = (origin: string) => raw(door, '/v1/topics', { headers: { origin } })
  assert.is((await from(door.url)).status, 200)
  for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:1'])
    assert.is(codeOf((await from(origin)).text), 'HOST_NOT_ALLOWED', origin)
  await using guarded = await openDoor({ token: TOKEN })
  const headers = { host: 'broker.example', authorization: `Bearer ${TOKEN}` }
  assert.is((await raw(guarded, '/v1/topics', { headers })).status, 200)
})

Door('a body of another type is refused, so that no web page can send one unasked', async () => {
  await using door = await openDoor()
  const headers = { 'content-type': 'text/plain' }
  const refused = await raw(door, '/v1/topics', { method: 'POST', headers }, ['{"name":"a"}'])
  assert.equal([refused.status, codeOf(refused.text)], [400, 'REQUEST_ILLEGAL'])
  assert.equal(door.broker.topics.list(), [])
})

Door(
  'a body that is too large is refused, said or not, and the next request is served',
  async () => {
    await using door = await openDoor({ limits: { bodyBytesMax: 1_000 } })
    const post = (headers: Record<string, string>, size: number) =>
      raw(door, '/v1/topics', { method: 'POST', headers: { ...json, ...headers } }, [
        '{"name":"a"}',
        Buffer.alloc(size, ' '),
      ])
    const chunked = { 'transfer-encoding': 'chunked' }
    for (const headers of [{ 'content-length': '2012' }, chunked]) {
      const { status, text } = await post(headers, 2_000)
      assert.equal([status, codeOf(text)], [413, 'REQUEST_TOO_LARGE'])
    }
    assert.is((await post(chunked, 900)).status, 201)
    const long = await raw(door, `/v1/topics?prefix=${'x'.repeat(20_000)}`)
    assert.equal([long.status, codeOf(long.text)], [431, 'REQUEST_TOO_LARGE'])
  },
)

Door('more requests at one time than it answers are refused, and room comes back', async () => {
  await using door = await openDoor({ limits: { requestsInFlightMax: 2 } })
  await door.broker.topics.create('a')
  const leaving = new AbortController()
  const wait = () =>
    fetch(`${door.url}/v1/groups/g/receive`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ topic: 'a', waitMs: 20_000 }),
      signal: leaving.signal,
    }).catch(() => undefined)
  const waiting = [wait(), wait()]
  const live = async () => (await raw(door, '/livez')).status
  await eventually('both wait', async () => (await live()) === 429, WAIT_MS_MAX)
  leaving.abort()
  await Promise.all(waiting)
  await eventually('those who left made room', async () => (await live()) === 200, WAIT_MS_MAX)
  assert.match(await door.broker.metrics(), /^glasspost_parked_receives\{[^}]*\} 0$/m)
})

Door('what fails unexpectedly is logged, and not told', async () => {
  const audit = () => Promise.reject(new Error('the vault is at /etc/shadow'))
  await using door = await openDoor({}, { audit })
  const { status, text } = await raw(door, '/v1/audit')
  assert.equal([status, codeOf(text)], [500, 'INTERNAL'])
  assert.not.match(text, 'shadow')
  assert.ok(door.logged.some((line) => line.includes('/etc/shadow')))
})

Door('says 503 while commands are refused, with every loop and its next try', async () => {
  const loop = { address: 'commit-log', state: { refusing: 'backingOff' }, restarts: 3 }
  const loops = () => [
    { ...loop, lastError: 'no space left', nextTryInMs: 1_200.3 },
    {
      address: 'topic:1',
      state: 'serving',
      restarts: 0,
      lastError: undefined,
      nextTryInMs: undefined,
    },
  ]
  await using door = await openDoor({}, { refusal: () => 'the commit log is reopened', loops })
  const { status, text } = await raw(door, '/readyz')
  assert.is(status, 503)
  const shown = { state: 'refusing.backingOff', lastError: 'no space left', nextTryInMs: 1_201 }
  assert.equal(JSON.parse(text), {
    ready: false,
    refusal: 'the commit log is reopened',
    loops: [{ ...loop, ...shown }],
    quietLoops: 1,
  })
  const all = JSON.parse((await raw(door, '/readyz?all=true')).text) as { loops: object[] }
  assert.is(all.loops.length, 2)
})

Door('closes: who waits is answered at once', async () => {
  await using door = await openDoor()
  await door.broker.topics.create('a')
  const body = JSON.stringify({ topic: 'a', waitMs: 20_000 })
  const headers = { ...json, 'content-length': String(body.length) }
  const waiting = raw(door, '/v1/groups/g/receive', { method: 'POST', headers }, [body])
  const parked = async () =>
    /^glasspost_parked_receives\{[^}]*\} 1$/m.test(await door.broker.metrics())
  await eventually('it waits', parked, WAIT_MS_MAX)
  const startMs = performance.now()
  await door.door.close({ drainMs: 10_000 })
  assert.equal(await waiting, { status: 200, text: '{"messages":[]}' })
  assert.ok(performance.now() - startMs < WAIT_MS_MAX)
})

Door('one audit at a time', async () => {
  let release = (): void => {}
  const audit = () =>
    new Promise<{ clean: true; residue: []; awaitingReclaim: [] }>((resolve) => {
      release = () => resolve({ clean: true, residue: [], awaitingReclaim: [] })
    })
  await using door: OpenedDoor = await openDoor({}, { audit })
  const first = raw(door, '/v1/audit')
  const second = async () => (await raw(door, '/v1/audit')).status
  await eventually('the first has begun', async () => (await second()) === 429, WAIT_MS_MAX)
  release()
  assert.is((await first).status, 200)
})

Door.run()
