import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { startServer } from '../../../index.ts'
import { eventually } from './support/doors.ts'
import { definition } from './support/official.ts'
import { framesOf, RawClient } from './support/raw-client.ts'
import {
  consumerSettings,
  producerSettings,
  receiveRequest,
  sendRequest,
  settingsCommand,
} from './support/requests.ts'

const Metrics = suite('metrics of the gRPC door')

const { Language, UA } = definition

Metrics('calls and connections are scraped, and go with client and group', async () => {
  await using server = await startServer({ memory: true, grpcPort: 0 })
  const { broker, grpcAddress } = server
  const valueOf = async (name: string, ...labels: readonly string[]) => {
    const lines = (await broker.metrics()).split('\n')
    const line = lines.find(
      (it) => it.startsWith(`${name}{`) && labels.every((label) => it.includes(label)),
    )
    return line === undefined ? undefined : Number(line.split(' ').at(-1))
  }
  await broker.topics.create('orders')
  await broker.groups.create('group')
  const client = new RawClient(grpcAddress)
  const streams = [client.telemetry(), client.telemetry()]
  try {
    assert.is((await client.status('SendMessage', sendRequest('orders', 'one'))).code, 20_000)
    assert.is((await client.status('SendMessage', sendRequest('nowhere', 'one'))).code, 40_402)
    await framesOf(client.receive(receiveRequest('orders')))
    for (const name of ['rocketmq_rpc_latency', 'rocketmq_rpc_latency_milliseconds']) {
      const sent = ['request_code="send_message"', 'result="success"', 'protocol_type="grpc"']
      const ok = [...sent, 'response_code="ok"', 'is_long_polling="false"']
      assert.is(await valueOf(`${name}_count`, ...ok), 1)
      assert.is(await valueOf(`${name}_bucket`, ...ok, 'le="+Inf"'), 1)
      assert.ok(Number(await valueOf(`${name}_sum`, ...ok)) > 0)
      assert.is(await valueOf(`${name}_count`, ...sent, 'response_code="topic_not_found"'), 1)
      const received = ['request_code="receive_message"', 'is_long_polling="true"']
      assert.is(await valueOf(`${name}_count`, ...received, 'response_code="ok"'), 1)
    }
    const waiting = client.receive(receiveRequest('orders', { pollMs: 20_000 }))
    const ended = framesOf(waiting)
    const pulls = () => valueOf('rocketmq_processor_watermark', 'processor="pull"')
    await eventually('a poll waits', async () => (await pulls()) === 1)
    waiting.cancel()
    await ended
    await eventually('the poll ended', async () => (await pulls()) === 0)

    const agent = new UA().setLanguage(Language.JAVA).setVersion(`5.0.7${'x'.repeat(90)}`)
    const settings = [producerSettings(['orders']), consumerSettings('group', ['orders'])]
    for (const [index, stream] of streams.entries()) {
      stream.on('error', () => undefined).resume()
      stream.write(settingsCommand((settings[index] ?? producerSettings([])).setUserAgent(agent)))
    }
    const java = ['language="java"', `version="5.0.7${'x'.repeat(27)}"`, 'protocol_type="grpc"']
    const ofGroup = [...java, 'consumer_group="group"', 'consume_mode="pull"', 'is_system="false"']
    const producers = () => valueOf('rocketmq_producer_connections', ...java)
    const consumers = () => valueOf('rocketmq_consumer_connections', ...ofGroup)
    await eventually('the producer is seen', async () => (await producers()) === 1)
    await eventually('the consumer is seen', async () => (await consumers()) === 1)
    await broker.groups.end('group')
    assert.is(await consumers(), undefined)
    assert.is((await broker.audit()).clean, true)
    for (const stream of streams) stream.end()
    await eventually('the producer is gone', async () => (await producers()) === undefined)
  } finally {
    client.close()
  }
})

Metrics.run()
