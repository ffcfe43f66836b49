import { connect } from 'node:net'
import { status as grpcStatus, type StatusObject } from '@grpc/grpc-js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { SendReceipt } from '../../../model/ports.ts'
import { eventually, openDoor, sleep } from './support/doors.ts'
import { framesOf, RawClient, telemetryOf } from './support/raw-client.ts'
import { receiveRequest, sendRequest } from './support/requests.ts'

const Closing = suite('closing the gRPC door')

Closing('answers polls, ends telemetry with OK, and leaves nothing open', async () => {
  const { door, broker, endpoint } = await openDoor()
  broker.addTopic('orders')
  const client = new RawClient(endpoint)
  const poll = framesOf(client.receive(receiveRequest('orders', { pollMs: 20_000 })))
  const telemetry = telemetryOf(client.telemetry())
  await eventually('it waits', () => broker.received.length === 1)
  const startMs = performance.now()
  await Promise.all([door.close({ drainMs: 5_000 }), door.close({ drainMs: 5_000 })])
  assert.ok(performance.now() - startMs < 1_000)
  const { frames, code, grpc } = await poll
  assert.equal([frames, code, grpc], [['no new message', 'time'], 40401, grpcStatus.OK])
  assert.is((await telemetry).grpc, grpcStatus.OK)
  assert.is(broker.openSessions.size, 0)
  assert.is(await connectionTo(door.address), 'refused')
  client.close()
})

const connectionTo = ({ host, port }: { host: string; port: number }) =>
  new Promise<string>((resolve) => {
    const socket = connect(port, host, () => {
      socket.destroy()
      resolve('accepted')
    })
    socket.on('error', () => resolve('refused'))
  })

Closing('lets a call in flight finish, and cuts it off after the drain time', async () => {
  const { door, broker, endpoint } = await openDoor()
  broker.addTopic('orders')
  const original = broker.append.bind(broker)
  broker.append = async (topic, message): Promise<SendReceipt> => {
    if (String(message.body) === 'stuck') return new Promise(() => undefined)
    await sleep(100)
    return original(topic, message)
  }
  const client = new RawClient(endpoint)
  const slow = client.status('SendMessage', sendRequest('orders', 'slow'))
  const stuck = client
    .status('SendMessage', sendRequest('orders', 'stuck'))
    .catch((error: unknown) => error)
  await sleep(50)
  const startMs = performance.now()
  await door.close({ drainMs: 400 })
  const tookMs = performance.now() - startMs
  assert.ok(tookMs >= 390 && tookMs < 2_000, `${tookMs} ms`)
  assert.is((await slow).code, 20000)
  assert.is(((await stuck) as StatusObject).code, grpcStatus.UNAVAILABLE)
  client.close()
})

Closing.run()
