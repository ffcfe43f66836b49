import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BrokerError } from '../../../model/errors.ts'
import { aCall, aDoor } from './support/calls.ts'
import { resourceOf, service } from './support/official.ts'
import { ackRequest, changeRequest, receiveRequest, sendRequest } from './support/requests.ts'
import { codeOf, receive, serve } from './support/serving.ts'

const Deliveries = suite('acks, changes and dead letters')

/** A topic with `count` messages, all delivered. */
const delivered = async (count: number) => {
  const world = aDoor()
  world.broker.addTopic('orders')
  const call = aCall(world.door)
  const bodies = Array.from({ length: count }, (_, index) => `${index}`)
  await serve('SendMessage', call, sendRequest('orders', ...bodies), service.SendMessageResponse)
  const { handles } = await world.clock.until(receive(call, receiveRequest('orders')))
  const ack = (...texts: string[]) =>
    serve('AckMessage', call, ackRequest('orders', ...texts), service.AckMessageResponse)
  const change = (handle: string, invisibleMs: number) =>
    serve(
      'ChangeInvisibleDuration',
      call,
      changeRequest('orders', handle, invisibleMs),
      service.ChangeInvisibleDurationResponse,
    )
  return { ...world, call, handles, ack, change }
}

Deliveries('are acked one by one or together, and twice without harm', async () => {
  const { ack, handles } = await delivered(3)
  const [first = '', ...rest] = handles
  for (const texts of [[first], rest, [first]]) {
    const response = await ack(...texts)
    assert.equal(response.getStatus()?.toObject(), { code: 20000, message: 'OK' })
    assert.equal(
      response.getEntriesList().map((entry) => entry.toObject()),
      texts.map((receiptHandle, index) => ({
        messageId: `m${index}`,
        receiptHandle,
        status: { code: 20000, message: 'OK' },
      })),
    )
  }
})

Deliveries('whose acks differ have MULTIPLE_RESULTS above them', async () => {
  const { ack, change, handles } = await delivered(2)
  const [first = '', second = ''] = handles
  await change(first, 20_000)
  const response = await ack(first, second)
  assert.equal(response.getStatus()?.toObject(), { code: 30000, message: 'MULTIPLE_RESULTS' })
  assert.equal(
    response.getEntriesList().map((entry) => entry.getStatus()?.getCode()),
    [40013, 20000],
  )
  assert.is(response.getEntriesList()[0]?.getStatus()?.getMessage(), 'receipt handle is expired')
})

Deliveries('whose acks all fail alike have that code’s name above them', async () => {
  const { ack } = await delivered(0)
  const response = await ack('not a handle')
  const { code, message } = response.getStatus()?.toObject() ?? {}
  assert.equal([code, message], [40013, 'INVALID_RECEIPT_HANDLE'])
})

Deliveries('are not acked by an empty request, and not under illegal names', async () => {
  const { ack, call } = await delivered(0)
  assert.is((await ack()).getStatus()?.getCode(), 50001)
  assert.is(await codeOf('AckMessage', call, ackRequest('or ders', 'h')), 40002)
  const nobody = ackRequest('orders', 'h').setGroup(resourceOf('a b'))
  assert.is(await codeOf('AckMessage', call, nobody), 40003)
})

Deliveries('get a new handle by a change, and the old one is dead', async () => {
  const { ack, change, handles, broker } = await delivered(1)
  const [old = ''] = handles
  const response = await change(old, 30_000)
  const fresh = response.getReceiptHandle()
  assert.is(response.getStatus()?.getCode(), 20000)
  assert.is.not(fresh, old)
  assert.equal(broker.extended, [30_000])
  assert.is((await ack(old)).getStatus()?.getCode(), 40013)
  assert.is((await ack(fresh)).getStatus()?.getCode(), 20000)
})

Deliveries('may be changed to 0, which is how Node refuses a message, up to 12 h', async () => {
  const { change, handles, broker } = await delivered(3)
  const [first = '', second = '', third = ''] = handles
  assert.is((await change(first, 0)).getStatus()?.getCode(), 20000)
  assert.is((await change(second, 43_200_000)).getStatus()?.getCode(), 20000)
  const refused = await change(third, 43_200_001)
  assert.is(refused.getStatus()?.getCode(), 40011)
  assert.is(refused.getReceiptHandle(), third)
  assert.equal(broker.extended, [0, 43_200_000])
})

Deliveries('keep their old handle when a change fails', async () => {
  const { change, handles, broker } = await delivered(1)
  const [handle = ''] = handles
  broker.failure = new BrokerError('STORE_UNAVAILABLE', { store: 'log', operation: 'write' })
  const failed = await change(handle, 1_000)
  assert.equal([failed.getStatus()?.getCode(), failed.getReceiptHandle()], [50001, handle])
  const garbage = await change('garbage', 1_000)
  assert.equal([garbage.getStatus()?.getCode(), garbage.getReceiptHandle()], [40013, 'garbage'])
})

Deliveries('are not changed to a negative duration', async () => {
  const { call, handles, broker } = await delivered(1)
  const request = changeRequest('orders', handles[0] ?? '', 0)
  request.getInvisibleDuration()?.setSeconds(-1)
  assert.is(await codeOf('ChangeInvisibleDuration', call, request), 40011)
  assert.equal(broker.extended, [])
})

const deadLetterRequest = (handle: string) =>
  new service.ForwardMessageToDeadLetterQueueRequest()
    .setGroup(resourceOf('group'))
    .setTopic(resourceOf('orders'))
    .setReceiptHandle(handle)
    .setDeliveryAttempt(17)

Deliveries('are dead-lettered with the reason', async () => {
  const { call, handles, broker } = await delivered(1)
  const request = deadLetterRequest(handles[0] ?? '')
  assert.is(await codeOf('ForwardMessageToDeadLetterQueue', call, request), 20000)
  assert.equal(broker.deadLettered, ['the consumer gave up at attempt 17'])
})

Deliveries('that are over are OK to dead-letter: clients repeat for ever else', async () => {
  const { call, change, handles, broker } = await delivered(1)
  const [handle = ''] = handles
  const forward = (text: string) =>
    codeOf('ForwardMessageToDeadLetterQueue', call, deadLetterRequest(text))
  await change(handle, 20_000)
  assert.is(await forward(handle), 20000, 'expired')
  assert.is(await forward('garbage'), 20000, 'unknown')
  broker.failure = new BrokerError('TOPIC_ENDING', { topic: 'orders' })
  assert.is(await forward(handle), 20000, 'deleted')
  assert.equal(broker.deadLettered, [])
  broker.failure = new BrokerError('STORE_UNAVAILABLE', { store: 'log', operation: 'write' })
  assert.is(await forward(handle), 50001, 'worth a repeat')
})

Deliveries.run()
