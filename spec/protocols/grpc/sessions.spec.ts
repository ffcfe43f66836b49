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

Sessions('EndTransaction refuses a blank id for that, all others as not built', async () => {
  const { door } = aDoor()
  const request = new service.EndTransactionRequest().setTopic(resourceOf('orders'))
  const ask = () => codeOf('EndTransaction', aCall(door), request)
  assert.is(await ask(), 40008)
  request.setTransactionId(' ')
  assert.is(await ask(), 40008)
  request.setTransactionId('id')
  assert.is(await ask(), 50100)
  request.setTopic(resourceOf('a b'))
  assert.is(await ask(), 40002)
})

Sessions('RecallMessage and SyncLiteSubscription say that they are not built', async () => {
  const { door } = aDoor()
  const recall = new service.RecallMessageRequest().setTopic(resourceOf('orders'))
  const { HeartbeatResponse } = service
  for (const [rpc, request] of [
    ['RecallMessage', recall],
    ['SyncLiteSubscription', new service.SyncLiteSubscriptionRequest()],
  ] as const) {
    const status = (await serve(rpc, aCall(door), request, HeartbeatResponse)).getStatus()
    assert.is(status?.getCode(), 50100)
    assert.match(status?.getMessage() ?? '', `${rpc} is not supported by this version`)
  }
})

Sessions.run()
