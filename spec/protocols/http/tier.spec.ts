import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BrokerError } from '../../../model/errors.ts'
import type { TierLine } from '../../../model/tier/tier-lines.ts'
import {
  queueStatus,
  ScriptedTier,
  scriptedObjects,
  tierStatus,
  topicStatus,
} from '../../support/scripted-tier.ts'
import { eventually } from '../../support/waiting.ts'
import { openDoor, type OpenedDoor } from './support/http-door.ts'

interface Context {
  tier: ScriptedTier
  door: OpenedDoor
  ask: (request: string) => Promise<Response>
}

const TOKEN = 'an-admin-token-of-some-length'

const Tier = suite<Context>('the HTTP door: the tier')

Tier.before.each(async (context) => {
  const tier = new ScriptedTier()
  const door = await openDoor({}, { tiering: tier })
  await door.broker.topics.create('orders', { queues: 1 })
  Object.assign(context, { tier, door })
  context.ask = (request) => {
    const [method = '', path = ''] = request.split(' ')
    return fetch(`${door.url}/v1/tier${path}`, { method })
  }
})
Tier.after.each(async ({ door }) => {
  await door[Symbol.asyncDispose]()
})

const linesOf = async (answer: Response): Promise<TierLine[]> =>
  (await answer.text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as TierLine)

Tier('is told whole: every queue with its state and reason, of one topic or of all', async (c) => {
  const { ask, tier } = c
  const failing = queueStatus({ queueId: 1, state: 'backingOff', reason: 'no', nextTryInMs: 5 })
  const other = topicStatus({ topic: 'other', topicId: 18, queues: [queueStatus(), failing] })
  tier.told = tierStatus({ topics: [topicStatus(), other] })
  assert.equal(await (await ask('GET ')).json(), tier.told)
  const one = (await (await ask('GET ?topic=other')).json()) as typeof tier.told
  assert.equal(one.topics, [other])
})

Tier('one that has ended is told while it is being dropped, an unknown one is not', async (c) => {
  const { ask, tier } = c
  tier.told = tierStatus({ topics: [topicStatus({ topic: 'gone', state: 'droppingTier' })] })
  assert.is((await ask('GET ?topic=gone')).status, 200)
  assert.is((await ask('GET ?topic=orders')).status, 200)
  for (const request of [
    'GET ?topic=nobody',
    'POST /offload?topic=nobody',
    'POST /verify?topic=nobody',
    'GET /topics/nobody/objects',
  ])
    assert.is((await ask(request)).status, 404, request)
  assert.equal(tier.calls, [])
})

Tier('offload and verify tell every object, and at last how many', async ({ ask, tier }) => {
  tier.problem = 'a checksum differs'
  for (const [request, problems] of [
    ['POST /offload?topic=orders', 0],
    ['POST /verify', 1],
  ] as const) {
    const answer = await ask(request)
    assert.is(answer.headers.get('content-type'), 'application/x-ndjson')
    const lines = await linesOf(answer)
    const expected = scriptedObjects.map(({ key, content }, index) => ({
      ...{ type: 'step', key, bytes: content.length, done: index + 1, of: 2 },
      ...(problems === 1 && index === 1 ? { problem: tier.problem } : {}),
    }))
    const done = { type: 'done', objects: 2, bytes: 70_013, problems }
    assert.equal(lines, [...expected, done])
  }
  assert.equal(tier.calls, ['offload orders', 'verify all'])
})

Tier('what fails in the middle is the last line; what cannot begin is refused', async (c) => {
  const { ask, tier } = c
  const params = { store: 's3://bucket', operation: 'put', reason: 'it is away' }
  tier.failure = new BrokerError('TIER_UNAVAILABLE', params)
  for (const request of ['POST /offload', 'POST /verify']) {
    const last = (await linesOf(await ask(request))).at(-1)
    const { code, kind, message, remedy } = tier.failure
    assert.equal(last, { type: 'failed', code, kind, message, remedy })
  }
  tier.told = undefined
  for (const request of ['POST /offload', 'POST /verify', 'GET /topics/orders/objects']) {
    const answer = await ask(request)
    const { code, remedy } = (await answer.json()) as { code: string; remedy: string }
    assert.equal([answer.status, code], [501, 'TIER_OFF'])
    assert.match(remedy, '--tier directory')
  }
})

Tier('fetch gives every byte of every object, whatever is in it', async ({ ask }) => {
  const answer = await ask('GET /topics/orders/objects')
  assert.is(answer.headers.get('content-type'), 'application/octet-stream')
  let rest = Buffer.from(await answer.arrayBuffer())
  const line = (): TierLine => {
    const end = rest.indexOf('\n')
    const text = rest.toString('utf8', 0, end)
    rest = rest.subarray(end + 1)
    return JSON.parse(text) as TierLine
  }
  for (const { key, content } of scriptedObjects) {
    const step = line()
    assert.ok(step.type === 'step')
    assert.equal([step.key, step.bytes], [key, content.length])
    assert.ok(rest.subarray(0, step.bytes).equals(content))
    rest = rest.subarray(step.bytes)
  }
  assert.equal(line(), { type: 'done', objects: 2, bytes: 70_013, problems: 0 })
  assert.is(rest.length, 0)
})

Tier('one of a kind at a time, until it is read or left', async ({ door, tier }) => {
  for (const [method, path] of [
    ['POST', '/v1/tier/offload'],
    ['POST', '/v1/tier/verify'],
    ['GET', '/v1/tier/topics/orders/objects'],
  ] as const) {
    let letGo = (): void => {}
    const held = new Promise<void>((resolve) => (letGo = resolve))
    const { key, content } = scriptedObjects[0] ?? { key: '', content: Buffer.alloc(0) }
    let open = 0
    const slow = async function* () {
      open++
      try {
        yield { key, content, bytes: content.length, done: 1, of: 2 }
        await held
        yield { key, content, bytes: content.length, done: 2, of: 2 }
      } finally {
        open--
      }
    }
    Object.assign(tier, { offload: slow, verify: slow, fetch: slow })
    const leaving = new AbortController()
    const init = { method, signal: leaving.signal }
    assert.is((await fetch(`${door.url}${path}`, init)).status, 200)
    const second = await fetch(`${door.url}${path}`, { method })
    assert.is(second.status, 429, await second.text())
    leaving.abort()
    letGo()
    await eventually('the one that was left is over', () => open === 0)
    const third = await fetch(`${door.url}${path}`, { method })
    await third.arrayBuffer()
    assert.is(third.status, 200)
  }
})

Tier('a HEAD request fetches nothing', async ({ ask, tier }) => {
  assert.is((await ask('HEAD /topics/orders/objects')).status, 200)
  assert.equal(tier.calls, [])
})

Tier('what nobody claims is listed', async ({ ask, tier }) => {
  tier.residues = [{ key: 'a/9/0.segment', bytes: 5, modifiedMs: 1_000, removedAfterMs: 2_000 }]
  assert.equal(await (await ask('GET /residue')).json(), { objects: tier.residues })
})

Tier('needs the token, as everything that tells or does something', async () => {
  const tier = new ScriptedTier()
  await using door = await openDoor({ token: TOKEN }, { tiering: tier })
  await door.broker.topics.create('orders', { queues: 1 })
  for (const request of [
    'GET ',
    'POST /offload',
    'POST /verify',
    'GET /topics/orders/objects',
    'GET /residue',
  ]) {
    const [method = '', path = ''] = request.split(' ')
    const url = `${door.url}/v1/tier${path}`
    assert.is((await fetch(url, { method })).status, 401, request)
    const headers = { authorization: `Bearer ${TOKEN}` }
    const answer = await fetch(url, { method, headers })
    await answer.arrayBuffer()
    assert.is(answer.status, 200, request)
  }
})

Tier.run()
