import type * as PrometheusClient from 'prom-client'
import type { Metric, Registry } from 'prom-client'
import { lazily } from '../lazily.ts'
import type { Histogram } from '../telemetry/histogram.ts'
import { registerProcessMetrics } from './process-metrics.ts'

const prometheusClient = lazily<typeof PrometheusClient>('prom-client')

/** One number of a metric. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number
  /** Of the numbers of a histogram. */
  readonly suffix?: '_bucket' | '_sum' | '_count'
}

/** A metric that is read when somebody asks; nothing is done for it before. */
export interface MetricSource {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly samples: () => Iterable<Sample>
  /** The way to one number for all workers of a process; by default they are summed. */
  readonly across?: 'sum' | 'max' | 'min' | undefined
}

/** The samples of a histogram of milliseconds, in seconds, as Prometheus wants all times. */
export function* histogramSamples({ bounds, counts, sum }: Histogram, labels: Readonly<Record<string, string>>): Generator<Sample> {
  let count = 0
  for (const [index, value] of counts.entries()) {
    count += value
    const bound = bounds[index]
    yield { labels: { ...labels, le: bound === undefined ? '+Inf' : String(bound / 1000) }, value: count, suffix: '_bucket' }
  }
  yield { labels, value: sum / 1000, suffix: '_sum' }
  yield { labels, value: count, suffix: '_count' }
}

/** The text that Prometheus reads. */
export interface Exposition {
  readonly read: () => Promise<{ readonly contentType: string; readonly text: string }>
  /** The same as values, which `mergeExpositions` takes. */
  readonly values: () => Promise<readonly MetricValues[]>
}

/** A metric with its values at one moment, as JSON. */
export interface MetricValues {
  readonly name: string
  readonly type: unknown
}

/** Shows `sources`, and CPU, memory and open files of the process. What makes the text of them is loaded when somebody asks for it first. */
export function createExposition(sources: readonly MetricSource[]): Exposition {
  let made: Registry | undefined
  const registry = (): Registry => (made ??= createRegistry(sources))
  return {
    read: () => textOf(registry()),
    values: () => registry().getMetricsAsJSON(),
  }
}

const textOf = async (registry: Registry): Promise<{ readonly contentType: string; readonly text: string }> => ({
  contentType: registry.contentType,
  text: await registry.metrics(),
})

/** Puts the metrics of several processes together: each as it says itself. */
export const mergeExpositions = (processes: readonly (readonly MetricValues[])[]): ReturnType<Exposition['read']> =>
  textOf(merge(processes))

/** The counters and histograms of several processes, in one: of those that have ended, what they had counted stays. */
export const keepCounts = async (processes: readonly (readonly MetricValues[])[]): Promise<readonly MetricValues[]> =>
  (await merge(processes).getMetricsAsJSON()).filter(({ type }) => COUNTING.has(type))

/** Numbers of prom-client where it does not say the word. */
const COUNTING: ReadonlySet<unknown> = new Set(['counter', 'histogram', 0, 2])

const merge = (processes: readonly (readonly MetricValues[])[]): Registry =>
  prometheusClient().AggregatorRegistry.aggregate<PrometheusClient.PrometheusContentType>(processes as unknown as object[])

function createRegistry(sources: readonly MetricSource[]): Registry {
  const registry = new (prometheusClient().Registry)()
  registerProcessMetrics(registry)
  for (const source of sources) registry.registerMetric(metricOf(source))
  return registry
}

/** The registry asks for nothing but `get`. Its own Gauge and Histogram would want every number twice: when it changes and when it is read. */
function metricOf({ name, help, type, samples, across = 'sum' }: MetricSource): Metric {
  const get = (): object => {
    const values = Array.from(samples(), ({ labels = {}, value, suffix = '' }) => ({ metricName: `${name}${suffix}`, labels, value }))
    return { name, help, type, values, aggregator: across }
  }
  return { name, help, type, get } as unknown as Metric
}
