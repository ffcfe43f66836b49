import type { MetricFamily } from '../../model/ports.ts'

const gauge = (name: string, help: string, alias?: string): MetricFamily => ({
  ...{ name, help, type: 'gauge' },
  ...(alias === undefined ? {} : { alias }),
})
const counter = (name: string, help: string): MetricFamily => ({ name, help, type: 'counter' })
const histogram = (name: string, help: string): MetricFamily => ({ name, help, type: 'histogram' })

/** RocketMQ's names (RocketMQ 5, metrics), and ours for what only we promise. */
export const brokerFamilies: readonly MetricFamily[] = [
  gauge('rocketmq_broker_permission', 'Bits: 4 read, 2 write'),
  gauge('rocketmq_topic_number', 'Topics'),
  gauge('rocketmq_consumer_group_number', 'Consumer groups'),
  counter('rocketmq_messages_in_total', 'Messages stored in a topic, since the start'),
  counter('rocketmq_throughput_in_total', 'Body bytes stored in a topic, since the start'),
  histogram('rocketmq_message_size', 'Body bytes of stored messages'),
  counter('rocketmq_messages_out_total', 'Messages delivered to a group, since the start'),
  counter('rocketmq_throughput_out_total', 'Body bytes delivered to a group, since the start'),
  gauge('rocketmq_consumer_lag_messages', 'Messages not acknowledged, in flight or not'),
  gauge('rocketmq_consumer_inflight_messages', 'Messages leased'),
  gauge('rocketmq_consumer_ready_messages', 'Messages that can be delivered now'),
  counter('rocketmq_send_to_dlq_messages_total', 'Messages dead-lettered, since the start'),
  gauge('rocketmq_timing_messages', 'Scheduled messages that wait for their time'),
  gauge('rocketmq_half_messages', 'Half messages that wait for their producer'),
  gauge(
    'rocketmq_storage_size',
    'Bytes used on the disk of the data, by whatever',
    'rocketmq_storage_size_bytes',
  ),
  gauge('rocketmq_storage_flush_behind_bytes', 'Bytes admitted and not yet on disk'),
  gauge('rocketmq_storage_dispatch_behind_bytes', 'Bytes on disk and not yet visible'),
  gauge('glasspost_build_info', 'One, with the version'),
  gauge('glasspost_topic_messages', 'Messages kept in a topic'),
  gauge('glasspost_topic_bytes', 'Live bytes of a topic in the log'),
  counter('glasspost_redeliveries_total', 'Redeliveries by cause, since the start'),
  counter('glasspost_retention_lost_total', 'Trimmed before acknowledged, since the start'),
  gauge('glasspost_group_paused', 'One while a group is paused'),
  gauge('glasspost_unsynced_bytes', 'Admitted and not yet on disk'),
  gauge('glasspost_unsynced_age_seconds', 'Age of the oldest of them'),
  gauge('glasspost_refusing_seconds', 'How long the CommitLog has refused by now; 0 when not'),
  counter('glasspost_refusing_seconds_total', 'How long it refused in all, since the start'),
  counter('glasspost_admissions_refused_total', 'Refused at admission by code, since the start'),
  gauge('glasspost_buffer_bytes', 'Memory held by a bounded buffer or cache'),
  gauge('glasspost_buffer_bytes_max', 'Its bound'),
  gauge('glasspost_awaiting_reclaim_bytes', 'Of the deleted, sharing the log with the living'),
  gauge('glasspost_log_bytes', 'Live bytes of messages in the CommitLog'),
  gauge('glasspost_log_position', 'Physical offset up to which the CommitLog is on disk'),
  gauge('glasspost_sessions', 'Clients alive'),
  gauge('glasspost_parked_receives', 'Receives that wait'),
  gauge('glasspost_leases', 'Messages leased, of all groups'),
  counter('glasspost_loop_restarts_total', 'Restarts of supervised loops, since the start'),
  gauge('glasspost_disk_free_bytes', 'Free on the disk of the data'),
  gauge('glasspost_disk_size_bytes', 'Size of the disk of the data'),
]
