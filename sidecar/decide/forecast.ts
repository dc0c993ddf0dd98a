// What a setting would give, in closed form: p99 with its queueing, busy share and mean batch under a believed curve.
import type { Settings } from '../../src/core/settings.ts';
import type { CurveBelief } from './curve-fit.ts';

/** The load a forecast is made for. */
export interface Load {
  /** Items per ms. */
  readonly itemsPerMs: number;
  /** Mean items of a request, >= 1. */
  readonly itemsPerRequest: number;
  /** Variance of arrived items over that of Poisson single items; 1 Poisson, above it bursty. */
  readonly dispersion: number;
}

export interface Forecast {
  readonly p99Ms: number;
  /** Share of time with a call in flight, 0..1. */
  readonly busyRatio: number;
  readonly meanBatchItems: number;
  /** Load over capacity; >= 1 cannot hold. */
  readonly utilization: number;
}

/** 99 of 100 of a normal variable lie below this many standard deviations; a request meets two batches, so its own p99 needs less of each. */
const BATCH_DEVIATIONS = 1.4;
const LN_100 = Math.log(100);

/**
 * A mean-field model of c slots that serve batches. Symbols: lambda items per ms, L(n) = a n + b, T(n) = L(n) * s(c, n) with the
 * slow-down s(k, n) = max(1, k d(n), 1 + kappa (k - 1)), g = time between departures.
 *
 *     delay 0:  g = T(n) / c while all slots are busy;  n = lambda g + exp(-lambda g)  (E max(1, Poisson))
 *     delay d:  g >= d + 1 / lambda, or the time to fill the batch if that is shorter
 *     spread:   var n = lambda g I / (1 - (lambda g')^2): each batch is as large as the one before was long
 *     p99:      residual of the running batches (or the delay), own batch at n + 1.4 sd, and the queue beyond
 *               full batches: var / (2 (1 - rho)) * ln(100 p_full) items (Kingman), root of squares with the residual
 *
 * Regimes: at full batches and rho -> 1 the last term rules; at light load p99 -> L(1); where a = 0, p99 -> 2 L.
 * Errors against the simulated engine are in the README of this room.
 */
export function forecast(belief: CurveBelief, settings: Settings, load: Load): Forecast {
  const { concurrency: c, batchDelayMs: delayMs } = settings;
  const lambda = Math.max(1e-9, load.itemsPerMs);
  const unit = load.itemsPerRequest;
  const most = Math.max(unit, settings.batchSize);
  const peak = 64 / belief.latencyMs(64);
  const timeMs = (items: number, k: number): number => {
    const latencyMs = belief.latencyMs(items);
    const demand = Math.min(1, items / latencyMs / peak);
    return latencyMs * Math.max(1, k * demand, 1 + belief.interference * (k - 1));
  };

  const utilization = (lambda * timeMs(most, c)) / (c * most);
  if (utilization >= 1) return { p99Ms: Infinity, busyRatio: 1, meanBatchItems: most, utilization };

  // Fixed point of batch size and overlap, damped: five octaves of start error are gone after 40 turns.
  let items = unit;
  let inflight = Math.min(c, 1);
  let gapMs = 0;
  const fillMs = (most - unit) / lambda;
  const heldMs = Math.min(delayMs, fillMs);
  for (let turn = 0; turn < 40; turn++) {
    const serviceMs = timeMs(items, inflight);
    const offered = (lambda / items) * serviceMs;
    // With one slot every end finds it was busy; with more, most arrivals may find a free one and go alone.
    const full = c === 1 ? 1 : allBusy(offered, c);
    gapMs = Math.max(serviceMs / c, heldMs);
    const natural = full * meanAtLeastOne(lambda * (serviceMs / c), unit) + (1 - full) * unit;
    const held = delayMs > 0 ? unit + lambda * heldMs : unit;
    const next = Math.min(most, Math.max(natural, held));
    items += 0.5 * (next - items);
    inflight += 0.5 * (Math.min(c, Math.max(1, offered)) - inflight);
  }

  const serviceMs = timeMs(items, inflight);
  const offered = Math.min(c, (lambda / items) * serviceMs);
  const full = allBusy(offered, c);
  const feedback = Math.min(0.95, (lambda * belief.slopeMs * (serviceMs / belief.latencyMs(items))) / c);
  const arrivedVariance =
    lambda * Math.max(gapMs, serviceMs / c) * load.dispersion * Math.max(full, delayMs > 0 ? 1 : 0);
  const deviation = Math.sqrt(arrivedVariance / (1 - feedback * feedback));
  const large = Math.min(most, items + BATCH_DEVIATIONS * deviation);
  const busiest = Math.min(c, Math.max(1, offered + 2 * Math.sqrt(offered)));
  const ownMs = timeMs(large, busiest) * (1 + (belief.residualP99 - 1) / 2);
  // A request finds all slots busy with probability `full`, and then waits for a uniform part of a gap.
  const residualMs = (timeMs(large, c) / c) * Math.max(0, 1 - 0.01 / Math.max(1e-9, full));
  const excessMs = toExcessMs();
  const waitMs = Math.max(heldMs, Math.hypot(residualMs, excessMs));
  return { p99Ms: waitMs + ownMs, busyRatio: toBusy(), meanBatchItems: items, utilization };

  function toExcessMs(): number {
    const perBatch = timeMs(most, c) / c;
    const variance = lambda * perBatch * load.dispersion + (0.05 * most) ** 2;
    const pFull = upperTail((most - items) / Math.max(1e-9, deviation)) * full;
    const decades = LN_100 + Math.log(Math.max(1e-9, most === unit ? full : pFull));
    const queuedItems = (variance / (2 * (1 - utilization) * most)) * Math.max(0, decades);
    return (queuedItems * perBatch) / most;
  }

  function toBusy(): number {
    if (c > 1) return Math.min(1, 1 - idleShare(offered, c));
    const cycleMs = Math.max(serviceMs, heldMs + (delayMs > 0 ? unit / lambda : 0));
    const idleMs = delayMs > 0 ? 0 : (Math.exp((-lambda * serviceMs) / unit) * unit) / lambda;
    return Math.min(1, serviceMs / (cycleMs + (cycleMs > serviceMs ? 0 : idleMs)));
  }
}

/** Mean of max(1, Poisson(arrived)), in requests of `unit` items. */
function meanAtLeastOne(arrived: number, unit: number): number {
  return arrived + unit * Math.exp(-arrived / unit);
}

/** Erlang C: the share of arrivals that find all c slots busy. */
function allBusy(offered: number, c: number): number {
  if (offered >= c) return 1;
  let blocked = 1;
  for (let k = 1; k <= c; k++) blocked = (offered * blocked) / (k + offered * blocked);
  return blocked / (1 - (offered / c) * (1 - blocked));
}

/** Share of time with nothing in flight, M/M/c. */
function idleShare(offered: number, c: number): number {
  if (offered >= c) return 0;
  let term = 1;
  let sum = 1;
  for (let k = 1; k < c; k++) sum += term *= offered / k;
  return 1 / (sum + ((term * offered) / c) * (c / (c - offered)));
}

/** P(normal > z), good to 1 % of itself for z of 0 to 4 (logistic approximation). */
function upperTail(z: number): number {
  return 1 / (1 + Math.exp(1.5976 * z + 0.070565 * z ** 3));
}
