// How fast one model's queue drains, from what was measured: durations by batch size, items a batch, items per busy time.
import type { Ending } from '../../src/core/completion.ts';

/** What is learnt from one ended batch. */
export interface EndedBatch {
  readonly startedMs: number;
  readonly requests: number;
  readonly items: number;
  /** It took as much as the queue could give: it was full, or left others waiting. */
  readonly isLimited: boolean;
  /** It left as `single`: no company could have joined it. Absent: false. */
  readonly isSingle?: boolean;
}

/** Weight of the newest batch: about eight batches of memory, so a changed engine is learnt within a few of them. */
const NEWEST = 1 / 8;
/** Weight in the spread of sizes: longer memory, as a slope needs batches of different sizes. */
const NEWEST_SPREAD = 1 / 32;
/** Sizes that differ by less than this share of their mean say little of the slope. */
const SPREAD_RATIO = 0.2;
/** A capacity seen so long ago is forgotten: the engine, the mix of keys or the settings may be others. */
const CAPACITY_MAX_AGE_MS = 10_000;

/**
 * Exponential means over batches. Null = not known yet.
 *
 * The duration of a batch of n items is D(n) = d + s (n - m), with d and m the mean duration and size and the slope
 *
 *     s = (cov(n, d) + w d / 2m) / (var(n) + w),   w = (0.2 m)^2,   0 <= s <= d / m
 *
 * least squares, drawn to half of proportional where sizes hardly differ; no engine is worse than proportional.
 *
 * Capacity is learnt only from batches that were limited: one that took all there was says how little was asked for,
 * not how much could be served (at low load a batch of 1 runs at 1/L(1), while the next burst will run at 64/L(64)).
 * Nor from lone departures of a model that batches otherwise, for the same reason: what its metadata has not allowed
 * yet, or what is sent again, says nothing of what a batch will carry.
 */
export class Pace {
  #durationMs: number | null = null;
  #meanItems = 0;
  #varItems = 0;
  #covItemsMs = 0;
  #loneMs: number | null = null;
  #fillItems = 0;
  #intervalMs = 0;
  #limitedMs = -Infinity;
  /** End of the last batch that could have had company. */
  #joinableMs = -Infinity;
  #finishedMs = -Infinity;
  #saturatedSinceMs = -Infinity;
  #saturatedMs = -Infinity;

  /** Mean duration of a batch, ms. */
  get durationMs(): number | null {
    return this.#durationMs;
  }

  /** Mean duration of a batch that held one request, ms. */
  get loneMs(): number | null {
    return this.#loneMs;
  }

  /** D(items), ms; 0 before any batch has ended. */
  durationOfMs(items: number): number {
    const { durationMs } = this;
    if (durationMs === null) return 0;
    const steepest = durationMs / this.#meanItems;
    const weight = (SPREAD_RATIO * this.#meanItems) ** 2;
    const slope = (this.#covItemsMs + (weight * steepest) / 2) / (this.#varItems + weight);
    return durationMs + Math.min(steepest, Math.max(0, slope)) * (items - this.#meanItems);
  }

  /**
   * `pressedMs`: since when the lane has had, without a break, calls in flight or a batch that found no place. A fast
   * failure teaches nothing (a refused connection is no capacity); a slow one is evidence of slowness.
   */
  finished(batch: EndedBatch, ending: Ending, pressedMs: number, nowMs: number): void {
    const durationMs = nowMs - batch.startedMs;
    const fromMs = Math.max(this.#finishedMs, pressedMs);
    this.#finishedMs = nowMs;
    if (ending !== 'success' && (this.#durationMs === null || durationMs <= this.#durationMs)) return;
    this.#learnDuration(batch.items, durationMs);
    if (batch.requests === 1) this.#loneMs = mix(this.#loneMs, durationMs);
    if (batch.isSingle === true) {
      if (this.#isBatching(nowMs)) return;
    } else {
      // What lone departures taught before the first batch is no capacity of batches.
      if (!this.#isBatching(nowMs)) this.#limitedMs = -Infinity;
      this.#joinableMs = nowMs;
    }
    if (!batch.isLimited) return;
    const isKnown = this.#isCapacityKnown(nowMs);
    this.#fillItems = mix(isKnown ? this.#fillItems : null, batch.items);
    this.#intervalMs = mix(isKnown ? this.#intervalMs : null, nowMs - fromMs);
    this.#limitedMs = nowMs;
  }

  /** Items a batch takes when more wait; `limitItems` (the best there can be) while not known. */
  fillItems(limitItems: number, nowMs: number): number {
    return this.#isCapacityKnown(nowMs) ? Math.min(this.#fillItems, limitItems) : limitItems;
  }

  /** Between two departures while more waits, ms. While not known: as if one batch were in flight at a time. */
  intervalMs(limitItems: number, nowMs: number): number {
    return this.#isCapacityKnown(nowMs) ? this.#intervalMs : this.durationOfMs(limitItems);
  }

  /** A batch left as large as may be, with others left behind. Of a model that batches a lone one is not. */
  saturated(nowMs: number, isSingle = false): void {
    if (isSingle && this.#isBatching(nowMs)) return;
    if (!this.#isSaturated(nowMs)) this.#saturatedSinceMs = nowMs;
    this.#saturatedMs = nowMs;
  }

  /** How long batches have been leaving so, with pauses of no more than two durations; 0: they do not. */
  saturatedForMs(nowMs: number): number {
    return this.#isSaturated(nowMs) ? nowMs - this.#saturatedSinceMs : 0;
  }

  /** Calls in flight tend to end together, so that now and then one leaves with nothing behind it. */
  #isSaturated(nowMs: number): boolean {
    return nowMs - this.#saturatedMs <= 2 * (this.#durationMs ?? 0);
  }

  #learnDuration(items: number, durationMs: number): void {
    if (this.#durationMs === null) {
      this.#durationMs = durationMs;
      this.#meanItems = items;
      return;
    }
    const itemsOff = items - this.#meanItems;
    const durationOff = durationMs - this.#durationMs;
    this.#varItems = mix(this.#varItems, itemsOff * itemsOff, NEWEST_SPREAD);
    this.#covItemsMs = mix(this.#covItemsMs, itemsOff * durationOff, NEWEST_SPREAD);
    this.#durationMs += NEWEST * durationOff;
    this.#meanItems += NEWEST * itemsOff;
  }

  #isBatching(nowMs: number): boolean {
    return nowMs - this.#joinableMs < CAPACITY_MAX_AGE_MS;
  }

  #isCapacityKnown(nowMs: number): boolean {
    return nowMs - this.#limitedMs < CAPACITY_MAX_AGE_MS;
  }
}

function mix(mean: number | null, newest: number, weight: number = NEWEST): number {
  return mean === null ? newest : mean + weight * (newest - mean);
}
