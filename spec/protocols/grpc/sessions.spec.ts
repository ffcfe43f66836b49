import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { aCall, aDoor } from './support/calls.ts'
import { definition, resourceOf, service } from './support/official.ts'
import { codeOf, serve } from './support/serving.ts'

const Sessions = suite('heartbeats, goodbyes, and what is not built')

const { ClientType } = definition

const beat = (type: definition.ClientType, group?: string) => {
  const request = new service.HeartbeatRequest().setClientType(type)
  return group === undefined ? request : request.setGroup(resourceOf(group))
}

Sessions('a heartbeat is answered without known settings, from its own fields', async () => {
  const { door, broker } = aDoor()
  const ask = (request: ReturnType<typeof beat>) => codeOf('Heartbeat', aCall(door), request)
  assert.is(await ask(beat(ClientType.PRODUCER)), 20000)
  assert.is(await ask(beat(ClientType.PRODUCER, '')), 20000)
  assert.is(await ask(beat(ClientType.PUSH_CONSUMER, 'group')), 20000)
  assert.is(await ask(beat(ClientType.SIMPLE_CONSUMER, 'group')), 20000)
  assert.is(await ask(beat(ClientType.CLIENT_TYPE_UNSPECIFIED)), 20000)
  assert.is(await ask(beat(ClientType.CLIENT_TYPE_UNSPECIFIED, 'group')), 20000)
  assert.equal(
    broker.touched.map((line) => line.split(' ')[1]),
    ['producer', 'producer', 'consumer', 'consumer', 'producer', 'consumer'],
  )
})

Sessions('a heartbeat of an illegal group or an unbuilt client is refused', async () => {
  const { door, broker } = aDoor()
  const ask = (request: ReturnType<typeof beat>) => codeOf('Heartbeat', aCall(door), request)
  assert.is(await ask(beat(ClientType.PUSH_CONSUMER, '')), 40003)
  assert.is(await ask(beat(ClientType.SIMPLE_CONSUMER, 'a b')), 40003)
  assert.is(await ask(beat(ClientType.PULL_CONSUMER, 'group')), 50100)
  assert.is(await ask(beat(ClientType.LITE_PUSH_CONSUMER, 'group')), 50100)
  assert.equal(broker.touched, [])
})

Sessions('a goodbye ends the session, of whomever, with whatever group', async () => {
  const { door, broker } = aDoor()
  door.clients.remember('client-1', { requestTimeoutMs: 1 })
  const bye = new service.NotifyClientTerminationRequest()
  for (const request of [bye, bye.setGroup(resourceOf('')), bye.setGroup(resourceOf('a b'))])
    assert.is(await codeOf('NotifyClientTermination', aCall(door), request), 20000)
  assert.equal(broker.terminated, ['client-1', 'client-1', 'client-1'])
  assert.is(door.clients.size, 0)
})

Sessions('SyncLiteSubscription says that it is not built', async () => {
  const { door } = aDoor()
  const request = new service.SyncLiteSubscriptionRequest()
  const { HeartbeatResponse } = service
  const reply = await serve('SyncLiteSubscription', aCall(door), request, HeartbeatResponse)
  assert.is(reply.getStatus()?.getCode(), 50100)
  const text = reply.getStatus()?.getMessage() ?? ''
  assert.match(text, 'SyncLiteSubscription is not supported by this version')
})

Sessions.run()
