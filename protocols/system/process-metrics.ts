import { performance } from 'node:perf_hooks'
import type { MetricSample, MetricSource } from '../../model/ports.ts'

const MS = 1_000
const US = 1_000_000

/** What the process uses, under the names that Prometheus' own clients gave it. */
export const processMetrics: MetricSource = {
  families: [
    { name: 'process_resident_memory_bytes', type: 'gauge', help: 'Resident memory' },
    { name: 'process_cpu_seconds_total', type: 'counter', help: 'User and system time' },
    { name: 'process_uptime_seconds', type: 'gauge', help: 'Since the process began' },
    { name: 'nodejs_heap_size_used_bytes', type: 'gauge', help: 'Heap in use' },
    { name: 'nodejs_external_memory_bytes', type: 'gauge', help: 'Buffers outside the heap' },
    { name: 'nodejs_active_resources', type: 'gauge', help: 'Sockets, timers and files by kind' },
    {
      name: 'nodejs_eventloop_active_seconds_total',
      type: 'counter',
      help: 'Time in which the event loop was busy',
    },
  ],
  *samples(): Generator<MetricSample> {
    const { rss, heapUsed, external } = process.memoryUsage()
    const { user, system } = process.cpuUsage()
    const values: Readonly<Record<string, number>> = {
      process_resident_memory_bytes: rss,
      process_cpu_seconds_total: (user + system) / US,
      process_uptime_seconds: process.uptime(),
      nodejs_heap_size_used_bytes: heapUsed,
      nodejs_external_memory_bytes: external,
      nodejs_eventloop_active_seconds_total: performance.eventLoopUtilization().active / MS,
    }
    for (const [name, value] of Object.entries(values)) yield { name, labels: {}, value }
    const kinds = new Map<string, number>()
    for (const kind of process.getActiveResourcesInfo()) kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    for (const [kind, value] of kinds)
      yield { name: 'nodejs_active_resources', labels: { kind }, value }
  },
}
