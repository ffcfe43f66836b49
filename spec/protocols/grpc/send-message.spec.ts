import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BrokerError } from '../../../model/errors.ts'
import { aCall, aDoor } from './support/calls.ts'
import { service } from './support/official.ts'
import { aMessage, sendRequest } from './support/requests.ts'
import { serve } from './support/serving.ts'

const Send = suite('SendMessage')

const send = (door: Parameters<typeof aCall>[0], request: ReturnType<typeof sendRequest>) =>
  serve('SendMessage', aCall(door), request, service.SendMessageResponse)

Send('answers as many entries as messages, ids echoed, offsets rising', async () => {
  const { door, broker } = aDoor()
  broker.addTopic('orders')
  await send(door, sendRequest('orders', 'zero'))
  const response = await send(door, sendRequest('orders', 'one', 'two'))
  assert.equal(response.getStatus()?.toObject(), { code: 20000, message: 'OK' })
  assert.equal(
    response.getEntriesList().map((entry) => entry.toObject()),
    ['one', 'two'].map((text, index) => ({
      status: { code: 20000, message: 'OK' },
      messageId: `id of ${text}`,
      transactionId: `id of ${text}`,
      offset: index + 1,
      recallHandle: '',
    })),
  )
})

Send('never creates a topic', async () => {
  const { door, broker } = aDoor({ autoCreate: true })
  for (const bodies of [['one'], ['one', 'two']]) {
    const response = await send(door, sendRequest('orders', ...bodies))
    assert.is(response.getStatus()?.getCode(), 40402)
    assert.match(response.getStatus()?.getMessage() ?? '', "'orders' does not exist")
    assert.is(response.getEntriesList().length, 0)
  }
  assert.is(broker.topics.find('orders'), undefined)
})

Send('refuses a type that the topic does not take, of a batch all', async () => {
  const { door, broker } = aDoor()
  broker.addTopic('steps', 'FIFO')
  const grouped = aMessage('steps', 'a')
  grouped.getSystemProperties()?.setMessageGroup('g')
  const both = new service.SendMessageRequest().setMessagesList([grouped, aMessage('steps', 'b')])
  assert.is((await send(door, both)).getStatus()?.getCode(), 40014)
  assert.is((await send(door, sendRequest('steps', 'b'))).getStatus()?.getCode(), 40014)
  assert.is(broker.stored.get('steps')?.length, 0)
  const right = new service.SendMessageRequest().setMessagesList([grouped])
  assert.is((await send(door, right)).getStatus()?.getCode(), 20000)
})

Send('stores nothing of a batch with one illegal message', async () => {
  const { door, broker } = aDoor()
  broker.addTopic('orders')
  const response = await send(door, sendRequest('orders', 'good', ''))
  assert.is(response.getStatus()?.getCode(), 41302)
  assert.is(broker.stored.get('orders')?.length, 0)
})

Send('says of each message of a batch what became of it', async () => {
  const { door, broker } = aDoor()
  broker.addTopic('orders')
  broker.failure = new BrokerError('THROTTLED', { reason: 'the buffer is full' })
  const response = await send(door, sendRequest('orders', 'one', 'two'))
  assert.equal(response.getStatus()?.toObject(), { code: 30000, message: 'MULTIPLE_RESULTS' })
  const [first, second] = response.getEntriesList()
  assert.is(first?.getStatus()?.getCode(), 42900)
  assert.is(first?.getMessageId(), '')
  assert.is(second?.getStatus()?.getCode(), 20000)
})

Send('keeps its producer’s session alive', async () => {
  const { door, broker } = aDoor()
  broker.addTopic('orders')
  await send(door, sendRequest('orders', 'x'))
  assert.equal(broker.touched, ['client-1 producer'])
})

Send('with too many calls in flight is throttled', async () => {
  const { door, broker } = aDoor()
  broker.addTopic('orders')
  const request = sendRequest('orders', 'x')
  const { SendMessageResponse } = service
  const response = await serve('SendMessage', aCall(door), request, SendMessageResponse, 'tooMany')
  assert.is(response.getStatus()?.getCode(), 42900)
  assert.is(broker.stored.get('orders')?.length, 0)
})

Send.run()
