// The traffic that the next settings must hold: recent arrivals, brought to the rate that is planned for.
import { createRandom } from '../../src/core/random.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import { toJumpedRate } from './load-view.ts';

/** Arrivals to replay, from 0 ms on. */
export interface PlannedTraffic {
  readonly arrivalsMs: Float64Array;
  /** Items of each; null: one each. */
  readonly sizes: Float64Array | null;
  readonly itemsPerMs: number;
  readonly itemsPerRequest: number;
}

/** Arrivals remembered. */
const KEPT = 3000;
/** Intervals over which a steady rate is averaged; of a rate that is not, the newest that differ from all stand for themselves. */
const STEADY_INTERVALS = 6;
const LATE_INTERVALS = [1, 2];
/** They differ from so many standard deviations on. */
const TREND_DEVIATIONS = 2.5;
/** The planned rate lies so many standard errors above the mean: too small a setting costs more than too large a one. */
const RATE_DEVIATIONS = 0.3;
const ARRIVALS_MIN = 20;
/** Gaps are drawn in blocks, so that bursts stay together. */
const BLOCK = 50;
const SEED = 0x9e3779b9;

/** Remembers one model's arrivals over windows. */
export class PlannerArrivals {
  #atMs: number[] = [];
  #items: number[] = [];
  /** Nothing before this is of the present load. */
  #sinceMs = -Infinity;

  /** Takes in a window and gives `count` arrivals; null while there is too little traffic to plan for. */
  plan(model: ModelSnapshot, nowMs: number, intervalMs: number, count: number): PlannedTraffic | null {
    for (const [atMs, items] of model.arrivals) {
      this.#atMs.push(atMs);
      this.#items.push(items);
    }
    if (this.#atMs.length > KEPT) {
      this.#atMs = this.#atMs.slice(-KEPT);
      this.#items = this.#items.slice(-KEPT);
    }
    const jumped = toJumpedRate(model);
    if (jumped !== null) this.#sinceMs = nowMs - model.window.durationMs / 3;
    const ratePerMs = this.#ratePerMs(nowMs, intervalMs);
    return ratePerMs === null ? null : this.#sequence(ratePerMs, nowMs - 2 * STEADY_INTERVALS * intervalMs, count);
  }

  /** Requests per ms to plan for. */
  #ratePerMs(nowMs: number, intervalMs: number): number | null {
    const oldestMs = Math.max(this.#sinceMs, this.#atMs[0] ?? nowMs);
    const count = (fromMs: number): number => this.#atMs.length - lowerBound(this.#atMs, fromMs);
    const steadyFromMs = Math.max(oldestMs, nowMs - STEADY_INTERVALS * intervalMs);
    const steady = count(steadyFromMs);
    if (steady < ARRIVALS_MIN || nowMs <= steadyFromMs) return null;
    let rate = steady / (nowMs - steadyFromMs);
    let seen = steady;
    for (const intervals of LATE_INTERVALS) {
      const fromMs = Math.max(oldestMs, nowMs - intervals * intervalMs);
      const late = count(fromMs);
      const lateRate = late / (nowMs - fromMs);
      // The newest are part of all, so what they differ by is less certain than their own count alone says.
      const isTrend = Math.abs(lateRate / rate - 1) * Math.sqrt(Math.max(1, late)) > TREND_DEVIATIONS;
      if (!isTrend) continue;
      rate = lateRate;
      seen = late;
      break;
    }
    return rate * (1 + RATE_DEVIATIONS / Math.sqrt(Math.max(1, seen)));
  }

  /** The newest gaps as they came, then blocks of them drawn again, all stretched to the rate. Always the same draw. */
  #sequence(ratePerMs: number, fromMs: number, count: number): PlannedTraffic {
    const first = Math.max(1, lowerBound(this.#atMs, Math.max(this.#sinceMs, fromMs)), this.#atMs.length - count);
    const gaps = this.#atMs.length - first;
    const spanMs = this.#atMs.at(-1)! - this.#atMs[first - 1]!;
    const stretch = spanMs > 0 ? gaps / ratePerMs / spanMs : 1;
    const random = createRandom(SEED);
    const arrivalsMs = new Float64Array(count);
    const sizes = new Float64Array(count);
    let atMs = 0;
    let items = 0;
    let hasSizes = false;
    let from = first;
    for (let index = 0; index < count; index++) {
      if (from >= this.#atMs.length || (index >= gaps && index % BLOCK === 0))
        from = first + random.int(Math.max(1, gaps - BLOCK));
      atMs += (this.#atMs[from]! - this.#atMs[from - 1]!) * stretch;
      arrivalsMs[index] = atMs;
      const size = this.#items[from]!;
      sizes[index] = size;
      hasSizes ||= size !== 1;
      items += size;
      from++;
    }
    const itemsPerRequest = items / count;
    return {
      arrivalsMs,
      sizes: hasSizes ? sizes : null,
      itemsPerMs: ratePerMs * itemsPerRequest,
      itemsPerRequest,
    };
  }
}

function lowerBound(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
