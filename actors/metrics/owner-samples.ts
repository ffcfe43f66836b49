import { isReservedTopic } from '../../model/addressing/names.ts'
import type { MetricSample } from '../../model/ports.ts'
import type { Group } from '../consumer-group/group.ts'
import type { Progress } from '../consumer-group/progress.ts'
import type { Subscription } from '../consumer-group/subscription.ts'
import type { Topic } from '../topic/topic.ts'
import { sizeBuckets, type Traffic } from '../topic/traffic.ts'

/** What a topic is asked at a scrape. */
export function* samplesOfTopic(topic: Topic): Generator<MetricSample> {
  const labels = { topic: topic.name }
  yield { name: 'glasspost_topic_messages', labels, value: topic.messages }
  yield { name: 'glasspost_topic_bytes', labels, value: topic.bytes }
  // RocketMQ does not count its own retry and dead-letter topics.
  if (isReservedTopic(topic.name)) return
  for (const [type, traffic] of topic.traffic) {
    const ofType = { ...labels, message_type: type.toLowerCase(), is_system: 'false' }
    yield { name: 'rocketmq_messages_in_total', labels: ofType, value: traffic.messages }
    yield { name: 'rocketmq_throughput_in_total', labels: ofType, value: traffic.bytes }
    yield* samplesOfSizes(ofType, traffic)
  }
}

function* samplesOfSizes(
  labels: Readonly<Record<string, string>>,
  { messages, bytes, sizes }: Traffic,
): Generator<MetricSample> {
  const name = 'rocketmq_message_size'
  let value = 0
  for (let bucket = 0; bucket < sizeBuckets.length; bucket++) {
    value += sizes[bucket] ?? 0
    const le = String(sizeBuckets[bucket])
    yield { name, part: '_bucket', labels: { ...labels, le }, value }
  }
  yield { name, part: '_bucket', labels: { ...labels, le: '+Inf' }, value: messages }
  yield { name, part: '_sum', labels, value: bytes }
  yield { name, part: '_count', labels, value: messages }
}

/** What a group is asked at a scrape. A group without lag still says 0. */
export function* samplesOfGroup(group: Group, progress: Progress): Generator<MetricSample> {
  const labels = { consumer_group: group.name }
  yield { name: 'glasspost_retention_lost_total', labels, value: group.lost }
  yield { name: 'glasspost_group_paused', labels, value: Number(group.settings.paused) }
  for (const [cause, value] of group.causes)
    yield { name: 'glasspost_redeliveries_total', labels: { ...labels, cause }, value }
  for (const subscription of group.subscriptions.values())
    yield* samplesOfSubscription(labels, subscription, progress)
}

function* samplesOfSubscription(
  ofGroup: Readonly<Record<string, string>>,
  subscription: Subscription,
  progress: Progress,
): Generator<MetricSample> {
  const { topic, messagesOut, bytesOut, tieredOut, deadLettered } = subscription
  let inFlight = 0
  let ready = 0
  let lagMs = 0
  let queueingMs = 0
  for (const queue of topic.queues) {
    const found = progress.of(subscription, queue)
    inFlight += found.inFlight
    ready += found.ready
    lagMs = Math.max(lagMs, progress.ageMs(topic, queue, found.oldestUnacked) ?? 0)
    queueingMs = Math.max(queueingMs, progress.ageMs(topic, queue, found.oldestReady) ?? 0)
  }
  const ofTopic = { ...ofGroup, topic: topic.name, is_system: 'false' }
  const labels = { ...ofTopic, is_retry: 'false' }
  yield { name: 'rocketmq_messages_out_total', labels, value: messagesOut }
  yield { name: 'rocketmq_throughput_out_total', labels, value: bytesOut }
  yield { name: 'rocketmq_consumer_inflight_messages', labels, value: inFlight }
  yield { name: 'rocketmq_consumer_ready_messages', labels, value: ready }
  yield { name: 'rocketmq_consumer_lag_messages', labels, value: inFlight + ready }
  yield { name: 'rocketmq_consumer_lag_latency', labels, value: lagMs }
  yield { name: 'rocketmq_consumer_queueing_latency', labels, value: queueingMs }
  if (tieredOut > 0) {
    const tiered = { storage_type: 'tiered', storage_medium: 'blob', topic: topic.name }
    const name = 'rocketmq_tiered_store_messages_out_total'
    // RocketMQ calls it `group` here.
    yield { name, labels: { ...tiered, group: ofGroup['consumer_group'] ?? '' }, value: tieredOut }
  }
  yield { name: 'rocketmq_send_to_dlq_messages_total', labels: ofTopic, value: deadLettered }
}
