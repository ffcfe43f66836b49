import type { MetricFamily, MetricSample, MetricSource } from '../../model/ports.ts'
import type { CoreBroker } from '../broker/broker.ts'
import type { Group } from '../consumer-group/group.ts'
import type { Leases } from '../consumer-group/leases.ts'
import type { Topic } from '../topic/topic.ts'

const families: readonly MetricFamily[] = [
  { name: 'rocketmq_topic_number', type: 'gauge', help: 'Topics' },
  { name: 'rocketmq_consumer_group_number', type: 'gauge', help: 'Consumer groups' },
  { name: 'rocketmq_messages_in_total', type: 'counter', help: 'Messages sent to a topic' },
  { name: 'rocketmq_throughput_in_total', type: 'counter', help: 'Body bytes sent to a topic' },
  { name: 'rocketmq_messages_out_total', type: 'counter', help: 'Messages delivered to a group' },
  { name: 'rocketmq_throughput_out_total', type: 'counter', help: 'Body bytes delivered' },
  { name: 'rocketmq_consumer_lag_messages', type: 'gauge', help: 'Messages not acknowledged' },
  { name: 'rocketmq_consumer_inflight_messages', type: 'gauge', help: 'Messages leased' },
  { name: 'rocketmq_consumer_ready_messages', type: 'gauge', help: 'Messages to be delivered' },
  { name: 'rocketmq_send_to_dlq_messages_total', type: 'counter', help: 'Dead letters' },
  { name: 'glasspost_topic_bytes', type: 'gauge', help: 'Live bytes of a topic in the log' },
  { name: 'glasspost_redeliveries_total', type: 'counter', help: 'Redeliveries by cause' },
  { name: 'glasspost_retention_lost_total', type: 'counter', help: 'Trimmed before acknowledged' },
  { name: 'glasspost_unsynced_bytes', type: 'gauge', help: 'Admitted and not yet on disk' },
  { name: 'glasspost_unsynced_age_seconds', type: 'gauge', help: 'Age of the oldest of them' },
  { name: 'glasspost_sessions', type: 'gauge', help: 'Clients alive' },
  { name: 'glasspost_parked_receives', type: 'gauge', help: 'Receives that wait' },
  { name: 'glasspost_loop_restarts_total', type: 'counter', help: 'Restarts of supervised loops' },
]

/**
 * Every metric of the broker as a function of its state: a series exists exactly as long as
 * the owner it is read from, so none can outlive it and none can drift.
 */
export class BrokerMetrics implements MetricSource {
  readonly families = families
  readonly #broker: CoreBroker

  constructor(broker: CoreBroker) {
    this.#broker = broker
  }

  *samples(): Generator<MetricSample> {
    const { state, leases, log, lot, sessions, components } = this.#broker
    yield { name: 'rocketmq_topic_number', labels: {}, value: state.topicsByName.size }
    yield { name: 'rocketmq_consumer_group_number', labels: {}, value: state.groupsByName.size }
    for (const topic of state.topicsByName.values()) if (topic.isVisible) yield* ofTopic(topic)
    for (const group of state.groupsByName.values())
      if (group.isVisible) yield* ofGroup(group, leases)
    const ageMs =
      log.unsyncedSinceMs === undefined ? 0 : components.clock.monotonicMs() - log.unsyncedSinceMs
    yield { name: 'glasspost_unsynced_bytes', labels: {}, value: log.unsyncedBytes }
    yield { name: 'glasspost_unsynced_age_seconds', labels: {}, value: ageMs / 1000 }
    yield { name: 'glasspost_sessions', labels: {}, value: sessions.count }
    yield { name: 'glasspost_parked_receives', labels: {}, value: lot.parked }
    for (const { address, restarts } of this.#broker.loops())
      if (restarts > 0)
        yield { name: 'glasspost_loop_restarts_total', labels: { address }, value: restarts }
  }
}

function* ofTopic(topic: Topic): Generator<MetricSample> {
  const labels = { topic: topic.name }
  yield { name: 'rocketmq_messages_in_total', labels, value: topic.messagesIn }
  yield { name: 'rocketmq_throughput_in_total', labels, value: topic.bytesIn }
  yield { name: 'glasspost_topic_bytes', labels, value: topic.bytes }
}

function* ofGroup(group: Group, leases: Leases): Generator<MetricSample> {
  const ofGroupOnly = { consumer_group: group.name }
  yield {
    name: 'rocketmq_send_to_dlq_messages_total',
    labels: ofGroupOnly,
    value: group.deadLettered,
  }
  yield { name: 'glasspost_retention_lost_total', labels: ofGroupOnly, value: group.lost }
  for (const [cause, value] of group.causes)
    yield { name: 'glasspost_redeliveries_total', labels: { ...ofGroupOnly, cause }, value }
  for (const { topic, cells, messagesOut, bytesOut } of group.subscriptions.values()) {
    const labels = { ...ofGroupOnly, topic: topic.name }
    let inFlight = 0
    let ready = 0
    for (const queue of topic.queues) {
      const cell = cells[queue.queueId]
      const leased = cell ? leases.inFlight(cell) : 0
      const next = Math.max(cell?.deliveries.next ?? 0, queue.offsetMin)
      inFlight += leased
      ready += (cell?.deliveries.unacked ?? 0) - leased + Math.max(0, queue.offsetMax - next)
    }
    yield { name: 'rocketmq_messages_out_total', labels, value: messagesOut }
    yield { name: 'rocketmq_throughput_out_total', labels, value: bytesOut }
    yield { name: 'rocketmq_consumer_inflight_messages', labels, value: inFlight }
    yield { name: 'rocketmq_consumer_ready_messages', labels, value: ready }
    yield { name: 'rocketmq_consumer_lag_messages', labels, value: inFlight + ready }
  }
}
