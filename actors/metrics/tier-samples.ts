import type { MetricSample } from '../../model/ports.ts'
import { requestKinds } from '../../model/tier/requests.ts'
import type { Tiering, TierStatus, TierTopicStatus } from '../../model/tier/tier-admin.ts'
import { chartStateOf, isStuck, offloadStates } from '../../model/tier/tier-states.ts'
import type { CoreBroker } from '../broker/broker.ts'
import type { TierTallies } from '../tier/tier-tallies.ts'
import { samplesOfTimes } from './times-samples.ts'

export interface TierSources {
  readonly tiering: Pick<Tiering, 'status'>
  readonly tallies: TierTallies
}

const NONE: Readonly<Record<string, string>> = {}
const stored = { storage_type: 'tiered', storage_medium: 'blob' }
const segments = { ...stored, file_type: 'segment' }

/**
 * What the tier says; nothing on a broker without one. Of a topic that has ended nothing is told:
 * its name may be another's by now.
 */
export function* samplesOfTier(
  broker: CoreBroker,
  { tiering, tallies }: TierSources,
): Generator<MetricSample> {
  const status = tiering.status()
  if (status === undefined) return
  yield* samplesOfMemory(status, broker)
  yield* samplesOfRequests(tallies, status.namespace)
  yield* samplesOfStates(status)
  for (const told of status.topics)
    if (broker.state.topics.get(told.topicId)?.isVisible === true) {
      yield* samplesOfTopic(told)
      yield* samplesOfQueues(told, broker, tallies)
    }
}

function* samplesOfMemory(
  { buffers, cache, cost, topics }: TierStatus,
  { tierReader }: CoreBroker,
): Generator<MetricSample> {
  const gauges: Readonly<Record<string, number>> = {
    glasspost_tier_topics_dropping: topics.filter(({ state }) => state === 'droppingTier').length,
    glasspost_tier_buffers: buffers.buffers,
    glasspost_tier_buffers_high_water_bytes: buffers.highWaterBytes,
    glasspost_tier_buffer_waiters: buffers.waiters,
    glasspost_tier_total_cost_per_month: cost.perMonth,
    glasspost_tier_budget_per_month: cost.budgetPerMonth,
    glasspost_tier_paused: Number(cost.isPaused),
  }
  for (const [name, value] of Object.entries(gauges)) yield { name, labels: NONE, value }
  const { hits = 0, misses = 0 } = tierReader?.traffic ?? {}
  const counts = { count: cache.frames, bytes: cache.bytes, access_total: hits + misses }
  for (const [name, value] of Object.entries({ ...counts, hit_total: hits }))
    yield { name: `rocketmq_tiered_store_read_ahead_cache_${name}`, labels: stored, value }
  for (const [buffer, { bytes, bytesMax }] of [
    ['tier_uploads', buffers],
    ['tier_cache', cache],
  ] as const) {
    yield { name: 'glasspost_buffer_bytes', labels: { buffer }, value: bytes }
    yield { name: 'glasspost_buffer_bytes_max', labels: { buffer }, value: bytesMax }
  }
}

/** What requests to the store took and carried, whatever they were about. */
function* samplesOfRequests({ requests }: TierTallies, path: string): Generator<MetricSample> {
  const name = 'rocketmq_tiered_store_provider'
  for (const { fileType, kind, ok, ms, sentBytes, receivedBytes } of requests) {
    const asked = { path, file_type: fileType, operation: kind, success: String(ok) }
    const labels = { ...stored, ...asked }
    yield* samplesOfTimes(`${name}_rpc_latency`, labels, ms)
    if (sentBytes.count > 0) yield* samplesOfTimes(`${name}_upload_bytes`, labels, sentBytes)
    if (receivedBytes.count > 0)
      yield* samplesOfTimes(`${name}_download_bytes`, labels, receivedBytes)
  }
}

/** Queues by state, also the states that none is in. */
function* samplesOfStates({ topics }: TierStatus): Generator<MetricSample> {
  const counts = new Map<string, number>(offloadStates.map((state) => [state, 0]))
  for (const { queues } of topics)
    for (const queue of queues) {
      const state = chartStateOf(queue)
      counts.set(state, (counts.get(state) ?? 0) + 1)
    }
  for (const [state, value] of counts)
    yield { name: 'glasspost_tier_queues', labels: { state }, value }
}

function* samplesOfTopic(told: TierTopicStatus): Generator<MetricSample> {
  const { topic, traffic, queues } = told
  const labels = { topic }
  yield { name: 'rocketmq_storage_size', labels: { ...segments, topic }, value: told.bytes }
  const values: Readonly<Record<string, number>> = {
    glasspost_tier_objects: told.objects,
    glasspost_tier_stuck_queues: queues.filter(isStuck).length,
    glasspost_tier_cost_per_month: told.costPerMonth,
    glasspost_tier_requests_failed_total: traffic.failed,
    glasspost_tier_sent_bytes_total: traffic.sentBytes,
    glasspost_tier_received_bytes_total: traffic.receivedBytes,
  }
  for (const [name, value] of Object.entries(values)) yield { name, labels, value }
  for (const kind of requestKinds) {
    const name = 'glasspost_tier_requests_total'
    yield { name, labels: { ...labels, kind }, value: traffic.requests[kind] }
  }
}

function* samplesOfQueues(
  { topic, topicId, queues }: TierTopicStatus,
  { state, components }: CoreBroker,
  tallies: TierTallies,
): Generator<MetricSample> {
  const nowMs = components.clock.wallMs()
  const tier = state.topics.get(topicId)?.tier
  for (const { queueId, behind } of queues) {
    const labels = { ...segments, topic, queue_id: String(queueId) }
    yield { name: 'rocketmq_tiered_store_dispatch_behind', labels, value: behind }
    const value = tallies.offloaded(topicId, queueId)
    yield { name: 'rocketmq_tiered_store_messages_dispatch_total', labels, value }
    const oldestMs = tier?.sectionsOf(queueId)[0]?.firstMs
    if (oldestMs === undefined) continue
    const aged = { ...stored, topic, queue_id: String(queueId) }
    yield { name: 'rocketmq_storage_message_reserve_time', labels: aged, value: nowMs - oldestMs }
  }
}
