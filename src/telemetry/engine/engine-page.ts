// What an engine's metrics page says: gauges as they are, counters as what happened since the page before. Pure.
import type { EngineReading } from '../../core/snapshot.ts';
import { parsePrometheusText, type MetricSample } from './prometheus-text.ts';

/** A page reduced to what is read from it; kept to subtract it from the next. */
export interface EnginePage {
  readonly engine: EngineReading['engine'];
  readonly samples: readonly MetricSample[];
}

const WANTED = /^(nv_inference_|vllm:|batch_request_queue|model_infer_request|rest_server_requests_in_progress)/;

/** Which engine it is follows from the names on the page, not from configuration. Never throws. */
export function parseEnginePage(text: string): EnginePage {
  const samples = parsePrometheusText(text, (name) => WANTED.test(name) && !name.endsWith('_bucket'));
  const has = (prefix: string): boolean => samples.some((sample) => sample.name.startsWith(prefix));
  if (has('vllm:')) return { engine: 'vllm', samples };
  if (has('nv_inference_')) return { engine: 'triton', samples };
  if (has('model_infer_request') || has('batch_request_queue')) return { engine: 'mlserver', samples };
  return { engine: 'unknown', samples: [] };
}

/**
 * `before` is the last page of the same engine, null for the first. A counter that fell was reset, so what it shows is
 * all since; a series that is new counts from 0. What the page does not publish, and every ratio without events
 * between the pages, is null.
 */
export function toEngineReading(page: EnginePage, before: EnginePage | null): EngineReading {
  const gauge = (name: string): number | null => sum(page.samples, name);
  const grown = (name: string): number | null => growth(page, before, name);
  const mean = (total: string, count: string, scale: number): number | null => ratio(grown(total), grown(count), scale);
  const unknown: EngineReading = {
    engine: page.engine,
    queueDepth: null,
    running: null,
    queueMs: null,
    computeMs: null,
    meanBatchItems: null,
    kvCacheRatio: null,
  };
  switch (page.engine) {
    case 'triton': {
      const requests = grown('nv_inference_request_success');
      const computeUs = ['input', 'infer', 'output']
        .map((part) => grown(`nv_inference_compute_${part}_duration_us`))
        .filter((us) => us !== null);
      return {
        ...unknown,
        queueDepth: gauge('nv_inference_pending_request_count'),
        queueMs: ratio(grown('nv_inference_queue_duration_us'), requests, 1e-3),
        computeMs: computeUs.length === 0 ? null : ratio(total(computeUs), requests, 1e-3),
        meanBatchItems: mean('nv_inference_count', 'nv_inference_exec_count', 1),
      };
    }
    case 'vllm':
      return {
        ...unknown,
        queueDepth: gauge('vllm:num_requests_waiting'),
        running: gauge('vllm:num_requests_running'),
        queueMs: mean('vllm:request_queue_time_seconds_sum', 'vllm:request_queue_time_seconds_count', 1000),
        computeMs: mean('vllm:request_inference_time_seconds_sum', 'vllm:request_inference_time_seconds_count', 1000),
        // Named gpu_cache_usage_perc before version 0.10.
        kvCacheRatio:
          average(page.samples, 'vllm:kv_cache_usage_perc') ?? average(page.samples, 'vllm:gpu_cache_usage_perc'),
      };
    case 'mlserver':
      return {
        ...unknown,
        // A histogram of sizes seen at each enqueueing: its mean since the last page is the nearest to a depth.
        queueDepth: gauge('batch_request_queue') ?? mean('batch_request_queue_sum', 'batch_request_queue_count', 1),
        running: gauge('rest_server_requests_in_progress'),
      };
    case 'unknown':
      return unknown;
  }
}

function finite(samples: readonly MetricSample[], name: string): number[] {
  return samples.filter((s) => s.name === name && Number.isFinite(s.value)).map((s) => s.value);
}

function total(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}

function sum(samples: readonly MetricSample[], name: string): number | null {
  const values = finite(samples, name);
  return values.length === 0 ? null : total(values);
}

function average(samples: readonly MetricSample[], name: string): number | null {
  const values = finite(samples, name);
  return values.length === 0 ? null : total(values) / values.length;
}

function ratio(amount: number | null, count: number | null, scale: number): number | null {
  return amount === null || count === null || count <= 0 ? null : (scale * amount) / count;
}

/** Growth of a counter over all its series; null on the first page, or where it is not published. */
function growth(page: EnginePage, before: EnginePage | null, name: string): number | null {
  const now = page.samples.filter((s) => s.name === name && Number.isFinite(s.value));
  if (before === null || before.engine !== page.engine || now.length === 0) return null;
  const earlier = new Map(before.samples.filter((s) => s.name === name).map((s) => [toKey(s), s.value]));
  return total(
    now.map((sample) => {
      const value = earlier.get(toKey(sample));
      return value === undefined || !(sample.value >= value) ? sample.value : sample.value - value;
    }),
  );
}

function toKey(sample: MetricSample): string {
  return JSON.stringify(Object.entries(sample.labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
