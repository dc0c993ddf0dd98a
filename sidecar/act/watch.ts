// The regression watch of a change in force: the window before against a window after, numbers in, a verdict out.
import type { Prediction } from '../../src/core/proposal.ts';
import type { Quantiles, WindowStats } from '../../src/core/snapshot.ts';
import { toZ } from './sequential-quantile.ts';

export interface WatchRule {
  /** Exponents of the objective `p99Ms^performance x gpuSecondsPer1k^cost`. */
  readonly weights: { readonly performance: number; readonly cost: number };
  /** Null while none is known. */
  readonly slaP99Ms: number | null;
  /** Share of requests that may fail. */
  readonly errorRate: number;
  /** Relative worsening at which a change is withdrawn, 0.1 = 10 %. */
  readonly threshold: number;
  /** Fewest batches in each window. */
  readonly minBatches: number;
  /** Chance of a false alarm per window. */
  readonly alpha: number;
  /** The same question asked of slices, where a trial has shown how much those differ by chance; absent: of the windows alone. */
  readonly slices?: SliceComparison;
  /** A person insisted: only lost requests and a broken SLA withdraw it, not a worse objective. */
  readonly isForced: boolean;
}

export type RollbackCause = 'errors' | 'sla' | 'objective' | 'inconclusive' | 'reflex';

/** Slices since the change against those of its trial. Null: within chance, or no slices yet. */
export interface SliceComparison {
  /** ln of the objective's ratio, the load's part taken out. */
  readonly objectiveShift: number | null;
  /** More of the requests lost or late, as a share of all. */
  readonly missShift: number | null;
}

/** What is read of a window. */
export type WatchedWindow = Pick<
  WindowStats,
  'durationMs' | 'ratePerS' | 'completions' | 'errorRatio' | 'sloAttainment' | 'batches' | 'busyRatio'
> & { readonly latency: TailQuantiles | null };

type TailQuantiles = Pick<Quantiles, 'p50Ms' | 'p90Ms' | 'p99Ms'>;

export type WatchVerdict =
  /** not enough evidence; an idle model never passes */
  | { readonly kind: 'wait'; readonly reason: string }
  | { readonly kind: 'good'; readonly reason: string; readonly measured: Prediction }
  | { readonly kind: 'bad'; readonly cause: RollbackCause; readonly reason: string; readonly measured: Prediction };

/** Load that differs by more than this between the windows makes the objective incomparable; the SLA still counts. */
const COMPARABLE_LOAD_RATIO = 1.25;

/**
 * `before` is null when the model was idle before the change: then only the SLA and the errors can speak.
 *
 * A worsening counts when it passes the threshold *and* the noise: the standard error of a log quantile is
 * `slope x sqrt((1 - t) / (t x n))`, where t is the tail's share (0.01 for p99), slope = d ln(latency) / d ln(tail),
 * read off two quantiles, and n the number of batches (requests of one batch end together, so they are one sample).
 * p99 is noisy at few batches; a shift of the median that passes both is accepted as proof too.
 *
 * That formula holds where batches are late independently. Near saturation they are not (a busy period makes all of them
 * late: measured at 85 % load, a third of harmless changes looked worse), so after a trial its slices speak instead.
 */
export function judgeWindow(before: WatchedWindow | null, after: WatchedWindow, rule: WatchRule): WatchVerdict {
  if (after.batches < rule.minBatches) {
    return { kind: 'wait', reason: `${after.batches} of ${rule.minBatches} batches seen` };
  }
  const z = toZ(rule.alpha);
  const measured = measure(after);
  const bad = (cause: RollbackCause, reason: string): WatchVerdict => ({ kind: 'bad', cause, reason, measured });

  const baseline = before !== null && before.batches >= rule.minBatches ? before : null;
  const allowedErrors = Math.max(rule.errorRate, baseline?.errorRatio ?? 0);
  const errorNoise = z * Math.sqrt((allowedErrors * (1 - allowedErrors)) / Math.max(1, after.completions));
  if (after.errorRatio > allowedErrors + errorNoise) {
    return bad('errors', `${percent(after.errorRatio)} of requests lost, ${percent(allowedErrors)} allowed`);
  }
  const latency = after.latency;
  if (latency === null) return { kind: 'wait', reason: 'no request was answered' };

  const { slaP99Ms } = rule;
  const { slices } = rule;
  const isOverSla =
    slaP99Ms !== null &&
    (slices === undefined
      ? Math.log(latency.p99Ms / slaP99Ms) > z * noiseOfP99(latency, after.batches)
      : latency.p99Ms > slaP99Ms && slices.missShift !== null);
  const wasOverSla = slaP99Ms !== null && baseline?.latency != null && baseline.latency.p99Ms > slaP99Ms;
  if (isOverSla && !wasOverSla) return bad('sla', `p99 ${ms(latency.p99Ms)}, SLA ${ms(slaP99Ms ?? 0)}`);

  const isComparable = baseline?.latency != null && isSimilar(baseline.ratePerS, after.ratePerS);
  if (slices !== undefined) {
    const shift = isComparable && !rule.isForced ? slices.objectiveShift : null;
    if (shift !== null && shift > Math.log1p(rule.threshold))
      return bad('objective', `objective ${percent(Math.expm1(shift))} worse, ${percent(rule.threshold)} allowed`);
  } else if (baseline?.latency != null && (isComparable || isOverSla) && (!rule.isForced || isOverSla)) {
    const ratio = toObjective(measured, rule.weights) / toObjective(measure(baseline), rule.weights);
    const reason = `objective ${percent(ratio - 1)} worse, ${percent(rule.threshold)} allowed`;
    if (ratio > 1 + rule.threshold && isBeyondNoise(baseline.latency, latency, baseline, after, rule, z)) {
      return bad('objective', reason);
    }
  }
  return { kind: 'good', reason: `p99 ${ms(latency.p99Ms)} over ${after.batches} batches`, measured };
}

/** p99 and busy device seconds per 1,000 answers within the SLO, as the window shows them. */
export function measure(window: WatchedWindow): Prediction {
  const good = window.completions * (window.sloAttainment ?? 1 - window.errorRatio);
  const busyS = (window.busyRatio * window.durationMs) / 1000;
  return {
    p99Ms: window.latency?.p99Ms ?? Number.POSITIVE_INFINITY,
    gpuSecondsPer1k: good > 0 ? (busyS * 1000) / good : Number.POSITIVE_INFINITY,
  };
}

function toObjective({ p99Ms, gpuSecondsPer1k }: Prediction, weights: WatchRule['weights']): number {
  // A weight of 0 takes its factor out even where that is infinite: 0 x Infinity would be NaN.
  const factor = (value: number, weight: number): number => (weight === 0 ? 1 : Math.max(value, 1e-9) ** weight);
  return factor(p99Ms, weights.performance) * factor(gpuSecondsPer1k, weights.cost);
}

function isBeyondNoise(
  was: TailQuantiles,
  is: TailQuantiles,
  before: WatchedWindow,
  after: WatchedWindow,
  rule: WatchRule,
  z: number,
): boolean {
  // Device time is a sum over the whole window, so where cost is all that counts the threshold itself is enough.
  if (rule.weights.performance === 0) return true;
  const p99Noise = Math.hypot(noiseOfP99(was, before.batches), noiseOfP99(is, after.batches));
  if (Math.log(is.p99Ms / was.p99Ms) > z * p99Noise) return true;
  const medianShift = Math.log(is.p50Ms / was.p50Ms);
  const medianNoise = Math.hypot(noiseOfMedian(was, before.batches), noiseOfMedian(is, after.batches));
  return medianShift > Math.log(1 + rule.threshold) && medianShift > z * medianNoise;
}

/** t = 0.01; the slope is read between p90 and p99: one decade of tail. */
function noiseOfP99({ p90Ms, p99Ms }: TailQuantiles, batches: number): number {
  return toSlope(p90Ms, p99Ms, 10) * Math.sqrt(0.99 / (0.01 * Math.max(1, batches)));
}

/** t = 0.5; the slope is read between p50 and p90: a factor 5 of tail. */
function noiseOfMedian({ p50Ms, p90Ms }: TailQuantiles, batches: number): number {
  return toSlope(p50Ms, p90Ms, 5) / Math.sqrt(Math.max(1, batches));
}

/** Never below 0.02: a sketch's own error (1.6 %) makes equal quantiles look like certainty. */
function toSlope(lowMs: number, highMs: number, tailRatio: number): number {
  return lowMs > 0 && highMs > lowMs ? Math.max(0.02, Math.log(highMs / lowMs) / Math.log(tailRatio)) : 0.02;
}

function isSimilar(a: number, b: number): boolean {
  return a > 0 && b > 0 && Math.max(a, b) / Math.min(a, b) <= COMPARABLE_LOAD_RATIO;
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(1)} %`;
}

function ms(value: number): string {
  return `${Number(value.toPrecision(4))} ms`;
}
