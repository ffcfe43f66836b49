import type { MetricSample, MetricSource } from '../../model/ports.ts'
import { VERSION } from '../../model/version.ts'
import type { CoreBroker } from '../broker/broker.ts'
import type { CommitLog } from '../commit-log/commit-log.ts'
import { flushBuckets } from '../commit-log/flush-record.ts'
import { samplesOfDeferred, samplesOfWheel } from './deferred-samples.ts'
import { brokerFamilies } from './families.ts'
import { samplesOfGroup, samplesOfTopic } from './owner-samples.ts'
import { samplesOfTier, type TierSources } from './tier-samples.ts'

const READ_AND_WRITE = 6
const READ = 4
const NONE: Readonly<Record<string, string>> = {}

/**
 * Every metric of the broker as a function of its state: a series exists exactly as long as
 * the owner it is read from, so none can outlive it and none can drift.
 */
export class BrokerMetrics implements MetricSource {
  readonly families = brokerFamilies
  readonly #broker: CoreBroker
  readonly #tier: TierSources | undefined

  constructor(broker: CoreBroker, tier?: TierSources) {
    this.#broker = broker
    this.#tier = tier
  }

  prepare(): Promise<void> {
    return this.#broker.progress.load()
  }

  /** May be left in the middle and taken up later: owners that ended meanwhile are skipped. */
  *samples(): Generator<MetricSample> {
    const { state, progress } = this.#broker
    yield* this.#ofLog()
    yield* samplesOfFlushes(this.#broker.log)
    yield* this.#ofBuffers()
    yield* this.#ofDisk()
    yield* samplesOfWheel(this.#broker)
    if (this.#tier) yield* samplesOfTier(this.#broker, this.#tier)
    for (const topic of state.topicsByName.values())
      if (topic.isVisible) {
        yield* samplesOfTopic(topic)
        yield* samplesOfDeferred(this.#broker, topic)
      }
    for (const group of state.groupsByName.values())
      if (group.isVisible) yield* samplesOfGroup(group, progress)
    for (const { address, restarts } of this.#broker.loops())
      if (restarts > 0)
        yield { name: 'glasspost_loop_restarts_total', labels: { address }, value: restarts }
  }

  *#ofLog(): Generator<MetricSample> {
    const { log, state, sessions, lot, refusal } = this.#broker
    const nowMs = this.#broker.components.clock.monotonicMs()
    const since = (sinceMs: number | undefined) => (sinceMs === undefined ? 0 : nowMs - sinceMs)
    const refusingMs = since(log.refusingSinceMs)
    const gauges: Readonly<Record<string, number>> = {
      rocketmq_broker_permission: refusal === undefined ? READ_AND_WRITE : READ,
      rocketmq_topic_number: state.topicsByName.size,
      rocketmq_consumer_group_number: state.groupsByName.size,
      rocketmq_storage_dispatch_behind_bytes: 0,
      glasspost_unsynced_bytes: log.unsyncedBytes,
      glasspost_unsynced_age_seconds: since(log.unsyncedSinceMs) / 1_000,
      glasspost_refusing_seconds: refusingMs / 1_000,
      glasspost_refusing_seconds_total: (log.refusedMs + refusingMs) / 1_000,
      glasspost_log_bytes: sumOf(state.space.live.values()),
      glasspost_log_position: log.syncedOffset,
      glasspost_awaiting_reclaim_bytes: sumOf(bytesOfDropped(this.#broker)),
      glasspost_sessions: sessions.count,
      glasspost_parked_receives: lot.parked,
      glasspost_unacked: state.unacked,
      glasspost_leases: sumOf(leasesOf(this.#broker)),
    }
    for (const [name, value] of Object.entries(gauges)) yield { name, labels: NONE, value }
    const stored = { storage_type: 'local', storage_medium: 'disk' }
    const name = 'rocketmq_storage_flush_behind_bytes'
    yield { name, labels: stored, value: log.unsyncedBytes }
    yield { name: 'glasspost_build_info', labels: { version: VERSION }, value: 1 }
    for (const [reason, value] of log.refusals.counts)
      yield { name: 'glasspost_admissions_refused_total', labels: { reason }, value }
  }

  *#ofBuffers(): Generator<MetricSample> {
    const { log, blockCache } = this.#broker
    const buffers = {
      admission: { bytes: log.unsyncedBytes, bytesMax: log.unsyncedBytesMax },
      tail_cache: log.cache,
      block_cache: blockCache,
    }
    for (const [buffer, { bytes, bytesMax }] of Object.entries(buffers)) {
      yield { name: 'glasspost_buffer_bytes', labels: { buffer }, value: bytes }
      yield { name: 'glasspost_buffer_bytes_max', labels: { buffer }, value: bytesMax }
    }
  }

  *#ofDisk(): Generator<MetricSample> {
    const { usage } = this.#broker.disk
    if (usage === undefined) return
    const { totalBytes, freeBytes } = usage
    const stored = { storage_type: 'local', storage_medium: 'disk' }
    yield { name: 'rocketmq_storage_size', labels: stored, value: totalBytes - freeBytes }
    yield { name: 'glasspost_disk_free_bytes', labels: NONE, value: freeBytes }
    yield { name: 'glasspost_disk_size_bytes', labels: NONE, value: totalBytes }
  }
}

function* samplesOfFlushes({ buffered, flushes }: CommitLog): Generator<MetricSample> {
  const name = 'glasspost_flush_seconds'
  const { count, counts, failures, lastMs, sumMs } = flushes
  yield { name: 'glasspost_buffered_facts', labels: NONE, value: buffered.facts }
  yield { name: 'glasspost_buffered_bytes', labels: NONE, value: buffered.bytes }
  yield { name: 'glasspost_flush_last_seconds', labels: NONE, value: lastMs / 1_000 }
  yield { name: 'glasspost_flush_failures_total', labels: NONE, value: failures }
  let value = 0
  for (let bucket = 0; bucket < flushBuckets.length; bucket++) {
    value += counts[bucket] ?? 0
    const le = String((flushBuckets[bucket] ?? 0) / 1_000)
    yield { name, part: '_bucket', labels: { le }, value }
  }
  yield { name, part: '_bucket', labels: { le: '+Inf' }, value: count }
  yield { name, part: '_sum', labels: NONE, value: sumMs / 1_000 }
  yield { name, part: '_count', labels: NONE, value: count }
}

const sumOf = (values: Iterable<number>): number => {
  let sum = 0
  for (const value of values) sum += value
  return sum
}

function* bytesOfDropped({ state }: CoreBroker): Generator<number> {
  for (const { status, bytes } of state.topics.values()) if (status === 'dropped') yield bytes
}

function* leasesOf({ state, leases }: CoreBroker): Generator<number> {
  for (const group of state.groupsByName.values())
    for (const { cells } of group.subscriptions.values())
      for (const cell of cells) if (cell) yield leases.inFlight(cell)
}
