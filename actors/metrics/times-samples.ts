import type { Times } from '../../machines/timer-wheel/deferred-times.ts'
import type { MetricSample } from '../../model/ports.ts'

/** A histogram. */
export function* samplesOfTimes(
  name: string,
  labels: Readonly<Record<string, string>>,
  { bounds, counts, count, sum }: Times,
): Generator<MetricSample> {
  let value = 0
  for (const [index, bound] of bounds.entries()) {
    value += counts[index] ?? 0
    yield { name, part: '_bucket', labels: { ...labels, le: String(bound) }, value }
  }
  yield { name, part: '_bucket', labels: { ...labels, le: '+Inf' }, value: count }
  yield { name, part: '_sum', labels, value: sum }
  yield { name, part: '_count', labels, value: count }
}
