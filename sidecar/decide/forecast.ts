// What a setting would give, in closed form: p99 with its queueing, busy share and mean batch under a believed curve.
import type { Settings } from '../../src/core/settings.ts';
import { type CurveBelief, toDemand, toStretch } from './curve-fit.ts';

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

/** A request meets two batches, its own and the one before it, so its p99 needs less of each than the 2.33 of one. */
const BATCH_DEVIATIONS = 1.4;
/** Calls in flight together do not leave evenly: relative deviation of the gap between departures. */
const GAP_DEVIATION = 0.5;
/** Share of time that the number in flight is below the one a p99 is computed with. */
const INFLIGHT_QUANTILE = 0.98;
/** The fixed point is damped by half and most often settles to 0.1 % within a dozen turns. */
const TURNS = 30;
const SETTLED_RATIO = 1e-3;
const FULL_BATCH_DEVIATION = 0.05;
/** 99 of 100 batches fill within the mean and so many standard deviations of their count. */
const FILL_DEVIATIONS = 2.33;

/**
 * A mean-field model of c slots that serve batches. Symbols: lambda items per ms, u items of a request, L(n) = a n + b,
 * T(n, k) = L(n) max(1, k d(n), 1 + kappa (k - 1)) with d(n) = n / L(n) / peak.
 *
 * Delay 0. The number in flight k is a birth-death chain on 0..c: up with lambda / u (an arrival that finds a free slot
 * goes at once, alone), down with k / T(n, k); at c an end is followed at once by what has gathered, so only the share exp(-x) of
 * ends leads down, x = lambda T(n, c) / (c u) being the requests of a gap. n = lambda / (rate of starts), a fixed point.
 * With c = 1 this gives n = x + exp(-x) and busy = T / (T + exp(-x) / lambda).
 * Delay d. A batch gathers for h = min(d, time to fill it): n >= u + lambda h, a gap >= h + u / lambda.
 *
 *     spread   var n = lambda g I / (1 - f^2), f = a lambda T / (c L): each batch is as large as the one before was long
 *     large    n + var/n + 1.4 sqrt(var + (var/n)^2): a request sits in a large batch more often than a batch is large
 *     p99      T(large, c) / c * (1 - 0.01 / P_c)  or h, whichever is longer   + T(large, k98)
 *     queue    beyond full batches ln(100 p_full) var / (2 (1 - rho)) items (Kingman), root of squares with the residual
 *
 * Regimes: light load p99 -> L(1) .. 2 L(1); natural batching 2 L(large); at rho -> 1 the queue rules.
 * Errors against the simulated engine are in the README of this room.
 */
export function forecast(belief: CurveBelief, settings: Settings, load: Load): Forecast {
  const { concurrency: c, batchDelayMs } = settings;
  const { itemsPerRequest: unit, dispersion } = load;
  const lambda = Math.max(1e-9, load.itemsPerMs);
  const most = Math.max(unit, settings.batchSize);
  const timeMs = (items: number, k: number): number =>
    belief.latencyMs(items) * toStretch(belief.interference, toDemand(belief, items), k);

  const utilization = (lambda * timeMs(most, c)) / (c * most);
  if (utilization >= 1) return { p99Ms: Infinity, busyRatio: 1, meanBatchItems: most, utilization };

  const heldMs = Math.min(batchDelayMs, (most - unit) / lambda);
  const heldItems = batchDelayMs > 0 ? unit + lambda * heldMs : unit;
  let items = heldItems;
  const share = new Float64Array(c + 1);
  for (let turn = 0; turn < TURNS; turn++) {
    const latencyMs = belief.latencyMs(items);
    const demand = toDemand(belief, items);
    const fullMs = latencyMs * toStretch(belief.interference, demand, c);
    const gapRequests = (lambda * fullMs) / c / unit;
    // The chain: up with the requests, down with k / T(n, k); from c only the share of ends that nothing waits for.
    let sum = (share[0] = 1);
    for (let k = 1; k <= c; k++) {
      const emptied = k === c ? Math.max(1e-12, Math.exp(-gapRequests)) : 1;
      const serviceMs = latencyMs * toStretch(belief.interference, demand, k);
      sum += share[k] = (share[k - 1]! * (lambda / heldItems) * serviceMs) / (k * emptied);
    }
    for (let k = 0; k <= c; k++) share[k]! /= sum;
    const full = share[c]!;
    const startsPerMs = ((1 - full) * lambda) / heldItems + (full * c * -Math.expm1(-gapRequests)) / fullMs;
    const move = Math.min(most, Math.max(heldItems, lambda / startsPerMs)) - items;
    items += 0.5 * move;
    if (Math.abs(move) < SETTLED_RATIO * items) break;
  }

  const full = share[c]!;
  const serviceMs = timeMs(items, c);
  const gapMs = Math.max(serviceMs / c, heldMs);
  const feedback = Math.min(0.95, (belief.slopeMs * lambda * serviceMs) / belief.latencyMs(items) / c);
  const unevenItems = c > 1 ? (GAP_DEVIATION * lambda * serviceMs) / c : 0;
  const gathered = lambda * gapMs * dispersion + unevenItems ** 2;
  const variance = (gathered * (heldMs > 0 ? 1 : full)) / (1 - feedback * feedback);
  const scale = variance / items;
  const large = Math.min(most, items + scale + BATCH_DEVIATIONS * Math.sqrt(variance + scale * scale));
  const ownMs = timeMs(large, toQuantile(share)) * (1 + (belief.residualP99 - 1) / 2);
  const residualMs = (timeMs(large, c) / c) * Math.max(0, 1 - 0.01 / full);

  const fullGapMs = timeMs(most, c) / c;
  const fullVariance = lambda * fullGapMs * dispersion + (FULL_BATCH_DEVIATION * most) ** 2;
  const pFull = most <= unit ? full : full * upperTail((most - items) / Math.sqrt(variance + 1e-9));
  const queuedItems = (Math.max(0, Math.log(100 * pFull)) * fullVariance) / (2 * (1 - utilization) * most);
  // A batch that fills before its delay is over takes longer than the mean to do so.
  const lateItems = most - unit + FILL_DEVIATIONS * Math.sqrt(most * dispersion);
  const heldLongMs = Math.min(batchDelayMs, lateItems / lambda);
  const waitMs = Math.max(heldLongMs, Math.hypot(residualMs, (queuedItems * fullGapMs) / most));

  const idle = heldMs > 0 && c === 1 ? Math.max(0, 1 - serviceMs / (heldMs + unit / lambda)) : share[0]!;
  return { p99Ms: waitMs + ownMs, busyRatio: 1 - idle, meanBatchItems: items, utilization };
}

function toQuantile(share: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < share.length; k++) {
    sum += share[k]!;
    if (sum >= INFLIGHT_QUANTILE) return Math.max(1, k);
  }
  return share.length - 1;
}

/** P(normal > z), good to 1 % of itself for z of 0 to 4 (logistic approximation). */
function upperTail(z: number): number {
  return 1 / (1 + Math.exp(1.5976 * z + 0.070565 * z ** 3));
}
