// A model's snapshot for tests of the rules: calm traffic within the SLA unless told otherwise.
import type { DepartureReason, Outcome } from '../../src/core/completion.ts';
import { DEFAULT_POLICY, type Policy } from '../../src/core/policy.ts';
import { type Settings, START_SETTINGS } from '../../src/core/settings.ts';
import type {
  BatchSample,
  ModelSnapshot,
  Quantiles,
  Snapshot,
  TelemetryReading,
  WindowStats,
} from '../../src/core/snapshot.ts';

export function toQuantiles(p50Ms: number, p99Ms: number, count = 1000): Quantiles {
  return { count, meanMs: p50Ms, p50Ms, p90Ms: p50Ms, p95Ms: p99Ms, p99Ms, p999Ms: p99Ms, maxMs: p99Ms };
}

const OUTCOME_COUNTS: Record<Outcome, number> = {
  ok: 1000,
  upstream_error: 0,
  shed: 0,
  timeout: 0,
  cancelled: 0,
  bad_request: 0,
  bypass: 0,
};
const DEPARTURE_COUNTS: Record<DepartureReason, number> = { full: 0, timeout: 0, natural: 100, single: 0, drain: 0 };

export function toWindow(changed: Partial<WindowStats> = {}): WindowStats {
  return {
    durationMs: 10_000,
    arrivals: 1000,
    arrivedItems: 1000,
    completions: 1000,
    completedItems: 1000,
    ratePerS: 100,
    outcomes: OUTCOME_COUNTS,
    errorRatio: 0,
    shedRatio: 0,
    cancelRatio: 0,
    latency: toQuantiles(20, 40),
    queue: toQuantiles(5, 10),
    upstream: toQuantiles(15, 30),
    sloAttainment: 1,
    batches: 100,
    meanBatchItems: 10,
    meanBatchRequests: 10,
    fillRatio: 0.2,
    departures: DEPARTURE_COUNTS,
    busyRatio: 0.5,
    meanInflight: 0.5,
    ...changed,
  };
}

export interface SnapshotChanges {
  readonly model?: string;
  readonly settings?: Partial<Settings>;
  readonly generation?: number;
  readonly source?: ModelSnapshot['version']['source'];
  readonly slaP99Ms?: number | null;
  readonly window?: Partial<WindowStats>;
  readonly samples?: readonly BatchSample[];
  readonly isChangePoint?: boolean;
  readonly arrivals?: ModelSnapshot['arrivals'];
}

export function toModelSnapshot(changes: SnapshotChanges = {}): ModelSnapshot {
  const slaP99Ms = changes.slaP99Ms === undefined ? 100 : changes.slaP99Ms;
  return {
    model: changes.model ?? 'm',
    version: {
      settings: { ...START_SETTINGS, ...changes.settings },
      generation: changes.generation ?? 1,
      source: changes.source ?? 'start',
    },
    sla: { p99Ms: slaP99Ms, isAssumed: false },
    window: toWindow(changes.window),
    features: { requestBytes: null, itemsPerRequest: null, dispersion: null, period: null, popularity: 1 },
    queueDepth: 0,
    oldestWaitMs: 0,
    inflight: 0,
    samples: changes.samples ?? toSamples({ count: 100 }),
    arrivals: changes.arrivals ?? [],
    isChangePoint: changes.isChangePoint ?? false,
  };
}

/** Calls one after the other, or `inflight` at a time, of a duration given by the size. */
export function toSamples({
  count,
  items = () => 10,
  durationMs = () => 15,
  inflight = 1,
}: {
  readonly count: number;
  readonly items?: (index: number) => number;
  readonly durationMs?: (items: number, index: number) => number;
  readonly inflight?: number;
}): readonly BatchSample[] {
  const samples: BatchSample[] = [];
  let atMs = 0;
  for (let index = 0; index < count; index++) {
    const size = items(index);
    const lengthMs = durationMs(size, index);
    samples.push({ startedMs: atMs, durationMs: lengthMs, items: size, inflight });
    if (index % inflight === inflight - 1) atMs += lengthMs + 1;
  }
  return samples;
}

export function toSnapshot(
  models: readonly ModelSnapshot[],
  atMs = 0,
  telemetry: TelemetryReading | null = null,
): Snapshot {
  return { atMs, isBurst: false, models, telemetry };
}

export function toPolicy(changes: Partial<Policy> = {}): Policy {
  return { ...DEFAULT_POLICY, sla: { p99Ms: 100, errorRate: 0.01 }, ...changes };
}
