// What the operator wants: the mode, the service level, and how boldly settings may change.
import type { Bounds } from './settings.ts';

export type Mode = 'performance' | 'cost' | 'balanced';
export const MODES: readonly Mode[] = ['performance', 'cost', 'balanced'];

/** The tuning policy of one agent. Replaced whole. The field names are the public contract. */
export interface Policy {
  readonly mode: Mode;
  readonly sla: {
    /** Undefined: 3 x the measured batch-1 p99, shown everywhere as assumed. */
    readonly p99Ms?: number;
    /** Share of requests that may fail, 0..1. */
    readonly errorRate: number;
    readonly ttftP99Ms?: number;
    readonly itlP99Ms?: number;
  };
  /** Exponents of the objective; sum 1. Undefined: by mode. */
  readonly weights?: { readonly performance: number; readonly cost: number };
  readonly bounds: {
    readonly batchSize: readonly [number, number];
    /** Undefined: [0, 3/4 of the SLA]. */
    readonly batchDelayMs?: readonly [number, number];
    readonly concurrency: readonly [number, number];
    readonly switches: readonly string[];
  };
  readonly sampling: { readonly intervalS: number; readonly burstIntervalS: number };
  readonly decideIntervalS: number;
  readonly trial: {
    readonly stages: readonly number[];
    readonly alpha: number;
    readonly minBatches: number;
    readonly maxWaitS: number;
  };
  readonly rollback: { readonly threshold: number; readonly windowS: number };
  readonly guard: { readonly maxStepRatio: number; readonly cooldownWindows: number; readonly barMinutes: number };
  readonly learn: { readonly online: boolean; readonly backend: 'wasm' | 'cpu' | 'node' | 'node-gpu' };
}

export const DEFAULT_POLICY: Policy = Object.freeze<Policy>({
  mode: 'balanced',
  sla: { errorRate: 0.01 },
  bounds: { batchSize: [1, 64], concurrency: [1, 64], switches: [] },
  sampling: { intervalS: 10, burstIntervalS: 1 },
  decideIntervalS: 10,
  trial: { stages: [0.1, 0.5, 1], alpha: 0.01, minBatches: 20, maxWaitS: 300 },
  rollback: { threshold: 0.1, windowS: 10 },
  guard: { maxStepRatio: 2, cooldownWindows: 2, barMinutes: 30 },
  learn: { online: true, backend: 'wasm' },
});

/** (performance, cost) weights by mode. */
export const MODE_WEIGHTS: Readonly<Record<Mode, { readonly performance: number; readonly cost: number }>> = {
  performance: { performance: 1, cost: 0 },
  cost: { performance: 0, cost: 1 },
  balanced: { performance: 0.7, cost: 0.3 },
};

export function toWeights(policy: Policy): { readonly performance: number; readonly cost: number } {
  return policy.weights ?? MODE_WEIGHTS[policy.mode];
}

/** The p99 target in force. `isAssumed` until the operator gives one; null while nothing is measured either. */
export interface SlaTarget {
  readonly p99Ms: number | null;
  readonly isAssumed: boolean;
}

/** `batch1P99Ms` is the measured p99 of the model at batch 1 without queueing, null while unknown. */
export function toSlaTarget(policy: Policy, batch1P99Ms: number | null): SlaTarget {
  if (policy.sla.p99Ms !== undefined) return { p99Ms: policy.sla.p99Ms, isAssumed: false };
  return { p99Ms: batch1P99Ms === null ? null : 3 * batch1P99Ms, isAssumed: true };
}

/** While no SLA is known, a delay may not pass 1 s: nobody asked for more. */
const UNKNOWN_SLA_DELAY_MAX_MS = 1000;

/** The policy's bounds with the delay's upper end resolved against the SLA. */
export function toBounds(policy: Policy, sla: SlaTarget): Bounds {
  return {
    batchSize: policy.bounds.batchSize,
    batchDelayMs: policy.bounds.batchDelayMs ?? [0, sla.p99Ms === null ? UNKNOWN_SLA_DELAY_MAX_MS : 0.75 * sla.p99Ms],
    concurrency: policy.bounds.concurrency,
    switches: policy.bounds.switches,
  };
}
