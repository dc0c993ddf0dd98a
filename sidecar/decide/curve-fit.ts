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

/** What earlier windows still count, per window: a fit of about seven windows. */
const KEEP_FIT = 0.85;
/** The same for kappa, which changes with the neighbours and not with the load. */
const KEEP_INTERFERENCE = 0.97;
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
const RESIDUALS_KEPT = 512;

/**
 * Least squares of duration / (1 + kappa * (k - 1)) on items, weights 1 / duration^2 (so the error is relative), with exponential
 * forgetting by window. k is the mean number of calls in flight over the life of a call, from the overlaps.
 * kappa by least squares of duration / L(n) - 1 on k - 1. A shift of the residuals drops everything older.
 */
export class CurveFit {
  #weight = 0;
  #count = 0;
  #x = 0;
  #xx = 0;
  #y = 0;
  #xy = 0;
  #overlapXy = 0;
  #overlapXx = 0;
  #residuals: number[] = [];
  #seen: [number, number] = [Infinity, 0];
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
    const before = this.belief();
    const interference = before?.interference ?? PRIOR_INTERFERENCE;
    this.#decay();
    for (const { items, durationMs, overlap } of calls) {
      const aloneMs = durationMs / (1 + interference * overlap);
      const weight = 1 / (aloneMs * aloneMs);
      this.#count++;
      this.#weight += weight;
      this.#x += weight * items;
      this.#xx += weight * items * items;
      this.#y += weight * aloneMs;
      this.#xy += weight * items * aloneMs;
      this.#seen = [Math.min(this.#seen[0], items), Math.max(this.#seen[1], items)];
    }
    const belief = this.belief();
    if (belief === null) return;
    for (const { items, durationMs, overlap } of calls) {
      const stretch = durationMs / belief.latencyMs(items) - 1;
      this.#overlapXy += overlap * stretch;
      this.#overlapXx += overlap * overlap;
      this.#residuals.push((1 + stretch) / (1 + belief.interference * overlap));
    }
    if (this.#residuals.length > RESIDUALS_KEPT) this.#residuals = this.#residuals.slice(-RESIDUALS_KEPT);
  }

  /** Forgets the curve; the interference is the device's and stays. */
  reset(): void {
    this.#resets++;
    this.#weight = this.#count = this.#x = this.#xx = this.#y = this.#xy = 0;
    this.#residuals = [];
    this.#seen = [Infinity, 0];
  }

  /** Null before the first call. */
  belief(): CurveBelief | null {
    if (this.#count < 1) return null;
    const meanX = this.#x / this.#weight;
    const meanY = this.#y / this.#weight;
    const spread = Math.max(0, this.#xx / this.#weight - meanX * meanX);
    const covariance = this.#xy / this.#weight - meanX * meanY;
    const ridge = PRIOR_SPREAD / this.#count;
    const priorSlope = (PRIOR_SLOPE_RATIO * meanY) / (1 + PRIOR_SLOPE_RATIO * (meanX - 1));
    // Between flat and proportional: an engine faster for more items, or with a negative fixed cost, is noise.
    const slopeMs = Math.min(meanY / meanX, Math.max(0, (covariance + ridge * priorSlope) / (spread + ridge)));
    const interceptMs = meanY - slopeMs * meanX;
    const latencyMs = (items: number): number => interceptMs + slopeMs * items;

    const sorted = this.#residuals.toSorted((a, b) => a - b);
    const median = quantile(sorted, 0.5) ?? 1;
    const noise = Math.max(NOISE_FLOOR_RATIO, ((quantile(sorted, 0.84) ?? 1.1) - (quantile(sorted, 0.16) ?? 0.9)) / 2);
    const [seenMin, seenMax] = this.#seen;
    const count = this.#count;
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

  #decay(): void {
    this.#count *= KEEP_FIT;
    this.#weight *= KEEP_FIT;
    this.#x *= KEEP_FIT;
    this.#xx *= KEEP_FIT;
    this.#y *= KEEP_FIT;
    this.#xy *= KEEP_FIT;
    this.#overlapXy *= KEEP_INTERFERENCE;
    this.#overlapXx *= KEEP_INTERFERENCE;
  }

  /** Only calls of sizes that the fit knows may convict it: a wrong extrapolation is not a shift. */
  #hasShifted(calls: readonly Call[]): boolean {
    const belief = this.belief();
    if (belief === null || this.#residuals.length < SHIFT_SAMPLES_MIN) return false;
    const [seenMin, seenMax] = belief.seenItems;
    const ratios = calls
      .filter(
        ({ items, overlap }) => items >= seenMin && items <= seenMax && (overlap < 0.2 || belief.isInterferenceSeen),
      )
      .map(
        ({ items, durationMs, overlap }) => durationMs / belief.latencyMs(items) / (1 + belief.interference * overlap),
      )
      .sort((a, b) => a - b);
    const median = quantile(ratios, 0.5);
    return (
      median !== null && ratios.length >= SHIFT_SAMPLES_MIN && Math.abs(Math.log(median)) > Math.log(1 + SHIFT_RATIO)
    );
  }
}

interface Call {
  readonly items: number;
  readonly durationMs: number;
  /** Mean number of other calls in flight over its life. */
  readonly overlap: number;
}

/** Overlaps among the samples themselves, plus the calls that were in flight at the start and are not among them (other models). */
function toCalls(samples: readonly BatchSample[]): readonly Call[] {
  const sorted = samples.filter((sample) => sample.durationMs > 0).sort((a, b) => a.startedMs - b.startedMs);
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
