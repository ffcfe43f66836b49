import type { Broker, MetricFamily, MetricSample, MetricSource } from '../../model/ports.ts'
import { CallRecord, latencyBuckets } from './call-record.ts'
import { nameOfCode } from './status.ts'
import { clientTypes, nameOf } from './wire/common.ts'
import type { Settings } from './wire/telemetry.ts'

type Labels = Readonly<Record<string, string>>

interface Connection {
  /** Undefined of a producer. */
  readonly group: string | undefined
  readonly mode: 'push' | 'pull'
  readonly language: string
  readonly version: string
}

/** By the numbers of `apache.rocketmq.v2.Language`. */
const languageNames: readonly string[] = [
  ...['unspecified', 'java', 'cpp', 'dot_net', 'golang', 'rust', 'python', 'php'],
  ...['node_js', 'ruby', 'objective_c', 'dart', 'kotlin'],
]

/** Clients say their version: text that strangers choose. */
const VERSION_LENGTH_MAX = 32
const VERSIONS_MAX = 64

/** The processors of RocketMQ that would serve these RPCs; all others are its client manager's. */
const processorOf: Readonly<Record<string, string>> = {
  SendMessage: 'send',
  RecallMessage: 'send',
  ForwardMessageToDeadLetterQueue: 'send',
  ReceiveMessage: 'pull',
  AckMessage: 'ack',
  ChangeInvisibleDuration: 'ack',
  EndTransaction: 'transaction',
  Heartbeat: 'heartbeat',
  QueryAssignment: 'consumer_manager',
}
const CLIENT_MANAGER = 'client_manager'

const families: readonly MetricFamily[] = [
  {
    name: 'rocketmq_rpc_latency',
    help: 'How long calls took, in ms, since the start',
    type: 'histogram',
    alias: 'rocketmq_rpc_latency_milliseconds',
  },
  {
    name: 'rocketmq_producer_connections',
    help: 'Open telemetry streams of producers',
    type: 'gauge',
  },
  {
    name: 'rocketmq_consumer_connections',
    help: 'Open telemetry streams of consumers, of groups that exist',
    type: 'gauge',
  },
  {
    name: 'rocketmq_processor_watermark',
    help: 'Calls in flight, by the processor that RocketMQ would serve them with',
    type: 'gauge',
  },
]

const snakeCase = (name: string): string => name.replace(/(?<=.)[A-Z]/g, '_$&').toLowerCase()

const connectionOf = ({ clientType, subscription, userAgent }: Settings): Connection => ({
  group: subscription === undefined ? undefined : nameOf(subscription.group),
  mode: clientType === clientTypes.pushConsumer ? 'push' : 'pull',
  language: languageNames[userAgent?.language ?? 0] ?? 'unknown',
  version: (userAgent?.version ?? '').slice(0, VERSION_LENGTH_MAX).toLowerCase(),
})

/** What only the gRPC door knows: its calls, and who is connected. */
export class GrpcMetrics implements MetricSource {
  readonly families = families
  readonly #groups: Broker['groups']
  readonly #records = new Map<string, CallRecord>()
  readonly #connections = new Map<object, Connection>()

  constructor({ groups }: Pick<Broker, 'groups'>) {
    this.#groups = groups
  }

  /** The one record of an RPC's calls. */
  recordOf(rpc: string): CallRecord {
    const record = this.#records.get(rpc) ?? new CallRecord()
    this.#records.set(rpc, record)
    return record
  }

  /** The newest settings of a stream count, until it is closed. */
  connected(stream: object, settings: Settings): void {
    this.#connections.set(stream, connectionOf(settings))
  }

  disconnected(stream: object): void {
    this.#connections.delete(stream)
  }

  *samples(): Generator<MetricSample> {
    yield* this.#ofConnections()
    const watermarks = new Map<string, number>()
    for (const [rpc, record] of this.#records) {
      const processor = processorOf[rpc] ?? CLIENT_MANAGER
      watermarks.set(processor, (watermarks.get(processor) ?? 0) + record.inFlight)
      yield* samplesOfCalls(rpc, record)
    }
    for (const [processor, value] of watermarks)
      yield { name: 'rocketmq_processor_watermark', labels: { processor }, value }
  }

  #ofConnections(): Iterable<MetricSample> {
    const samples = new Map<string, { name: string; labels: Labels; value: number }>()
    const versions = new Set<string>()
    for (const { group, mode, language, version: said } of this.#connections.values()) {
      if (group !== undefined && this.#groups.find(group) === undefined) continue
      if (versions.size < VERSIONS_MAX) versions.add(said)
      const version = versions.has(said) ? said : 'other'
      const key = JSON.stringify([group, mode, language, version])
      const sample = samples.get(key)
      if (sample) sample.value++
      else {
        const labels = { language, version, protocol_type: 'grpc' }
        samples.set(
          key,
          group === undefined
            ? { name: 'rocketmq_producer_connections', labels, value: 1 }
            : {
                name: 'rocketmq_consumer_connections',
                labels: {
                  ...labels,
                  consumer_group: group,
                  consume_mode: mode,
                  is_system: 'false',
                },
                value: 1,
              },
        )
      }
    }
    return samples.values()
  }
}

function* samplesOfCalls(rpc: string, record: CallRecord): Generator<MetricSample> {
  const name = 'rocketmq_rpc_latency'
  for (const { code, result, counts, count, sumMs } of record.timings) {
    const labels = {
      protocol_type: 'grpc',
      request_code: snakeCase(rpc),
      response_code: (nameOfCode.get(code) ?? 'unknown').toLowerCase(),
      is_long_polling: String(rpc === 'ReceiveMessage'),
      result,
    }
    let value = 0
    for (let bucket = 0; bucket < latencyBuckets.length; bucket++) {
      value += counts[bucket] ?? 0
      const le = String(latencyBuckets[bucket])
      yield { name, part: '_bucket', labels: { ...labels, le }, value }
    }
    yield { name, part: '_bucket', labels: { ...labels, le: '+Inf' }, value: count }
    yield { name, part: '_sum', labels, value: sumMs }
    yield { name, part: '_count', labels, value: count }
  }
}
