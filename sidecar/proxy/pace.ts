// How fast one model's queue drains, from what was measured: batch durations, items a batch, items per busy time.
import type { Ending } from '../../src/core/completion.ts';

/** What is learnt from one ended batch. */
export interface EndedBatch {
  readonly startedMs: number;
  readonly requests: number;
  readonly items: number;
  /** It took as much as the queue could give: it was full, or left others waiting. */
  readonly isLimited: boolean;
}

/** Weight of the newest batch: about eight batches of memory, so a changed engine is learnt within a few of them. */
const NEWEST = 1 / 8;
/** A capacity seen so long ago is forgotten: the engine, the mix of keys or the settings may be others. */
const CAPACITY_MAX_AGE_MS = 10_000;

/**
 * Means over batches, newest weighted 1/8. Null = not known yet.
 *
 * Capacity is learnt only from batches that were limited: one that took all there was says how little was asked for,
 * not how much could be served (at low load a batch of 1 runs at 1/L(1), while the next burst will run at 64/L(64)).
 */
export class Pace {
  #durationMs: number | null = null;
  #loneMs: number | null = null;
  #fillItems = 0;
  #intervalItems = 0;
  #intervalMs = 0;
  #limitedMs = -Infinity;
  #finishedMs = -Infinity;

  /** Duration of a batch, ms. */
  get durationMs(): number | null {
    return this.#durationMs;
  }

  /** Duration of a batch that held one request, ms. */
  get loneMs(): number | null {
    return this.#loneMs;
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
    this.#durationMs = mix(this.#durationMs, durationMs);
    if (batch.requests === 1) this.#loneMs = mix(this.#loneMs, durationMs);
    if (!batch.isLimited) return;
    const isKnown = this.#isCapacityKnown(nowMs);
    this.#fillItems = mix(isKnown ? this.#fillItems : null, batch.items);
    this.#intervalItems = mix(isKnown ? this.#intervalItems : null, batch.items);
    this.#intervalMs = mix(isKnown ? this.#intervalMs : null, nowMs - fromMs);
    this.#limitedMs = nowMs;
  }

  /** Items a batch takes when more wait; `limitItems` (the best there can be) while not known. */
  fillItems(limitItems: number, nowMs: number): number {
    return this.#isCapacityKnown(nowMs) ? Math.min(this.#fillItems, limitItems) : limitItems;
  }

  /** Items served per ms of pressure, > 0. While not known: full batches, one at a time; Infinity before any batch ended. */
  itemsPerMs(limitItems: number, nowMs: number): number {
    if (this.#isCapacityKnown(nowMs) && this.#intervalMs > 0) return this.#intervalItems / this.#intervalMs;
    return this.#durationMs === null || this.#durationMs === 0 ? Infinity : limitItems / this.#durationMs;
  }

  #isCapacityKnown(nowMs: number): boolean {
    return nowMs - this.#limitedMs < CAPACITY_MAX_AGE_MS;
  }
}

function mix(mean: number | null, newest: number): number {
  return mean === null ? newest : mean + NEWEST * (newest - mean);
}
