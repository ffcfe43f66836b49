import { createHmac } from 'node:crypto'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Accounts } from '../../../protocols/accounts/accounts.ts'
import { parseAccounts } from '../../../protocols/accounts/accounts-file.ts'
import { unaryMethods } from '../../../protocols/grpc/methods.ts'
import { TelemetryStream } from '../../../protocols/grpc/operations/telemetry.ts'
import { aCall, aDoor } from './support/calls.ts'
import { definition, resourceOf, service } from './support/official.ts'
import {
  ackRequest,
  changeRequest,
  consumerSettings,
  producerSettings,
  receiveRequest,
  sendRequest,
  settingsCommand,
} from './support/requests.ts'
import type { FakeBroker } from './support/fake-broker.ts'
import { codeOf, receive, serve } from './support/serving.ts'

/** RocketMQ gRPC 2: which right each RPC needs, and that it is asked for. */
const Rights = suite('rights at the gRPC door')

const SECRET = 'a secret of many letters'
const AT = '20260101T120000Z'
const UNAUTHORIZED = 40100

const accounts = new Accounts(
  parseAccounts(
    'a.json',
    JSON.stringify({
      accounts: [
        { accessKey: 'nothing', secretKey: SECRET },
        { accessKey: 'publisher', secretKey: SECRET, topics: { orders: ['publish'] } },
        { accessKey: 'reader', secretKey: SECRET, topics: { orders: ['subscribe'] } },
        { accessKey: 'grouped', secretKey: SECRET, groups: { group: ['subscribe'] } },
        {
          accessKey: 'consumer',
          secretKey: SECRET,
          topics: { orders: ['subscribe'] },
          groups: { group: ['subscribe'] },
        },
      ],
    }),
  ),
)
type Key = 'nobody' | 'nothing' | 'publisher' | 'reader' | 'grouped' | 'consumer'
const keys: readonly Key[] = ['nobody', 'nothing', 'publisher', 'reader', 'grouped', 'consumer']

const callOf = (key: Key) => {
  const { door, broker } = aDoor()
  broker.addTopic('orders')
  const signature = createHmac('sha1', SECRET).update(AT).digest('hex')
  const headers: Record<string, string> =
    key === 'nobody'
      ? {}
      : {
          authorization: `MQv2-HMAC-SHA1 Credential=${key}, SignedHeaders=x-mq-date-time, Signature=${signature}`,
          'x-mq-date-time': AT,
        }
  return aCall({ ...door, access: accounts }, { header: (name) => headers[name] ?? '' })
}

const topic = resourceOf('orders')
const group = resourceOf('group')

interface Request {
  serializeBinary(): Uint8Array
}

/** Each RPC with those keys for which it goes beyond asking. */
const table: Readonly<Record<string, readonly [request: () => Request, allowed: readonly Key[]]>> =
  {
    QueryRoute: [
      () => new service.QueryRouteRequest().setTopic(topic),
      ['publisher', 'reader', 'consumer'],
    ],
    QueryAssignment: [
      () => new service.QueryAssignmentRequest().setTopic(topic).setGroup(group),
      ['consumer'],
    ],
    Heartbeat: [() => new service.HeartbeatRequest().setGroup(group), ['grouped', 'consumer']],
    NotifyClientTermination: [
      () => new service.NotifyClientTerminationRequest().setGroup(group),
      ['grouped', 'consumer'],
    ],
    SendMessage: [() => sendRequest('orders', 'x'), ['publisher']],
    AckMessage: [() => ackRequest('orders', '{}'), ['consumer']],
    ChangeInvisibleDuration: [() => changeRequest('orders', '{}', 0), ['grouped', 'consumer']],
    ForwardMessageToDeadLetterQueue: [
      () =>
        new service.ForwardMessageToDeadLetterQueueRequest()
          .setTopic(topic)
          .setGroup(group)
          .setReceiptHandle('{}'),
      ['consumer'],
    ],
    EndTransaction: [
      () => new service.EndTransactionRequest().setTopic(topic).setTransactionId('x'),
      ['publisher'],
    ],
    RecallMessage: [
      () => new service.RecallMessageRequest().setTopic(topic).setRecallHandle('x'),
      ['publisher'],
    ],
    SyncLiteSubscription: [
      () => new service.SyncLiteSubscriptionRequest().setTopic(topic).setGroup(group),
      keys.filter((key) => key !== 'nobody'),
    ],
  }

Rights('are asked for by every RPC', () => {
  assert.equal(Object.keys(table).sort(), Object.keys(unaryMethods).sort())
})

for (const [rpc, [request, allowed]] of Object.entries(table))
  Rights(`of ${rpc}`, async () => {
    for (const key of keys) {
      const code = await codeOf(rpc, callOf(key), request())
      assert.is(code !== UNAUTHORIZED, allowed.includes(key), `${key}: ${code}`)
    }
  })

Rights('of ReceiveMessage', async () => {
  for (const key of keys) {
    const { code } = await receive(callOf(key), receiveRequest('nowhere', { group: 'group' }))
    assert.is(code, UNAUTHORIZED, 'another topic')
    if (key === 'consumer') continue
    assert.is((await receive(callOf(key), receiveRequest('orders'))).code, UNAUTHORIZED, key)
  }
})

Rights('of heartbeats of producers, who have no group', async () => {
  const request = new service.HeartbeatRequest().setClientType(definition.ClientType.PRODUCER)
  assert.is(await codeOf('Heartbeat', callOf('publisher'), request), 20000)
  assert.is(await codeOf('Heartbeat', callOf('nobody'), request), UNAUTHORIZED)
})

Rights('do not reach through a handle of another topic or group', async () => {
  const texts = async (key: Key, handle: object) => {
    const call = callOf(key)
    ;(call.door.broker as FakeBroker).attemptsMax.set('group', 17)
    const request = changeRequest('orders', JSON.stringify(handle), 0)
    const rpc = 'ChangeInvisibleDuration'
    const response = await serve(rpc, call, request, service.ChangeInvisibleDurationResponse)
    return response.getStatus()?.getMessage() ?? ''
  }
  const own = { topicId: 1, groupId: 1, generation: 1 }
  assert.match(await texts('consumer', own), /expired/)
  for (const other of [
    { ...own, topicId: 2 },
    { ...own, groupId: 2 },
  ])
    assert.match(await texts('consumer', other), /of another topic or group/)
})

/** The codes that a telemetry stream answers, and whether it ended. */
const telemetry = (key: Key, ...commands: Buffer[]) => {
  const codes: number[] = []
  let isEnded = false
  const stream = new TelemetryStream(callOf(key), {
    send: (bytes) => {
      const command = service.TelemetryCommand.deserializeBinary(bytes)
      codes.push(command.getStatus()?.getCode() ?? 0)
    },
    end: () => {
      isEnded = true
    },
  })
  for (const command of commands) stream.receive(command)
  stream.close()
  return { codes, isEnded }
}

Rights('of telemetry: of each topic, and of the group', () => {
  const publishing = settingsCommand(producerSettings(['orders']))
  const subscribing = settingsCommand(consumerSettings('group', ['orders']))
  const two = settingsCommand(producerSettings(['orders', 'others']))
  const refusal = { codes: [UNAUTHORIZED], isEnded: true }
  const welcome = { codes: [20000], isEnded: false }
  assert.equal(telemetry('nobody'), refusal)
  assert.equal(telemetry('publisher', publishing), welcome)
  assert.equal(telemetry('publisher', two), refusal)
  assert.equal(telemetry('publisher', subscribing), refusal)
  assert.equal(telemetry('consumer', subscribing), welcome)
  assert.equal(telemetry('consumer', publishing), refusal)
  assert.equal(telemetry('reader', subscribing), refusal)
  assert.equal(telemetry('grouped', subscribing), refusal)
})

Rights.run()
