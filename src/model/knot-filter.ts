// A latency curve with its doubt: a Kalman filter over ln L at seven batch sizes.
import { KNOT_ITEMS, PRIOR_COVARIANCE, PRIOR_MEAN } from './curve-prior.ts';

const KNOTS = KNOT_ITEMS.length;
/** The level is unknown to a factor e^10. */
const LEVEL_VARIANCE = 100;
/** A knot is off the family of curves it was learnt from by so much, ln. */
const KNOT_VARIANCE = 0.05 ** 2;

/**
 * State x = ln L at the knots, x ~ N(prior mean + level, prior covariance). An observation of batch size n is
 *
 *     y = (1 - f) x_k + f x_{k+1} + e,   k + f = log2 n,   var e as given
 *
 * which beyond 64 items goes on with the last slope. Standard update (Kalman 1960), one observation at a time.
 */
export class KnotFilter {
  readonly #mean = Float64Array.from(PRIOR_MEAN);
  readonly #covariance = new Float64Array(KNOTS * KNOTS);
  readonly #gain = new Float64Array(KNOTS);
  /** Latency by items, ms, tabulated on demand. */
  #table: Float64Array<ArrayBuffer> | null = null;

  constructor() {
    this.reset();
  }

  /** Back to the prior, the level free. */
  reset(): void {
    this.#mean.set(PRIOR_MEAN);
    for (let i = 0; i < KNOTS; i++)
      for (let j = 0; j < KNOTS; j++)
        this.#covariance[i * KNOTS + j] = PRIOR_COVARIANCE[i]![j]! + LEVEL_VARIANCE + (i === j ? KNOT_VARIANCE : 0);
    this.#table = null;
  }

  /** Time passes: the level and each knot may have moved, variances in ln. */
  drift(levelVariance: number, knotVariance: number): void {
    for (let i = 0; i < KNOTS; i++)
      for (let j = 0; j < KNOTS; j++) this.#covariance[i * KNOTS + j]! += levelVariance + (i === j ? knotVariance : 0);
  }

  /** ln L(items). */
  logLatency(items: number): number {
    const { knot, share } = toPlace(items);
    return (1 - share) * this.#mean[knot]! + share * this.#mean[knot + 1]!;
  }

  /** Variance of ln L(items). */
  variance(items: number): number {
    const { knot, share } = toPlace(items);
    const at = (i: number, j: number): number => this.#covariance[i * KNOTS + j]!;
    const [a, b] = [1 - share, share];
    return a * a * at(knot, knot) + 2 * a * b * at(knot, knot + 1) + b * b * at(knot + 1, knot + 1);
  }

  /** Takes in ln of a measured latency. */
  observe(items: number, logMs: number, variance: number): void {
    const { knot, share } = toPlace(items);
    const total = this.variance(items) + variance;
    const surprise = logMs - this.logLatency(items);
    for (let i = 0; i < KNOTS; i++)
      this.#gain[i] =
        (1 - share) * this.#covariance[i * KNOTS + knot]! + share * this.#covariance[i * KNOTS + knot + 1]!;
    for (let i = 0; i < KNOTS; i++) {
      this.#mean[i]! += (this.#gain[i]! * surprise) / total;
      for (let j = 0; j < KNOTS; j++) this.#covariance[i * KNOTS + j]! -= (this.#gain[i]! * this.#gain[j]!) / total;
    }
    this.#table = null;
  }

  /** L of 1..64 items, ms, at their index; valid until the next observation. */
  table(): Float64Array {
    if (this.#table !== null) return this.#table;
    const table = new Float64Array(KNOT_ITEMS.at(-1)! + 1);
    for (let items = 1; items < table.length; items++) table[items] = Math.exp(this.logLatency(items));
    this.#table = table;
    return table;
  }
}

function toPlace(items: number): { readonly knot: number; readonly share: number } {
  const octaves = Math.log2(Math.max(1, items));
  const knot = Math.min(KNOTS - 2, Math.floor(octaves));
  return { knot, share: octaves - knot };
}
