import { slotState } from '../../machines/timer-wheel/deferred-table.ts'
import { snapshotBoundsS } from '../../machines/timer-wheel/deferred-times.ts'
import type { MetricSample } from '../../model/ports.ts'
import type { CoreBroker } from '../broker/broker.ts'
import type { Topic } from '../topic/topic.ts'
import { samplesOfTimes } from './times-samples.ts'

const NONE: Readonly<Record<string, string>> = {}

/** What a topic's scheduled and half messages say. */
export function* samplesOfDeferred(broker: CoreBroker, topic: Topic): Generator<MetricSample> {
  const { type } = topic.settings
  const labels = { topic: topic.name }
  const { timer, transaction } = broker.state.deferred
  const halves = transaction.topics.get(topic.topicId)
  if (type === 'TRANSACTION' || type === 'MIXED')
    yield { name: 'rocketmq_half_messages', labels, value: halves?.count ?? 0 }
  if (type !== 'DELAY' && type !== 'MIXED') return
  const timers = timer.topics.get(topic.topicId)
  yield { name: 'rocketmq_timing_messages', labels, value: timers?.count ?? 0 }
  if (timers === undefined) return
  yield { name: 'rocketmq_timer_enqueue_total', labels, value: timers.enqueued }
  yield { name: 'rocketmq_timer_dequeue_total', labels, value: timers.released }
  yield* samplesOfTimes('rocketmq_delay_message_latency', labels, timers.delays)
}

/** What the timer wheel says. */
export function* samplesOfWheel({
  state,
  log,
  deferred,
  components: { clock },
}: CoreBroker): Generator<MetricSample> {
  const { table, unsynced } = state.deferred.timer
  const nowMs = clock.wallMs()
  let overdue = 0
  let oldestMs = nowMs
  for (let slot = 0; slot < table.end; slot++) {
    const dueMs = table.dueMs[slot] as number
    if (table.state[slot] !== slotState.waiting || dueMs > nowMs) continue
    overdue++
    oldestMs = Math.min(oldestMs, dueMs)
  }
  const since = unsynced === 0 ? undefined : log.unsyncedSinceMs
  const gauges = {
    rocketmq_timer_enqueue_lag: unsynced,
    rocketmq_timer_enqueue_latency: since === undefined ? 0 : clock.monotonicMs() - since,
    rocketmq_timer_dequeue_lag: overdue,
    rocketmq_timer_dequeue_latency: nowMs - oldestMs,
    glasspost_timer_count_mismatches_total: deferred.sweep.mismatches,
  }
  for (const [name, value] of Object.entries(gauges)) yield { name, labels: NONE, value }
  for (const [index, bound] of snapshotBoundsS.entries()) {
    const labels = { timer_bound_s: String(bound) }
    const value = deferred.sweep.snapshot[index] ?? 0
    yield { name: 'rocketmq_timer_message_snapshot', labels, value }
  }
  yield* samplesOfTimes('glasspost_timer_lateness_milliseconds', NONE, deferred.lateness)
}
