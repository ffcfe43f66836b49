import { Counter, Gauge, Registry } from 'prom-client'
import type { MetricFamily, MetricRegistry, MetricSample, MetricSource } from '../../model/ports.ts'

const labelNames = ['topic', 'consumer_group', 'cause', 'address']

/**
 * A Prometheus registry that owns no values: each scrape asks the source and forgets what it
 * was told before, so a series lives exactly as long as what it is read from.
 */
export class PrometheusMetrics implements MetricRegistry {
  readonly registry = new Registry()
  readonly #source: MetricSource
  #sampled = new Map<string, MetricSample[]>()

  constructor(source: MetricSource) {
    this.#source = source
    for (const family of source.families) this.#register(family)
  }

  /** The text that a scraper reads. */
  async scrape(): Promise<string> {
    this.#sample()
    return this.registry.metrics()
  }

  async series(): Promise<readonly MetricSample[]> {
    this.#sample()
    const families = await this.registry.getMetricsAsJSON()
    return families.flatMap(({ name, values }) =>
      (values as { labels: Record<string, string>; value: number }[]).map(({ labels, value }) => ({
        name,
        labels,
        value,
      })),
    )
  }

  #sample(): void {
    this.#sampled = new Map()
    for (const sample of this.#source.samples()) {
      const samples = this.#sampled.get(sample.name)
      if (samples) samples.push(sample)
      else this.#sampled.set(sample.name, [sample])
    }
  }

  #register({ name, help, type }: MetricFamily): void {
    const sampled = (): readonly MetricSample[] => this.#sampled.get(name) ?? []
    const options = { name, help, labelNames }
    const metric =
      type === 'gauge'
        ? new Gauge({
            ...options,
            registers: [],
            collect() {
              this.reset()
              for (const { labels, value } of sampled()) this.set(labels, value)
            },
          })
        : new Counter({
            ...options,
            registers: [],
            collect() {
              this.reset()
              for (const { labels, value } of sampled()) this.inc(labels, value)
            },
          })
    this.registry.registerMetric(metric)
  }
}
