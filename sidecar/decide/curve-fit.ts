// What the engine is believed to be: L(n) = a * n + b and its interference, fitted online with its own doubt.
import type { BatchSample } from '../../src/core/snapshot.ts';

/** A belief at one instant. Latencies in ms. */
export interface CurveBelief {
  /** a, ms per item. */
  readonly slopeMs: number;
  /** b, ms per call. */
  readonly interceptMs: number;
  /** kappa: what each further call in flight costs; 0 perfect sharing, 1 time slicing. */
  readonly interference: number;
  /** False while hardly a call has overlapped another: kappa is then a guess. */
  readonly isInterferenceSeen: boolean;
  /** p99 of duration / belief over the recent calls, >= 1. */
  readonly residualP99: number;
  /** Smallest and largest batch that the fit rests on. */
  readonly seenItems: readonly [number, number];
  /** L(n) alone on the device, ms. */
  latencyMs(items: number): number;
  /** Standard error of L(n) relative to itself: wide at the start and beyond what was seen. */
  errorRatio(items: number): number;
}

/** Items over which a device's peak is believed: the upper bound of the batch size. */
const PEAK_ITEMS = 64;

/** d(n) = n / L(n) / peak: the share of the device that a call of this size is believed to use, 0..1. */
export function toDemand(belief: CurveBelief, items: number): number {
  return Math.min(1, (items / PEAK_ITEMS) * (belief.latencyMs(PEAK_ITEMS) / belief.latencyMs(items)));
}

/** How many times as long each of k equal calls takes: max(1, k d, 1 + kappa (k - 1)). Either the device is full, or sharing costs. */
export function toStretch(interference: number, demand: number, k: number): number {
  return Math.max(1, k * demand, 1 + interference * (k - 1));
}

/** Calls remembered per size class; the older fade as new ones of that size come. */
const CLASS_CALLS = 300;
/** What a size class keeps of a window that did not touch it: sizes not visited are not forgotten, or the slope would wander. */
const KEEP_UNTOUCHED = 0.998;
/** What is kept per window of the evidence for kappa, which changes with the neighbours and not with the load. */
const KEEP_INTERFERENCE = 0.995;
/** The engine model's default, until overlaps say otherwise; it counts as so much evidence. */
const PRIOR_INTERFERENCE = 0.7;
const PRIOR_WEIGHT = 4;
const SEEN_WEIGHT = 8;
/** Before sizes vary: a further item costs 5 % of a call. Counts like a spread of one item over four samples. */
const PRIOR_SLOPE_RATIO = 0.05;
const PRIOR_SPREAD = 4;
/** Median error of an affine fit on 153 published curves: the least doubt per octave beyond what was seen. */
const OCTAVE_ERROR_RATIO = 0.057;
const NOISE_FLOOR_RATIO = 0.03;
/** A median shift of the residuals by this much is another engine: a new version, a switch, a throttled clock. */
const SHIFT_RATIO = 0.2;
const SHIFT_SAMPLES_MIN = 20;
/** Mean overlap below which a call counts as alone. */
const ALONE_OVERLAP = 0.1;
/** Weight of calls that shared the device, against one that ran alone: they tell of the curve only through kappa. */
const SHARED_WEIGHT = 0.3;
const UNKNOWN_SHARED_WEIGHT = 0.05;
const RESIDUALS_KEPT = 512;
/** Below the clock's own resolution there is nothing to fit, and a weight of 1 / duration^2 would be all. */
const DURATION_MIN_MS = 1e-3;
/** A class faded below this has been forgotten. */
const CLASS_COUNT_MIN = 0.04;

/**
 * Least squares of duration / (1 + kappa * (k - 1)) on items, weights 1 / duration^2 (so the error is relative). Forgetting is by size
 * class: calls push out older calls of their own size only. k is the mean number of calls in flight over the life of a call, from the overlaps.
 * kappa by least squares of duration / L(n) - 1 on k - 1. A shift of the residuals drops everything older.
 */
export class CurveFit {
  readonly #classes = new Map<number, Sums>();
  #overlapXy = 0;
  #overlapXx = 0;
  #residuals: number[] = [];
  #resets = 0;

  /** Times that a shift made the fit start again. */
  get resets(): number {
    return this.#resets;
  }

  /** Takes in a window's calls. */
  observe(samples: readonly BatchSample[]): void {
    const calls = toCalls(samples);
    if (calls.length === 0) return;
    if (this.#hasShifted(calls)) this.reset();
    this.#decay(calls);
    const before = this.belief();
    // First kappa against the curve as it was known, then the curve: the other way round the curve would take up the overlap.
    if (before !== null) this.#learnInterference(calls, before);
    const known = this.belief();
    const shared = known?.isInterferenceSeen === true ? SHARED_WEIGHT : UNKNOWN_SHARED_WEIGHT;
    for (const { items, durationMs, overlap } of calls) {
      const stretch =
        known === null
          ? 1 + PRIOR_INTERFERENCE * overlap
          : toStretch(known.interference, toDemand(known, items), 1 + overlap);
      const aloneMs = durationMs / stretch;
      const count = overlap < ALONE_OVERLAP ? 1 : shared;
      const weight = count / (aloneMs * aloneMs);
      const [x, y] = [weight * items, weight * aloneMs];
      add(this.#classOf(items), { count, weight, x, xx: x * items, y, xy: y * items });
    }
    const belief = this.belief()!;
    for (const { items, durationMs, overlap } of calls) {
      const stretch = toStretch(belief.interference, toDemand(belief, items), 1 + overlap);
      this.#residuals.push(durationMs / belief.latencyMs(items) / stretch);
    }
    if (this.#residuals.length > RESIDUALS_KEPT) this.#residuals = this.#residuals.slice(-RESIDUALS_KEPT);
  }

  /** Forgets the curve; the interference is the device's and stays. */
  reset(): void {
    this.#resets++;
    this.#classes.clear();
    this.#residuals = [];
  }

  /** Null before the first call. */
  belief(): CurveBelief | null {
    const sums = createSums();
    let seenMin = Infinity;
    let seenMax = 0;
    for (const part of this.#classes.values()) {
      if (part.count < CLASS_COUNT_MIN) continue;
      add(sums, part);
      const items = part.x / part.weight;
      seenMin = Math.min(seenMin, items);
      seenMax = Math.max(seenMax, items);
    }
    const { count, weight } = sums;
    if (count === 0) return null;
    const meanX = sums.x / weight;
    const meanY = sums.y / weight;
    const spread = Math.max(0, sums.xx / weight - meanX * meanX);
    const covariance = sums.xy / weight - meanX * meanY;
    const ridge = PRIOR_SPREAD / count;
    const priorSlope = (PRIOR_SLOPE_RATIO * meanY) / (1 + PRIOR_SLOPE_RATIO * (meanX - 1));
    // Between flat and proportional: an engine faster for more items, or with a negative fixed cost, is noise.
    const slopeMs = Math.min(meanY / meanX, Math.max(0, (covariance + ridge * priorSlope) / (spread + ridge)));
    const interceptMs = meanY - slopeMs * meanX;
    const latencyMs = (items: number): number => interceptMs + slopeMs * items;

    const sorted = this.#residuals.toSorted((a, b) => a - b);
    const median = quantile(sorted, 0.5) ?? 1;
    const noise = Math.max(NOISE_FLOOR_RATIO, ((quantile(sorted, 0.84) ?? 1.1) - (quantile(sorted, 0.16) ?? 0.9)) / 2);
    return {
      slopeMs,
      interceptMs,
      interference: Math.min(
        1.5,
        Math.max(0, (this.#overlapXy + PRIOR_INTERFERENCE * PRIOR_WEIGHT) / (this.#overlapXx + PRIOR_WEIGHT)),
      ),
      isInterferenceSeen: this.#overlapXx >= SEEN_WEIGHT,
      residualP99: Math.max(1, (quantile(sorted, 0.99) ?? 1.1) / median),
      seenItems: [seenMin, seenMax],
      latencyMs,
      errorRatio(items) {
        const slopeTerm = (items - meanX) ** 2 / (count * spread + PRIOR_SPREAD);
        const statistical = (noise * meanY * Math.sqrt(1 / count + slopeTerm)) / latencyMs(items);
        const octaves = Math.max(0, Math.log2(items / seenMax), Math.log2(seenMin / items));
        return statistical + OCTAVE_ERROR_RATIO * octaves;
      },
    };
  }

  #learnInterference(calls: readonly Call[], before: CurveBelief): void {
    for (const { items, durationMs, overlap } of calls) {
      // A call that a full device held up says nothing of what sharing costs.
      const isHeld = (1 + overlap) * toDemand(before, items) > 1 + 0.5 * before.interference * overlap;
      if (isHeld && overlap > ALONE_OVERLAP) continue;
      this.#overlapXy += overlap * (durationMs / before.latencyMs(items) - 1);
      this.#overlapXx += overlap * overlap;
    }
  }

  #classOf(items: number): Sums {
    const key = toSizeClass(items);
    let sums = this.#classes.get(key);
    if (sums === undefined) {
      sums = createSums();
      this.#classes.set(key, sums);
    }
    return sums;
  }

  #decay(calls: readonly Call[]): void {
    const fresh = new Map<number, number>();
    for (const { items } of calls) fresh.set(toSizeClass(items), (fresh.get(toSizeClass(items)) ?? 0) + 1);
    for (const [key, sums] of this.#classes) {
      const count = fresh.get(key);
      scale(sums, count === undefined ? KEEP_UNTOUCHED : Math.exp(-count / CLASS_CALLS));
    }
    this.#overlapXy *= KEEP_INTERFERENCE;
    this.#overlapXx *= KEEP_INTERFERENCE;
  }

  /** Only calls that ran alone, of sizes that the fit knows, may convict it: a wrong extrapolation or overlap is not a shift. */
  #hasShifted(calls: readonly Call[]): boolean {
    const belief = this.belief();
    if (belief === null || this.#residuals.length < SHIFT_SAMPLES_MIN) return false;
    const [seenMin, seenMax] = belief.seenItems;
    const ratios = calls
      .filter(({ items, overlap }) => overlap < ALONE_OVERLAP && items >= seenMin && items <= seenMax)
      .map(({ items, durationMs }) => durationMs / belief.latencyMs(items))
      .sort((a, b) => a - b);
    const median = quantile(ratios, 0.5);
    return (
      median !== null && ratios.length >= SHIFT_SAMPLES_MIN && Math.abs(Math.log(median)) > Math.log(1 + SHIFT_RATIO)
    );
  }
}

/** Weighted sums of one size class. */
interface Sums {
  count: number;
  weight: number;
  x: number;
  xx: number;
  y: number;
  xy: number;
}

function createSums(): Sums {
  return { count: 0, weight: 0, x: 0, xx: 0, y: 0, xy: 0 };
}

function add(sums: Sums, part: Sums): void {
  sums.count += part.count;
  sums.weight += part.weight;
  sums.x += part.x;
  sums.xx += part.xx;
  sums.y += part.y;
  sums.xy += part.xy;
}

function scale(sums: Sums, factor: number): void {
  sums.count *= factor;
  sums.weight *= factor;
  sums.x *= factor;
  sums.xx *= factor;
  sums.y *= factor;
  sums.xy *= factor;
}

/** Half octaves. */
function toSizeClass(items: number): number {
  return Math.round(2 * Math.log2(items));
}

interface Call {
  readonly items: number;
  readonly durationMs: number;
  /** Mean number of other calls in flight over its life. */
  readonly overlap: number;
}

/** Overlaps among the samples themselves, plus the calls that were in flight at the start and are not among them (other models). */
function toCalls(samples: readonly BatchSample[]): readonly Call[] {
  const sorted = samples
    .filter((sample) => sample.durationMs >= DURATION_MIN_MS)
    .sort((a, b) => a.startedMs - b.startedMs);
  const sharedMs = new Float64Array(sorted.length);
  const running = new Float64Array(sorted.length);
  for (const [i, call] of sorted.entries()) {
    const endMs = call.startedMs + call.durationMs;
    for (let j = i + 1; j < sorted.length; j++) {
      const other = sorted[j]!;
      if (other.startedMs >= endMs) break;
      const overlapMs = Math.min(endMs, other.startedMs + other.durationMs) - other.startedMs;
      sharedMs[i]! += overlapMs;
      sharedMs[j]! += overlapMs;
      running[j]!++;
    }
  }
  return sorted.map((call, index) => ({
    items: call.items,
    durationMs: call.durationMs,
    overlap: sharedMs[index]! / call.durationMs + Math.max(0, call.inflight - 1 - running[index]!),
  }));
}

function quantile(sorted: readonly number[], q: number): number | null {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? null;
}
