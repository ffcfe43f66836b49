import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { DeadLetter, TraceStep } from '../../../index.ts'
import { type AdminClient, serveAdmin } from './support/admin-client.ts'

interface Document {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

interface Loop {
  readonly address: string
  readonly nextTryInMs?: number
}

interface Page {
  readonly topics: readonly { readonly name: string }[]
  readonly next?: string
}

interface Delivered {
  readonly messages: readonly { readonly receiptHandle: string; readonly body?: string }[]
}

interface Traces {
  readonly traces: readonly { readonly steps: readonly TraceStep[] }[]
}

interface Letters {
  readonly deadLetters: readonly DeadLetter[]
  readonly next?: string
}

const Routes = suite<{ admin: AdminClient }>('the routes of HTTP')

Routes.before(async (context) => {
  context.admin = await serveAdmin()
})
Routes.after(({ admin }) => admin.server.close())

Routes('topics: created, listed, described, changed and deleted', async ({ admin: { call } }) => {
  const made = await call('POST /v1/topics', { name: 'orders', type: 'FIFO', queues: 2 })
  assert.is(made.status, 201)
  const expected = { name: 'orders', type: 'FIFO', queues: 2, state: 'serving', messages: 0 }
  for (const [field, value] of Object.entries(expected)) assert.equal(made.json()[field], value)
  assert.is(
    (await call('POST /v1/topics', { name: 'orders', type: 'FIFO', queues: 2 })).status,
    201,
  )
  await call('POST /v1/topics', { name: 'other' })
  const list = (await call('GET /v1/topics?prefix=o&limit=1')).json() as unknown as Page
  assert.equal([list.topics.length, list.next], [1, 'orders'])
  const rest = (await call('GET /v1/topics?after=orders')).json() as unknown as Page
  assert.equal(
    rest.topics.map(({ name }) => name),
    ['other'],
  )
  for (const nothing of [undefined, {}])
    assert.is((await call('PATCH /v1/topics/orders', nothing)).status, 400)
  const changed = await call('PATCH /v1/topics/orders', { retention: { ageMs: 1_000 } })
  assert.equal(changed.json()['retention'], { ageMs: 1_000, bytes: 0 })
  assert.equal((await call('GET /v1/topics/orders')).json(), changed.json())
  assert.is((await call('DELETE /v1/topics/orders')).status, 204)
  assert.is((await call('GET /v1/topics/orders')).status, 404)
})

Routes('messages: sent, received on lease, given back, acknowledged', async ({ admin }) => {
  const { call } = admin
  await call('POST /v1/topics', { name: 'mail', queues: 1 })
  const sent = await call('POST /v1/topics/mail/messages', { body: 'héllo', tag: 'a', keys: ['k'] })
  assert.is(sent.status, 201)
  assert.is(sent.json()['queueOffset'], 0)
  await call('POST /v1/topics/mail/messages', { bodyBase64: '/w==', properties: { a: 'b' } })
  const peek = await call('GET /v1/topics/mail/queues/0/messages?fromOffset=1&limit=5')
  const [seen] = (peek.json() as unknown as { messages: object[] }).messages
  assert.equal({ bodyBase64: '/w==', properties: { a: 'b' }, queueOffset: 1, ...seen }, seen)
  const receive = async () => {
    const request = { topic: 'mail', batchMax: 32 }
    const answer = await call('POST /v1/groups/readers/receive', request)
    return answer.json() as unknown as Delivered
  }
  const { messages } = await receive()
  assert.equal(
    messages.map((message) => ('body' in message ? message.body : Object(message).bodyBase64)),
    ['héllo', '/w=='],
  )
  const [first = '', second = ''] = messages.map(({ receiptHandle }) => receiptHandle)
  assert.equal(await receive(), { messages: [] })
  const back = { receiptHandle: first, invisibleMs: 0 }
  assert.is((await call('POST /v1/receipts/extend', back)).status, 200)
  const [again] = (await receive()).messages
  assert.is(again?.body, 'héllo')
  assert.is((await call('POST /v1/receipts/ack', { receiptHandle: second })).status, 204)
  assert.is((await call('POST /v1/receipts/ack', { receiptHandle: first })).status, 409)
  const letter = { receiptHandle: again?.receiptHandle, reason: 'unreadable' }
  assert.is((await call('POST /v1/receipts/dead-letter', letter)).status, 204)
  const dead = await call('GET /v1/topics/%25DLQ%25readers')
  assert.is(dead.json()['messages'], 1)
})

Routes('messages: found by key, time and id, and asked why', async ({ admin: { call } }) => {
  await call('POST /v1/topics', { name: 'lost', queues: 2 })
  for (const key of ['a', 'b', 'a'])
    await call('POST /v1/topics/lost/messages', { body: key, keys: [key], messageId: `id-${key}` })
  const found = async (query: `/${string}`) =>
    ((await call(`GET ${query}`)).json() as unknown as Delivered).messages.map(({ body }) => body)
  assert.equal(await found('/v1/topics/lost/messages?key=a'), ['a', 'a'])
  assert.equal(await found('/v1/topics/lost/messages?limit=2'), ['a', 'b'])
  assert.equal(await found('/v1/topics/lost/messages?key=a&toMs=1'), [])
  assert.equal(await found('/v1/messages/id-b?topic=lost'), ['b'])
  assert.equal(await found('/v1/messages/unknown'), [])
  await call('POST /v1/groups/finders/receive', { topic: 'lost', filter: 'none' })
  const why = (await call('GET /v1/messages/id-b/why?bytesMax=100000')).json()
  const [trace] = (why as unknown as Traces).traces
  assert.equal(
    trace?.steps.map(({ what, group }) => [what, group ?? '']),
    [
      ['stored', ''],
      ['filteredOut', 'finders'],
    ],
  )
  assert.is((await call('GET /v1/messages/unknown/why')).status, 404)
  assert.is((await call('GET /v1/topics/nope/messages?key=a')).status, 404)
})

Routes('dead letters: listed, redriven and purged', async ({ admin: { call } }) => {
  await call('POST /v1/topics', { name: 'risky', queues: 1 })
  for (const messageId of ['r1', 'r2', 'r3'])
    await call('POST /v1/topics/risky/messages', { body: messageId, messageId })
  const asked = { topic: 'risky', batchMax: 32 }
  const taken = (await call('POST /v1/groups/careful/receive', asked)).json()
  for (const { receiptHandle } of (taken as unknown as Delivered).messages)
    await call('POST /v1/receipts/dead-letter', { receiptHandle, reason: 'bad' })
  const list = async () =>
    (await call('GET /v1/groups/careful/dead-letters?limit=2')).json() as unknown as Letters
  const { deadLetters, next } = await list()
  assert.equal(
    deadLetters.map(({ messageId, reason, originTopic }) => [messageId, reason, originTopic]),
    [
      ['r1', 'bad', 'risky'],
      ['r2', 'bad', 'risky'],
    ],
  )
  assert.ok(next)
  const some = { messageIds: ['r2'] }
  const again = await call('POST /v1/groups/careful/dead-letters/redrive', some)
  assert.equal(again.json(), { redriven: 1 })
  assert.equal(
    (await list()).deadLetters.map(({ messageId }) => messageId),
    ['r1', 'r3'],
  )
  assert.is((await call('POST /v1/groups/careful/dead-letters/purge', {})).status, 400)
  const gone = await call('POST /v1/groups/careful/dead-letters/purge', { all: true })
  assert.equal(gone.json(), { purged: 2 })
  assert.is((await call('GET /v1/groups/nobody/dead-letters')).status, 404)
})

Routes('groups: created, listed, described with their lag, changed, deleted', async ({ admin }) => {
  const { call } = admin
  await call('POST /v1/topics', { name: 'lagging', queues: 1 })
  for (const body of ['1', '2', '3']) await call('POST /v1/topics/lagging/messages', { body })
  assert.is((await call('POST /v1/groups', { name: 'slow', attemptsMax: 3 })).status, 201)
  await call('POST /v1/groups/slow/receive', { topic: 'lagging' })
  const slow = (await call('GET /v1/groups/slow')).json()
  assert.equal([slow['attemptsMax'], slow['lag'], slow['inFlight']], [3, 3, 1])
  const [queue] = slow['progress'] as Record<string, unknown>[]
  const expected = { topic: 'lagging', queueId: 0, floor: 0, inFlight: 1, lag: 3 }
  assert.equal({ ...queue, ...expected }, queue)
  await call('POST /v1/topics', { name: 'wide', queues: 3 })
  for (const body of ['1', '2', '3']) await call('POST /v1/topics/wide/messages', { body })
  await call('POST /v1/groups/narrow/receive', { topic: 'wide' })
  const narrow = (await call('GET /v1/groups/narrow')).json()
  assert.equal([narrow['lag'], narrow['inFlight']], [3, 1], 'queues not looked at lag, too')
  const retry = { kind: 'exponential', initialMs: 1_000, maxMs: 60_000, multiplier: 2 }
  const changes = { attemptsMax: 5, paused: true, startFrom: 'latest', retry }
  const changed = (await call('PATCH /v1/groups/slow', changes)).json()
  for (const [name, value] of Object.entries(changes)) assert.equal(changed[name], value, name)
  const reset = { topic: 'lagging', to: { at: 'latest' } }
  const moved = await call('POST /v1/groups/slow/offsets', reset)
  assert.equal(moved.json(), { queues: [{ queueId: 0, from: 0, to: 3 }] })
  assert.is((await call('GET /v1/groups/slow')).json()['lag'], 0)
  assert.match((await call('GET /v1/groups?prefix=sl')).text, '"slow"')
  assert.is((await call('DELETE /v1/groups/slow')).status, 204)
  assert.is((await call('GET /v1/groups/slow')).status, 404)
})

Routes('timers: listed, shown, moved, fired, cancelled and recalled', async ({ admin }) => {
  const { call } = admin
  await call('POST /v1/topics', { name: 'later', type: 'DELAY', queues: 1 })
  const handles: string[] = []
  for (const delayMs of [3_600_000, 7_200_000, 10_800_000, 14_400_000]) {
    const sent = await call('POST /v1/topics/later/messages', { body: 'x', delayMs, keys: ['k'] })
    handles.push(String(sent.json()['recallHandle']))
  }
  const list = async (query: string) =>
    (await call(`GET /v1/timers?${query}`)).json() as unknown as {
      timers: { timerId: string; dueAtMs: number; topic: string }[]
      count: number
      next?: string
    }
  const { timers, count, next } = await list('topic=later&limit=3')
  assert.equal([timers.length, count, typeof next], [3, 4, 'string'])
  assert.is((await list(`topic=later&after=${next}`)).timers.length, 1)
  const [first, second, third] = timers
  const dueAtMs = (first?.dueAtMs ?? 0) + 1
  const moved = await call(`PATCH /v1/timers/${first?.timerId}`, { dueAtMs })
  assert.is(moved.json()['dueAtMs'], dueAtMs)
  assert.equal((await call(`GET /v1/timers/${first?.timerId}`)).json(), moved.json())
  assert.is((await call(`POST /v1/timers/${second?.timerId}/fire`)).status, 204)
  assert.is((await call('GET /v1/topics/later')).json()['messages'], 1)
  assert.is((await call(`DELETE /v1/timers/${third?.timerId}`)).status, 204)
  assert.is((await call(`DELETE /v1/timers/${third?.timerId}`)).status, 404)
  assert.is((await call(`GET /v1/timers/${third?.timerId}`)).status, 404)
  const recalls = handles.map((recallHandle) =>
    call('POST /v1/topics/later/recall', { recallHandle }),
  )
  assert.equal(
    (await Promise.all(recalls)).map((answer) => answer.json()['outcome']),
    ['recalled', 'delivered', 'recalled', 'recalled'],
  )
  await call('POST /v1/topics/later/messages', { body: 'x', delayMs: 60_000, keys: ['other'] })
  assert.is((await call('POST /v1/timers/cancel', {})).status, 400)
  const cancelled = await call('POST /v1/timers/cancel', { topic: 'later', key: 'other' })
  assert.equal(cancelled.json(), { cancelled: 1 })
})

Routes('transactions: listed, and resolved by hand', async ({ admin }) => {
  const { call, server } = admin
  await call('POST /v1/topics', { name: 'halves', type: 'TRANSACTION', queues: 1 })
  await server.broker.transaction('halves', { body: 'x', messageId: 'm1' })
  const listed = (await call('GET /v1/transactions?topic=halves')).json() as unknown as {
    transactions: { transactionId: string; state: string }[]
    count: number
  }
  const [half] = listed.transactions
  assert.equal([listed.count, half?.state], [1, 'pending'])
  const resolution = { topic: 'halves', messageId: 'm1', resolution: 'commit' }
  const end = (transactionId = '') =>
    call('POST /v1/transactions/end', { ...resolution, transactionId })
  assert.is((await end(half?.transactionId)).status, 204)
  assert.is((await end('nobody’s')).status, 404)
  assert.is((await call('GET /v1/topics/halves')).json()['messages'], 1)
})

Routes('schedules: created, listed, paused, resumed and deleted', async ({ admin: { call } }) => {
  await call('POST /v1/topics', { name: 'reports', type: 'DELAY', queues: 1 })
  const asked = {
    ...{ name: 'nightly', topic: 'reports', cron: '0 2 * * *', timeZone: 'Europe/Berlin' },
    message: { body: 'go', tag: 't' },
  }
  const made = await call('POST /v1/schedules', asked)
  assert.is(made.status, 201)
  assert.equal(made.json()['rule'], { cron: '0 2 * * *', timeZone: 'Europe/Berlin' })
  assert.equal((await call('GET /v1/schedules/nightly')).json(), made.json())
  assert.match((await call('GET /v1/schedules?topic=reports')).text, '"nightly"')
  assert.is((await call('POST /v1/schedules/nightly/pause')).json()['state'], 'paused')
  assert.is((await call('POST /v1/schedules/nightly/resume')).json()['state'], 'active')
  assert.is((await call('DELETE /v1/schedules/nightly')).status, 204)
  assert.is((await call('GET /v1/schedules/nightly')).status, 404)
  const wrong = await call('POST /v1/schedules', { ...asked, cron: '99 * * * *' })
  assert.equal([wrong.status, wrong.json()['code']], [400, 'SCHEDULE_ILLEGAL'])
})

Routes('health, metrics and audit', async ({ admin: { call } }) => {
  assert.equal((await call('GET /livez')).json(), { live: true })
  const ready = await call('GET /readyz')
  assert.is(ready.status, 200)
  const { loops } = ready.json() as unknown as { loops: Loop[] }
  const addresses = loops.map(({ address }) => address)
  for (const address of ['commit-log', 'dispatcher', 'timer-wheel', 'upkeep'])
    assert.ok(addresses.includes(address), address)
  const next = loops.find(({ address }) => address === 'upkeep')?.nextTryInMs ?? -1
  assert.ok(next >= 0, 'upkeep says when it acts next')
  const metrics = await call('GET /metrics')
  assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  assert.match(metrics.text, /^rocketmq_topic_number\{.*\} \d+$/m)
  const report = (await call('GET /v1/audit')).json()
  assert.equal([report['clean'], report['residue']], [true, []])
})

Routes('a backup is a stream', async ({ admin: { call } }) => {
  const backup = await call('GET /v1/backup')
  assert.equal([backup.status, backup.text.length > 100], [200, true])
})

Routes('a verification is a stream of lines', async ({ admin: { call } }) => {
  const lines = (await call('GET /v1/verify')).text.trim().split('\n')
  const last = JSON.parse(lines.at(-1) ?? '') as { type: string; faults: number }
  assert.equal([last.type, last.faults], ['verified', 0])
})

Routes('a broker without a tier says so, and how to get one', async ({ admin: { call } }) => {
  await call('POST /v1/topics', { name: 'cold' })
  for (const request of [
    'GET /v1/tier',
    'POST /v1/tier/offload?topic=cold',
    'POST /v1/tier/verify',
    'GET /v1/tier/topics/cold/objects',
    'GET /v1/tier/residue',
  ] as const) {
    const answer = await call(request)
    assert.equal([answer.status, answer.json()['code']], [501, 'TIER_OFF'], request)
  }
})

Routes('the document names every route, and each was called here', async ({ admin }) => {
  const document = (await admin.call('GET /openapi.json')).json() as unknown as Document
  assert.match(document.openapi, /^3\.1\./)
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const wasCalled = (operation: string): boolean => {
    const pattern = new RegExp(`^${operation.replace(/\{\w+\}/g, '[^/?]+')}(\\?.*)?$`)
    return admin.made.some((request) => pattern.test(request))
  }
  assert.equal(
    operations.filter((operation) => !wasCalled(operation)),
    [],
  )
})

Routes.run()
