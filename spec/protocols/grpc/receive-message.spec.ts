import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isBrokerError } from '../../../model/errors.ts'
import type { CallContext } from '../../../protocols/grpc/context.ts'
import { pollMsOf } from '../../../protocols/grpc/operations/receive-message.ts'
import { holds } from '../../support/property.ts'
import { aCall, aDoor } from './support/calls.ts'
import { bytesOf, definition, service } from './support/official.ts'
import { aMessage, receiveRequest } from './support/requests.ts'
import { receive, serve } from './support/serving.ts'

const Receive = suite('ReceiveMessage')

const aWorld = () => {
  const world = aDoor()
  world.broker.addTopic('orders')
  const call = (about: Partial<CallContext> = {}) => aCall(world.door, about)
  const send = (...tags: string[]) =>
    serve(
      'SendMessage',
      call(),
      new service.SendMessageRequest().setMessagesList(
        tags.map((tag, index) => aMessage('orders', `${index} ${tag}`, tag || undefined)),
      ),
      service.SendMessageResponse,
    )
  return { ...world, call, send }
}

Receive('streams status, messages, time, in this order', async () => {
  const { call, send, clock } = aWorld()
  await send('a', 'b')
  const reply = await clock.until(receive(call(), receiveRequest('orders')))
  assert.equal(reply.kinds, ['status', 'message', 'message', 'time'])
  assert.equal([reply.code, reply.text], [20000, 'OK'])
})

Receive('says MESSAGE_NOT_FOUND, with a status and a time, when there is none', async () => {
  const { call, clock } = aWorld()
  const reply = await clock.until(receive(call(), receiveRequest('orders')))
  assert.equal([reply.code, reply.text, reply.kinds], [40401, 'no new message', ['status', 'time']])
})

Receive('says “no match message” when there were some, of other tags', async () => {
  const { call, send, clock } = aWorld()
  await send('other')
  const request = receiveRequest('orders', { expression: 'paid' })
  const reply = await clock.until(receive(call(), request))
  assert.equal([reply.code, reply.text], [40401, 'no match message'])
})

Receive('refuses with one status and the time', async () => {
  const { call } = aWorld()
  const reply = await receive(call(), receiveRequest('or ders'))
  assert.equal([reply.code, reply.kinds], [40002, ['status', 'time']])
})

Receive('passes exactly the tags that were asked for', async () => {
  const { call, send, clock } = aWorld()
  // "Aa" and "BB" have the same hash code.
  await send('Aa', 'BB', '', 'A', 'Aa ', 'aa')
  const tags = async (expression: string, group: string) => {
    const request = receiveRequest('orders', { expression, group })
    const { messages } = await clock.until(receive(call(), request))
    return messages.map((message) => message.getSystemProperties()?.getTag())
  }
  assert.equal(await tags('Aa', 'g1'), ['Aa'])
  assert.equal(await tags(' aa || BB||', 'g2'), ['BB', 'aa'])
  assert.is((await tags('*', 'g3')).length, 6)
  assert.is((await tags('', 'g4')).length, 6)
})

Receive('refuses filters that it cannot apply', async () => {
  const { call } = aWorld()
  const { SQL } = definition.FilterType
  const wrong = receiveRequest('orders', { type: SQL, expression: 'a > 1 AND' })
  const sql = await receive(call(), wrong)
  assert.is(sql.code, 40010)
  assert.match(sql.text, /at position 10: Expected .* but end of input found/)
  const empty = await receive(call(), receiveRequest('orders', { type: SQL, expression: '' }))
  assert.is(empty.code, 40010)
  const strange = receiveRequest('orders', { type: 7 })
  assert.is((await receive(call(), strange)).code, 40010)
  assert.is((await receive(call(), receiveRequest('orders', { expression: '||' }))).code, 40010)
})

Receive('matches SQL92 on properties, and says when none matched', async () => {
  const { call, send, clock } = aWorld()
  await send('a', 'b')
  const { SQL } = definition.FilterType
  const tags = async (expression: string, group: string) => {
    const request = receiveRequest('orders', { type: SQL, expression, group })
    const { messages, text } = await clock.until(receive(call(), request))
    return messages.map((message) => message.getSystemProperties()?.getTag()).concat(text)
  }
  assert.equal(await tags("TAGS = 'b' AND missing is null", 'g1'), ['b', 'OK'])
  assert.equal(await tags("missing <> 'x'", 'g2'), ['no match message'])
})

Receive('takes a filter of type 0 for tags, as Go sends it', async () => {
  const { call, send, clock } = aWorld()
  await send('a', 'b')
  const request = receiveRequest('orders', { type: 0, expression: 'b' })
  assert.is((await clock.until(receive(call(), request))).messages.length, 1)
})

Receive('drains all queues whatever id it names', async () => {
  for (const queueId of [0, 5, -1]) {
    const { call, send, clock } = aWorld()
    await send('a', 'b')
    const reply = await clock.until(receive(call(), receiveRequest('orders', { queueId })))
    assert.is(reply.messages.length, 2, `queue ${queueId}`)
  }
})

Receive('takes at most 32 messages, and at least asks for one', async () => {
  const { call, broker, clock } = aWorld()
  for (const batchSize of [1, 32, 33, 1_000, 0, -1])
    await clock.until(receive(call(), receiveRequest('orders', { batchSize })))
  assert.equal(
    broker.received.map(({ batchMax }) => batchMax),
    [1, 32, 32, 32, 1, 1],
  )
})

Receive('leases for 10 s to 12 h, or a minute under renewal', async () => {
  const { call, broker, clock } = aWorld()
  const ask = async (invisibleMs: number | 'unsaid', autoRenew = false) => {
    const request = receiveRequest('orders', { invisibleMs, autoRenew })
    const { code, text } = await clock.until(receive(call(), request))
    return { code, text, asked: broker.received.at(-1) }
  }
  assert.equal(await ask(9_999).then(({ code, text }) => [code, text]), [
    40011,
    'the invisibleTime is too small. min is 10000',
  ])
  assert.equal(await ask(43_200_001).then(({ code, text }) => [code, text]), [
    40011,
    'the invisibleTime is too large. max is 43200000',
  ])
  assert.is((await ask('unsaid')).code, 40011)
  assert.is((await ask(10_000)).asked?.invisibleMs, 10_000)
  assert.is((await ask(43_200_000)).asked?.invisibleMs, 43_200_000)
  const { code, asked } = await ask('unsaid', true)
  assert.equal([code, asked?.invisibleMs, asked?.autoRenew], [40401, 60_000, true])
  assert.is(asked?.clientId, 'client-1')
})

Receive('hands over the attempt id, by which a lost answer is repeated', async () => {
  const { call, broker, clock } = aWorld()
  await clock.until(receive(call(), receiveRequest('orders', { attemptId: 'attempt' })))
  await clock.until(receive(call(), receiveRequest('orders')))
  assert.equal(
    broker.received.map(({ attemptId }) => attemptId),
    ['attempt', undefined],
  )
})

Receive('works without known settings, and with those that are known', async () => {
  const { call, door, broker, clock } = aWorld()
  const ask = async () => {
    await clock.until(receive(call({ remainingMs: 13_000 }), receiveRequest('orders')))
    return broker.received.at(-1)?.waitMs
  }
  // Go never says how long; it counts on deadline minus half its request timeout.
  assert.is(await ask(), 11_500)
  door.clients.remember('client-1', { requestTimeoutMs: 6_000 })
  assert.is(await ask(), 10_000)
})

Receive('gives back what arrives after its client went away', async () => {
  const { call, send, broker } = aWorld()
  await send('a', 'b')
  const gone = new AbortController()
  const original = broker.receive.bind(broker)
  broker.receive = async (request) => {
    const result = await original(request)
    gone.abort()
    return result
  }
  const reply = await receive(call({ signal: gone.signal }), receiveRequest('orders'))
  assert.equal([reply.code, reply.messages.length], [40401, 0])
  assert.equal(broker.extended, [0, 0])
})

Receive('gives back once, and survives that it cannot', async () => {
  const { call, send, broker, logger } = aWorld()
  await send('a')
  const reply = await receive(call(), receiveRequest('orders'))
  broker.failure = new Error('broken')
  reply.giveBack()
  reply.giveBack()
  await new Promise((resolve) => setImmediate(resolve))
  assert.is(broker.failure, undefined)
  assert.equal(broker.extended, [])
  assert.equal(
    logger.lines.map(({ level }) => level),
    ['error', 'warn'],
  )
})

Receive('of an illegal group or unknown topic is refused', async () => {
  const { call } = aWorld()
  assert.is((await receive(call(), receiveRequest('orders', { group: '' }))).code, 40003)
  assert.is((await receive(call(), receiveRequest('unknown'))).code, 40402)
})

Receive('answers even a request that says nothing', async () => {
  const { call } = aWorld()
  const empty = new service.ReceiveMessageRequest()
  assert.is(bytesOf(empty).length, 0)
  assert.is((await receive(call(), empty)).code, 40003)
})

const aPoll = fc.record({
  askedMs: fc.option(fc.integer({ min: -1_000, max: 40_000 }), { nil: undefined }),
  remainingMs: fc.oneof(fc.integer({ min: -1_000, max: 40_000 }), fc.constant(Infinity)),
  requestTimeoutMs: fc.constantFrom(0, 3_000, 6_000),
})

const pollOrRefusal = (about: Parameters<typeof pollMsOf>[0]): number | 'refused' => {
  try {
    return pollMsOf(about)
  } catch (error) {
    assert.ok(isBrokerError(error, 'POLLING_TIME_ILLEGAL'))
    return 'refused'
  }
}

Receive('waits as long as was asked within 5 to 20 s, and ends before the deadline', () =>
  holds(
    fc.property(aPoll, (about) => {
      const { remainingMs, askedMs, requestTimeoutMs } = about
      const waitMs = pollOrRefusal(about)
      assert.is(waitMs === 'refused', remainingMs < 5_000)
      if (waitMs === 'refused') return
      const wantedMs = askedMs ?? remainingMs - requestTimeoutMs / 2
      const clampedMs = Math.min(20_000, Math.max(5_000, wantedMs))
      assert.ok(waitMs <= 20_000 && waitMs <= remainingMs - 300)
      // Early only where the deadline forces it.
      assert.is(waitMs, clampedMs + 300 <= remainingMs ? clampedMs : remainingMs - 300)
    }),
    { runs: 2_000 },
  ),
)

Receive('with less than 5 s to go is refused with 40018', async () => {
  const { call } = aWorld()
  const reply = await receive(call({ remainingMs: 4_999 }), receiveRequest('orders'))
  assert.is(reply.code, 40018)
})

Receive.run()
