import type { MetricFamily } from '../../model/ports.ts'
import { counter, gauge, histogram } from './family.ts'

/** Of the tier: RocketMQ's names where it has the thing, and ours for what only we promise. */
export const tierFamilies: readonly MetricFamily[] = [
  histogram(
    'rocketmq_tiered_store_provider_rpc_latency',
    'Requests to the store, in ms',
    'rocketmq_tiered_store_provider_rpc_latency_milliseconds',
  ),
  histogram('rocketmq_tiered_store_provider_upload_bytes', 'Bytes sent by one request'),
  histogram('rocketmq_tiered_store_provider_download_bytes', 'Bytes received by one request'),
  gauge('rocketmq_tiered_store_dispatch_behind', 'Messages that only the log has'),
  counter('rocketmq_tiered_store_messages_dispatch_total', 'Offloaded, since the start'),
  counter('rocketmq_tiered_store_messages_out_total', 'Delivered from the tier, since the start'),
  counter('rocketmq_tiered_store_read_ahead_cache_access_total', 'Frames asked of the cache'),
  counter('rocketmq_tiered_store_read_ahead_cache_hit_total', 'Of these, found in it'),
  gauge('rocketmq_tiered_store_read_ahead_cache_count', 'Frames read back and kept in memory'),
  gauge('rocketmq_tiered_store_read_ahead_cache_bytes', 'Bytes of what is kept'),
  gauge(
    'rocketmq_storage_message_reserve_time',
    'Age of the oldest message in the tier, in ms',
    'rocketmq_storage_message_reserve_time_milliseconds',
  ),
  gauge('glasspost_tier_objects', 'Objects of a topic in the tier'),
  gauge('glasspost_tier_queues', 'Queues by what their offloading does; following have nothing to'),
  gauge('glasspost_tier_stuck_queues', 'Queues of a topic whose offloading failed or is paused'),
  gauge('glasspost_tier_topics_dropping', 'Ended topics whose objects are not all removed yet'),
  gauge('glasspost_tier_buffers', 'Buffers in use for segments on their way'),
  gauge('glasspost_tier_buffers_high_water_bytes', 'Most bytes in use at one time so far'),
  gauge('glasspost_tier_buffer_waiters', 'Segments that wait for a buffer'),
  counter('glasspost_tier_requests_total', 'Requests about a topic by kind, since the start'),
  counter('glasspost_tier_requests_failed_total', 'Of these, answered by an error'),
  counter('glasspost_tier_sent_bytes_total', 'Bytes sent about a topic, since the start'),
  counter('glasspost_tier_received_bytes_total', 'Bytes received about a topic, since the start'),
  gauge('glasspost_tier_cost_per_month', 'Estimate of a topic, by the prices in the settings'),
  gauge('glasspost_tier_total_cost_per_month', 'Estimate of everything'),
  gauge('glasspost_tier_budget_per_month', 'What a month may cost; 0 means no budget'),
  gauge('glasspost_tier_paused', 'One while offloading waits for the budget'),
]
