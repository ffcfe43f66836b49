import { type Metric, Registry } from 'prom-client'
import type {
  Clock,
  MetricFamily,
  MetricRegistry,
  MetricSample,
  MetricSource,
} from '../../model/ports.ts'

export interface PrometheusOptions {
  readonly clock: Clock
  /** On every series. */
  readonly labels?: Readonly<Record<string, string>>
}

/** What the library prints: a series of a family, or of one of its parts such as `_bucket`. */
interface Value {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  readonly metricName?: string
}

/** Samples taken or printed in one turn: a scrape of many owners makes nobody wait for it. */
const SLICE = 500
/** `# HELP` and `# TYPE`, which the library prints above the series of a family. */
const HEAD_LINES = 2

/**
 * A Prometheus registry that owns no values: each scrape asks the sources and forgets what it
 * was told before, so a series lives exactly as long as what it is read from.
 */
export class PrometheusMetrics implements MetricRegistry {
  readonly registry = new Registry()
  readonly #sources: readonly MetricSource[]
  readonly #clock: Clock
  /** By each of its spellings. */
  readonly #familyOf = new Map<string, string>()
  /** What the registry tells in this turn. */
  #told: (family: string) => readonly Value[] = () => []

  constructor(sources: readonly MetricSource[], { clock, labels }: PrometheusOptions) {
    this.#sources = sources
    this.#clock = clock
    if (labels) this.registry.setDefaultLabels(labels)
    for (const { families } of sources)
      for (const family of families) {
        this.#register(family, family.name)
        if (family.alias !== undefined) this.#register(family, family.alias)
      }
  }

  /** The text that a scraper reads, a family at a time; others have their turn in between. */
  async *scrape(): AsyncGenerator<string> {
    for (const source of this.#sources) await source.prepare?.()
    const sampled = new Map<string, Value[]>()
    let left = SLICE
    for (const sample of this.#samples()) {
      add(sampled, sample)
      if (--left === 0) {
        left = SLICE
        await this.#breathe()
      }
    }
    for (const metric of this.registry.getMetricsAsArray()) {
      const name = nameOf(metric)
      const values = sampled.get(this.#familyOf.get(name) ?? name) ?? []
      for (let at = 0; at === 0 || at < values.length; at += SLICE) {
        const text = await this.#print(name, values.slice(at, at + SLICE))
        yield at === 0 ? text : text.split('\n').slice(HEAD_LINES).join('\n')
        await this.#breathe()
      }
    }
  }

  async text(): Promise<string> {
    let text = ''
    for await (const part of this.scrape()) text += part
    return text
  }

  /** In one turn. */
  async series(): Promise<readonly MetricSample[]> {
    const sampled = new Map<string, Value[]>()
    for (const sample of this.#samples()) add(sampled, sample)
    this.#told = (family) => sampled.get(family) ?? []
    const families = await this.registry.getMetricsAsJSON()
    return families.flatMap(({ name, values }) =>
      (values as Value[]).map(({ labels, value }) => ({ name, labels, value })),
    )
  }

  *#samples(): Generator<MetricSample> {
    for (const source of this.#sources) yield* source.samples()
  }

  async #print(name: string, values: readonly Value[]): Promise<string> {
    this.#told = () => values
    // Asks for the values before its first await.
    return `${await this.registry.getSingleMetricAsString(name)}\n`
  }

  #breathe(): Promise<void> {
    return new Promise((resolve) => this.#clock.soon(resolve))
  }

  /** The library's own gauges keep values; this one is asked at every scrape. */
  #register({ help, type, ...family }: MetricFamily, name: string): void {
    this.#familyOf.set(name, family.name)
    const get = () => {
      const told = this.#told(family.name)
      const spelt = ({ metricName, ...value }: Value): Value =>
        metricName === undefined
          ? value
          : { ...value, metricName: name + metricName.slice(family.name.length) }
      const values = name === family.name ? told : told.map(spelt)
      return Promise.resolve({
        ...{ name, help, type, aggregator: 'sum' },
        values,
      })
    }
    this.registry.registerMetric({ name, get, reset: () => {} } as unknown as Metric)
  }
}

const nameOf = (metric: object): string => (metric as { readonly name: string }).name

const add = (sampled: Map<string, Value[]>, { name, part, labels, value }: MetricSample): void => {
  const values = sampled.get(name)
  const entry = part === undefined ? { labels, value } : { labels, value, metricName: name + part }
  if (values) values.push(entry)
  else sampled.set(name, [entry])
}
