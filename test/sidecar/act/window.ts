// Windows for tests: 10 s, 1,000 answers in 1,000 batches unless said otherwise.
import type { WindowStats } from '../../../src/core/snapshot.ts';

export interface WindowSketch {
  readonly p99Ms: number;
  readonly p90Ms?: number;
  readonly p50Ms?: number;
  readonly batches?: number;
  readonly errorRatio?: number;
  readonly busyRatio?: number;
  readonly ratePerS?: number;
}

export function windowOf(sketch: WindowSketch): WindowStats {
  const { p99Ms, p90Ms = p99Ms * 0.8, p50Ms = p99Ms * 0.6, batches = 1000, errorRatio = 0 } = sketch;
  const isIdle = batches === 0;
  const completions = isIdle ? 0 : 1000;
  return {
    durationMs: 10_000,
    arrivals: completions,
    arrivedItems: completions,
    completions,
    completedItems: completions,
    ratePerS: sketch.ratePerS ?? 100,
    outcomes: { ok: completions, upstream_error: 0, shed: 0, timeout: 0, cancelled: 0, bad_request: 0, bypass: 0 },
    errorRatio,
    shedRatio: 0,
    cancelRatio: 0,
    latency: isIdle
      ? null
      : {
          count: completions,
          meanMs: p50Ms,
          p50Ms,
          p90Ms,
          p95Ms: (p90Ms + p99Ms) / 2,
          p99Ms,
          p999Ms: p99Ms,
          maxMs: p99Ms,
        },
    queue: null,
    upstream: null,
    sloAttainment: null,
    batches,
    meanBatchItems: 1,
    meanBatchRequests: 1,
    fillRatio: 1,
    departures: { full: 0, timeout: 0, natural: batches, single: 0, drain: 0 },
    busyRatio: sketch.busyRatio ?? 0.5,
    meanInflight: 1,
  };
}
