// What sense knows at one instant: the noun that deciders read. Plain JSON: it crosses processes.
import type { DepartureReason, Outcome } from './completion.ts';
import type { SlaTarget } from './policy.ts';
import type { SettingsVersion } from './settings.ts';

/** Latency quantiles of one window, ms; relative error <= 1.6 % (see sense/sketch). */
export interface Quantiles {
  readonly count: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

/** One window of one model. Ratios are 0..1; a quantile set is null when nothing was counted. */
export interface WindowStats {
  readonly durationMs: number;
  readonly arrivals: number;
  readonly arrivedItems: number;
  readonly completions: number;
  readonly completedItems: number;
  /** Arrivals per second. */
  readonly ratePerS: number;
  readonly outcomes: Readonly<Record<Outcome, number>>;
  /** dropped / (success + dropped); 0 when both are 0. */
  readonly errorRatio: number;
  readonly shedRatio: number;
  readonly cancelRatio: number;
  /** Successes only, whole time in the agent. */
  readonly latency: Quantiles | null;
  readonly queue: Quantiles | null;
  readonly upstream: Quantiles | null;
  /** Successes within the SLA / (success + dropped); null while no SLA is known. */
  readonly sloAttainment: number | null;
  readonly batches: number;
  readonly meanBatchItems: number;
  readonly meanBatchRequests: number;
  /** Mean items / batchSize in force, 0..1. */
  readonly fillRatio: number;
  readonly departures: Readonly<Record<DepartureReason, number>>;
  /** Share of the window with at least one upstream call in flight. */
  readonly busyRatio: number;
  readonly meanInflight: number;
}

/** Features of the request distribution; null = not enough evidence. */
export interface Features {
  readonly requestBytes: { readonly p50: number; readonly p99: number; readonly mean: number } | null;
  readonly itemsPerRequest: { readonly mean: number; readonly p99: number } | null;
  /** Index of dispersion of arrival counts: 1 Poisson, above it bursty. */
  readonly dispersion: number | null;
  readonly period: { readonly seconds: number; readonly confidence: number } | null;
  /** Share of all arrivals that go to this model, 0..1. */
  readonly popularity: number;
}

/** One recent upstream call, for fits. Compact: there may be hundreds. */
export interface BatchSample {
  readonly startedMs: number;
  readonly durationMs: number;
  readonly items: number;
  /** Calls of all models in flight when it left, itself included. */
  readonly inflight: number;
}

export interface ModelSnapshot {
  readonly model: string;
  readonly version: SettingsVersion;
  readonly sla: SlaTarget;
  readonly window: WindowStats;
  readonly features: Features;
  /** Now, not over the window. */
  readonly queueDepth: number;
  readonly oldestWaitMs: number;
  readonly inflight: number;
  /** Upstream calls since the last snapshot, newest last, at most 512. */
  readonly samples: readonly BatchSample[];
  /** [arrival ms, items] since the last snapshot, newest last, at most 4,096. */
  readonly arrivals: readonly (readonly [atMs: number, items: number])[];
  /** True in the snapshot right after the change-point test fired. */
  readonly isChangePoint: boolean;
}

/** One device. Unknown is null, never 0. */
export interface DeviceReading {
  readonly index: string;
  readonly uuid: string;
  readonly name: string | null;
  readonly utilizationRatio: number | null;
  readonly memoryUsedBytes: number | null;
  readonly memoryTotalBytes: number | null;
  readonly powerWatts: number | null;
  readonly temperatureCelsius: number | null;
  /** Parent's UUID for a MIG slice. */
  readonly parentUuid: string | null;
}

/** CPU and memory, and whose: a sidecar's own cgroup never sees the model's. */
export interface HostReading {
  readonly cpuRatio: number | null;
  readonly cpuSource: 'container' | 'pod' | 'node' | 'process';
  /** Share of periods in which the cgroup was throttled since the last reading. */
  readonly throttledRatio: number | null;
  readonly memoryUsedBytes: number | null;
  readonly memoryLimitBytes: number | null;
}

/** The engine's own word, from its metrics page. Null = not published. */
export interface EngineReading {
  readonly engine: 'triton' | 'mlserver' | 'vllm' | 'unknown';
  readonly queueDepth: number | null;
  readonly running: number | null;
  readonly queueMs: number | null;
  readonly computeMs: number | null;
  readonly meanBatchItems: number | null;
  readonly kvCacheRatio: number | null;
}

export interface SourceHealth {
  readonly source: string;
  /** Since the last good reading; null = there never was one. */
  readonly ageMs: number | null;
  readonly errors: number;
  readonly lastError: string | null;
}

/** Readings of the mind's telemetry at one instant. */
export interface TelemetryReading {
  readonly devices: readonly DeviceReading[];
  readonly deviceSource: string | null;
  readonly host: HostReading | null;
  readonly engine: EngineReading | null;
  readonly health: readonly SourceHealth[];
}

export interface Snapshot {
  readonly atMs: number;
  readonly isBurst: boolean;
  readonly models: readonly ModelSnapshot[];
  readonly telemetry: TelemetryReading | null;
}
