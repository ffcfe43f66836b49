import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createBroker } from '../../../index.ts'
import { type AdminClient, serveAdmin } from './support/admin-client.ts'

const Metrics = suite<{ admin: AdminClient }>('metrics, scraped')

Metrics.before(async (context) => {
  context.admin = await serveAdmin({ brokerName: 'b-1' })
})
Metrics.after(({ admin }) => admin.server.close())

const scrape = async ({ call }: AdminClient): Promise<string[]> =>
  (await call('GET /metrics')).text.split('\n')

/** Lines of series that name this topic or group, and nothing else. */
const seriesOf = (lines: readonly string[], name: string): string[] =>
  lines.filter((line) => line.includes(`"${name}"`))

const valueOf = (lines: readonly string[], name: string, ...labels: readonly string[]): number =>
  Number(
    lines
      .find((line) => line.startsWith(name) && labels.every((label) => line.includes(label)))
      ?.split(' ')
      .at(-1),
  )

Metrics('series come with their owner and go with it; neighbours keep theirs', async (context) => {
  const { admin } = context
  const { call } = admin
  const before = seriesOf(await scrape(admin), 'order')
  assert.equal(before, [])
  for (const name of ['order', 'order-', 'orders']) {
    await call('POST /v1/topics', { name })
    await call(`POST /v1/topics/${name}/messages`, { body: 'four' })
    await call(`POST /v1/groups/${name}/receive`, { topic: name })
  }
  // Ages grow by themselves: of them the series count, of all others the values, too.
  const withoutAge = (line: string) => (line.includes('_latency') ? line.split('} ')[0] : line)
  const neighbours = (lines: readonly string[]) =>
    ['order-', 'orders'].map((name) => seriesOf(lines, name).map(withoutAge))
  const during = await scrape(admin)
  assert.ok(seriesOf(during, 'order').length > 15, 'a topic and a group have series')
  await call('DELETE /v1/topics/order')
  const withoutTopic = seriesOf(await scrape(admin), 'order')
  assert.ok(withoutTopic.length > 0, 'the group still has some')
  for (const line of withoutTopic) assert.not.match(line, 'topic="order"')
  await call('DELETE /v1/groups/order')
  const after = await scrape(admin)
  assert.equal(seriesOf(after, 'order'), [])
  assert.equal(neighbours(after), neighbours(during))
})

Metrics('RocketMQ finds its names and labels, in both spellings', async ({ admin }) => {
  const { call } = admin
  await call('POST /v1/topics', { name: 'mixed', type: 'MIXED', queues: 1 })
  for (const size of [3_000, 500])
    await call('POST /v1/topics/mixed/messages', { body: 'x'.repeat(size) })
  await call('POST /v1/topics/mixed/messages', { body: 'four', messageGroup: 'g' })
  await call('POST /v1/groups/mixers/receive', { topic: 'mixed' })
  const lines = await scrape(admin)
  const base = ['node_type="broker"', 'cluster="DefaultCluster"', 'node_id="b-1"']
  const fifo = ['topic="mixed"', 'message_type="fifo"', 'is_system="false"', ...base]
  assert.is(valueOf(lines, 'rocketmq_messages_in_total', ...fifo), 1)
  assert.is(valueOf(lines, 'rocketmq_throughput_in_total', ...fifo), 4)
  const normal = ['topic="mixed"', 'message_type="normal"']
  const upTo = (size: string) =>
    valueOf(lines, 'rocketmq_message_size_bucket', ...normal, `le="${size}"`)
  assert.equal([upTo('1024'), upTo('4096'), upTo('524288'), upTo('+Inf')], [1, 2, 2, 2])
  assert.is(valueOf(lines, 'rocketmq_message_size_sum', ...normal), 3_500)
  const group = ['consumer_group="mixers"', 'topic="mixed"', 'is_retry="false"', ...base]
  assert.is(valueOf(lines, 'rocketmq_consumer_lag_messages', ...group), 3)
  assert.is(valueOf(lines, 'rocketmq_consumer_inflight_messages', ...group), 1)
  assert.is(valueOf(lines, 'rocketmq_consumer_ready_messages', ...group), 2)
  assert.is(valueOf(lines, 'rocketmq_messages_out_total', ...group), 1)
  for (const name of ['rocketmq_storage_size', 'rocketmq_storage_size_bytes'])
    assert.ok(lines.includes(`# TYPE ${name} gauge`), name)
})

Metrics('every line is a comment or a series, every family is announced once', async (context) => {
  const lines = (await scrape(context.admin)).filter((line) => line !== '')
  const number = String.raw`(-?\d+(\.\d+)?(e[+-]?\d+)?|\+Inf|NaN)`
  const series = new RegExp(String.raw`^[a-z_]+(\{([a-z_]+="[^"\n]*",?)+\})? ${number}$`)
  const heads = lines.filter((line) => line.startsWith('# TYPE'))
  for (const line of lines) assert.ok(line.startsWith('# ') || series.test(line), line)
  assert.is(new Set(heads).size, heads.length)
})

Metrics('families with many series are printed whole, in parts', async () => {
  await using broker = await createBroker({ memory: true })
  const names = Array.from({ length: 1_203 }, (_, index) => `topic-${index}`)
  await Promise.all(names.map((name) => broker.topics.create(name, { queues: 1 })))
  const lines = (await broker.metrics()).split('\n')
  const found = lines.filter((line) => line.startsWith('glasspost_topic_messages{'))
  assert.is(new Set(found).size, names.length)
  assert.is(lines.filter((line) => line.startsWith('# TYPE glasspost_topic_messages')).length, 1)
})

Metrics('what was refused at admission is counted by its code', async () => {
  const bytesMax = 1 << 20
  await using broker = await createBroker({ memory: true, settings: { commitLog: { bytesMax } } })
  await broker.topics.create('full')
  const body = Buffer.alloc(100_000)
  const sends = await Promise.allSettled(
    Array.from({ length: 20 }, () => broker.send('full', { body })),
  )
  const refused = sends.filter(({ status }) => status === 'rejected').length
  assert.ok(refused > 0, 'more was sent at one time than may wait')
  const lines = (await broker.metrics()).split('\n')
  const counted = valueOf(lines, 'glasspost_admissions_refused_total', 'reason="THROTTLED"')
  assert.is(counted, refused)
  const bound = valueOf(lines, 'glasspost_buffer_bytes_max', 'buffer="admission"')
  assert.is(bound, bytesMax)
})

Metrics.run()
