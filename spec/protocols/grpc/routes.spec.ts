import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { CallContext } from '../../../protocols/grpc/context.ts'
import { parseAddress } from '../../../protocols/grpc/operations/endpoints.ts'
import { unaryMethods } from '../../../protocols/grpc/methods.ts'
import { aCall, aDoor } from './support/calls.ts'
import { bytesOf, definition, resourceOf, service } from './support/official.ts'
import { codeOf, serve } from './support/serving.ts'

const Routes = suite('routes')

const { AddressScheme, MessageType, Permission } = definition

const endpointsOf = (host: string, port: number, scheme = AddressScheme.DOMAIN_NAME) =>
  new definition.Endpoints()
    .setScheme(scheme)
    .setAddressesList([new definition.Address().setHost(host).setPort(port)])

const routeRequest = (topic: string, host = '10.0.0.1', port = 8081) =>
  new service.QueryRouteRequest()
    .setTopic(resourceOf(topic, 'space'))
    .setEndpoints(endpointsOf(host, port))

const route = async (context: CallContext, request = routeRequest('orders')) => {
  const response = await serve('QueryRoute', context, request, service.QueryRouteResponse)
  return { code: response.getStatus()?.getCode(), queues: response.getMessageQueuesList() }
}

const addressOf = async (context: CallContext, request = routeRequest('orders')) => {
  const { queues } = await route(context, request)
  const endpoints = queues[0]?.getBroker()?.getEndpoints()
  const all = endpoints?.getAddressesList().map((at) => `${at.getHost()}:${at.getPort()}`)
  return { scheme: endpoints?.getScheme(), addresses: all }
}

Routes(
  'show queue ids from 0, broker id 0, readable and writable, under the name asked',
  async () => {
    const { door, broker } = aDoor()
    broker.addTopic('orders', 'NORMAL', 3)
    const { code, queues } = await route(aCall(door))
    assert.is(code, 20000)
    assert.equal(
      queues.map((queue) => queue.getId()),
      [0, 1, 2],
    )
    for (const queue of queues) {
      assert.is(queue.getPermission(), Permission.READ_WRITE)
      assert.equal(queue.getTopic()?.toObject(), { name: 'orders', resourceNamespace: 'space' })
      assert.equal([queue.getBroker()?.getName(), queue.getBroker()?.getId()], ['glasspost', 0])
    }
  },
)

Routes('are the same bytes each time', async () => {
  const { door, broker } = aDoor()
  broker.addTopic('orders', 'MIXED')
  const ask = () =>
    unaryMethods['QueryRoute']?.(aCall(door), bytesOf(routeRequest('orders')), 'admitted')
  assert.equal(await ask(), await ask())
})

Routes('say which types a topic takes; MIXED takes four', async () => {
  const { door, broker } = aDoor()
  const { NORMAL, FIFO, DELAY, TRANSACTION } = MessageType
  const expected = {
    NORMAL: [NORMAL],
    FIFO: [FIFO],
    DELAY: [DELAY],
    TRANSACTION: [TRANSACTION],
    MIXED: [NORMAL, FIFO, DELAY, TRANSACTION],
  } as const
  for (const type of ['NORMAL', 'FIFO', 'DELAY', 'TRANSACTION', 'MIXED'] as const) {
    broker.addTopic(type, type)
    const { queues } = await route(aCall(door), routeRequest(type))
    assert.equal(queues[0]?.getAcceptMessageTypesList(), [...expected[type]])
  }
})

Routes('of an unknown topic are 40402, and create nothing unless auto-create is on', async () => {
  const off = aDoor()
  assert.is((await route(aCall(off.door))).code, 40402)
  assert.is(off.broker.topics.find('orders'), undefined)
  const on = aDoor({ autoCreate: true })
  const { code, queues } = await route(aCall(on.door))
  assert.equal([code, queues.length], [20000, 8])
  assert.is(on.broker.topics.find('orders')?.type, 'MIXED')
  assert.is((await route(aCall(on.door), routeRequest('%DLQ%group'))).code, 40402)
})

Routes('of an illegal topic are refused', async () => {
  const { door } = aDoor({ autoCreate: true })
  for (const name of ['', ' ', 'a/b', 'TBW102', 'rmq_sys_x', 'a'.repeat(128)])
    assert.is((await route(aCall(door), routeRequest(name))).code, 40002, name)
})

Routes('lead back to the address the client used, one, with the right scheme', async () => {
  const { door, broker } = aDoor()
  broker.addTopic('orders')
  const { IPV4, IPV6, DOMAIN_NAME } = AddressScheme as unknown as Record<string, number>
  const cases = [
    ['10.0.0.1', IPV4],
    ['::1', IPV6],
    ['broker.example.com', DOMAIN_NAME],
    ['localhost', DOMAIN_NAME],
  ] as const
  for (const [host, scheme] of cases) {
    const found = await addressOf(aCall(door), routeRequest('orders', host, 9000))
    assert.equal(found, { scheme, addresses: [`${host}:9000`] })
  }
  const two = routeRequest('orders')
  two.getEndpoints()?.addAddresses().setHost('10.0.0.2').setPort(8081)
  assert.equal((await addressOf(aCall(door), two)).addresses, ['10.0.0.1:8081'])
})

Routes('lead to the advertised address if there is one', async () => {
  const { door, broker } = aDoor()
  broker.addTopic('orders')
  const advertised = { host: 'public.example.com', port: 443 }
  const { addresses } = await addressOf(aCall({ ...door, advertised }))
  assert.equal(addresses, ['public.example.com:443'])
})

Routes('lead to what the client dialled when it does not say', async () => {
  const { door, broker } = aDoor()
  broker.addTopic('orders')
  const silent = new service.QueryRouteRequest().setTopic(resourceOf('orders'))
  const at = async (authority: string) =>
    (await addressOf(aCall(door, { authority }), silent)).addresses
  assert.equal(await at('dialled:8081'), ['dialled:8081'])
  assert.equal(await at('[::1]:8081'), ['::1:8081'])
  assert.equal(await at('nonsense'), ['127.0.0.1:8081'])
})

Routes('know an address when they see one', () => {
  assert.equal(parseAddress('a.b:1'), { host: 'a.b', port: 1 })
  assert.equal(parseAddress('[::1]:65535'), { host: '::1', port: 65_535 })
  for (const text of ['', 'a', 'a:', ':1', 'a:0', 'a:65536', 'a:b', '::1:80', 'a:1:2'])
    assert.is(parseAddress(text), undefined, text)
})

const assignmentRequest = (topic: string, group = 'group') =>
  new service.QueryAssignmentRequest()
    .setTopic(resourceOf(topic))
    .setGroup(resourceOf(group))
    .setEndpoints(endpointsOf('10.0.0.1', 8081))

const assignments = async (context: CallContext, topic: string) => {
  const request = assignmentRequest(topic)
  const { QueryAssignmentResponse } = service
  const response = await serve('QueryAssignment', context, request, QueryAssignmentResponse)
  return response.getAssignmentsList().map((assignment) => assignment.getMessageQueue())
}

Routes('assign all queues at once, and those of a FIFO topic one by one', async () => {
  const { door, broker } = aDoor()
  broker.addTopic('orders', 'NORMAL', 4)
  broker.addTopic('steps', 'FIFO', 2)
  const [all, ...none] = await assignments(aCall(door), 'orders')
  assert.equal([all?.getId(), none.length], [-1, 0])
  assert.is(all?.getBroker()?.getEndpoints()?.getAddressesList()[0]?.getHost(), '10.0.0.1')
  assert.is(all?.getPermission(), Permission.READ_WRITE)
  const each = await assignments(aCall(door), 'steps')
  assert.equal(
    each.map((queue) => queue?.getId()),
    [0, 1],
  )
  assert.ok(broker.touched.includes('client-1 consumer'))
})

Routes('assign nothing of what is illegal or unknown', async () => {
  const { door, broker } = aDoor({ autoCreate: true })
  const ask = (topic: string, group?: string) =>
    codeOf('QueryAssignment', aCall(door), assignmentRequest(topic, group))
  assert.is(await ask('orders'), 40402)
  assert.is(broker.topics.find('orders'), undefined)
  broker.addTopic('orders')
  assert.is(await ask('or ders'), 40002)
  for (const group of ['', 'a b', 'CID_RMQ_SYS_x', 'g'.repeat(121)])
    assert.is(await ask('orders', group), 40003, group)
  assert.is(await ask('orders', 'g'.repeat(120)), 20000)
})

Routes.run()
