// The metrics page: our own counters and those of the process, rendered by prom-client in either text format.
import { collectDefaultMetrics, type Metric, Registry, type RegistryContentType } from 'prom-client';
import type { CompletionSink } from '../../src/core/completion.ts';
import type { HistoryEntry } from '../../src/core/history.ts';
import { ChangeCounts, type MetricsDeps, toFamilies } from './families.ts';
import type { Family } from './family.ts';
import { BoundedNames } from './labels.ts';
import { RequestMeter } from './meter.ts';

export interface Metrics {
  /** For the request path: counts, nothing else. */
  readonly sink: CompletionSink;
  /** A listener for `Applier.subscribe`. */
  readonly changed: (entry: HistoryEntry, cause: string | null) => void;
  /** The page in the format the scraper asks for. */
  render(accept: string | null): Promise<{ readonly contentType: string; readonly body: string }>;
  /** Stops the timers of the process metrics. */
  close(): void;
}

export interface MetricsOptions {
  /** Values of the `model` label at most; the rest is `other`. Default 100. */
  readonly maxModels?: number;
  /** Configured models: they always have a label of their own. */
  readonly reservedModels?: readonly string[];
}

export function createMetrics(deps: MetricsDeps, options: MetricsOptions = {}): Metrics {
  const names = new BoundedNames(options.maxModels ?? 100, options.reservedModels);
  const meter = new RequestMeter(names);
  const changes = new ChangeCounts();
  const families = toFamilies(deps, meter, changes, names);
  const process = new Registry();
  // At its default of 10 ms the monitor of the event loop alone would wake an idle agent a hundred times a second.
  collectDefaultMetrics({ register: process, eventLoopMonitoringPrecision: 100 });
  meter.setSla(deps.slaP99Ms());

  const pages = {
    prometheus: createPage(Registry.PROMETHEUS_CONTENT_TYPE, families, process),
    openMetrics: createPage(Registry.OPENMETRICS_CONTENT_TYPE, families, process),
  };
  return {
    sink: meter,
    changed: (entry, cause) => changes.count(entry, cause),
    async render(accept) {
      meter.setSla(deps.slaP99Ms());
      const page = isOpenMetricsWanted(accept) ? pages.openMetrics : pages.prometheus;
      return { contentType: page.contentType, body: await page.metrics() };
    },
    close: () => process.clear(),
  };
}

/**
 * prom-client asks each metric for its values at the scrape, and that is all it asks; so a family is registered as
 * such an object. (Its own Counter and Histogram hash label objects on every increment: 10 times what we may spend.)
 * Every format has its own objects, since the registry renames counters in place.
 */
function createPage(
  contentType: RegistryContentType,
  families: readonly Family[],
  process: Registry,
): Registry<RegistryContentType> {
  const registry = new Registry<RegistryContentType>();
  registry.setContentType(contentType);
  const register = (name: string, help: string, type: string, read: () => Promise<readonly PromSample[]>): void => {
    const metric = {
      name, // renamed by the registry in OpenMetrics, so it is read anew
      help,
      type,
      get: async () => ({ name: metric.name, help, type, aggregator: 'sum', values: await read() }),
    };
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the three members above are all it uses
    registry.registerMetric(metric as unknown as Metric);
  };
  for (const { name, help, type, read } of families) {
    const pageName = type === 'counter' ? `${name}_total` : name;
    register(pageName, help, type, () =>
      Promise.resolve(
        read().map(({ suffix, labels, value }) => ({
          labels,
          value,
          ...(suffix === undefined ? {} : { metricName: name + suffix }),
        })),
      ),
    );
  }
  for (const metric of process.getMetricsAsArray()) {
    // Two gauges of prom-client end in _total, which readers take for counters.
    if (metric.name.endsWith('_total') && String(metric.type) === 'gauge') continue;
    register(metric.name, metric.help, String(metric.type), async () => {
      const own = process.getSingleMetric(metric.name);
      return own === undefined ? [] : (await own.get()).values;
    });
  }
  return registry;
}

interface PromSample {
  readonly metricName?: string | undefined;
  readonly labels: Partial<Record<string, string | number>>;
  readonly value: number;
}

/** By quality, as Prometheus sends it: `application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3`. */
function isOpenMetricsWanted(accept: string | null): boolean {
  const qualityOf = (type: string): number => {
    const range = (accept ?? '').split(',').find((part) => part.trim().toLowerCase().startsWith(type));
    if (range === undefined) return 0;
    const quality = /;\s*q=([\d.]+)/.exec(range)?.[1];
    return quality === undefined ? 1 : Number(quality);
  };
  const wanted = qualityOf('application/openmetrics-text');
  return wanted > 0 && wanted >= qualityOf('text/plain');
}
