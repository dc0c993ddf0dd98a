// How long does the model take for one request alone? The base of the assumed SLA.
import type { BatchCompletion } from '../../src/core/completion.ts';
import { Sketch } from './sketch.ts';

/** The first calls load kernels and caches; they are no measure of the model. */
const WARM_UP_CALLS = 5;
/** Fewer calls than this tell nothing of a p99. */
const LEAST_CALLS = 20;
/**
 * From here on the figure stands still: an SLA derived from a moving measurement would move with the very slowness it
 * is to reveal.
 */
const SETTLED_CALLS = 200;
/** Without lone requests, calls of this many are needed for the line below. */
const LEAST_FITTED_CALLS = 100;

/**
 * p99 of upstream calls that carried one request while no other call was in flight. A service so busy that no request
 * ever goes alone gets a provisional figure: least squares duration = a + b * items over calls without company, held
 * between "batching is free" (the smallest batch seen takes as long as one) and "batching gains nothing" (its time
 * per item), times the spread p99 / mean of what was seen.
 */
export class BatchOneLatency {
  readonly #alone = new Sketch();
  readonly #spread = new Sketch();
  #calls = 0;
  #count = 0;
  #sumX = 0;
  #sumY = 0;
  #sumXX = 0;
  #sumXY = 0;
  #leastItems = Number.POSITIVE_INFINITY;
  #leastItemsMs = 0;
  #settledMs: number | null = null;

  record(batch: BatchCompletion): void {
    if (this.#settledMs !== null || batch.ending !== 'success' || batch.inflightAll !== 1) return;
    this.#calls += 1;
    if (this.#calls <= WARM_UP_CALLS) return;
    if (batch.requests === 1) {
      this.#alone.record(batch.durationMs);
      if (this.#alone.count >= SETTLED_CALLS) this.#settledMs = this.#alone.quantile(0.99);
      return;
    }
    this.#fit(batch.items, batch.durationMs);
  }

  /** ms; null while too little is known. */
  get p99Ms(): number | null {
    if (this.#settledMs !== null) return this.#settledMs;
    if (this.#alone.count >= LEAST_CALLS) return this.#alone.quantile(0.99);
    if (this.#count < LEAST_FITTED_CALLS) return null;
    const meanX = this.#sumX / this.#count;
    const meanY = this.#sumY / this.#count;
    const varianceX = this.#sumXX / this.#count - meanX * meanX;
    const slope = varianceX <= 1e-9 ? 0 : (this.#sumXY / this.#count - meanX * meanY) / varianceX;
    const line = meanY + slope * (1 - meanX);
    const oneMs = Math.min(this.#leastItemsMs, Math.max(this.#leastItemsMs / this.#leastItems, line));
    return oneMs * Math.max(1, this.#spread.quantile(0.99));
  }

  #fit(items: number, durationMs: number): void {
    this.#count += 1;
    this.#sumX += items;
    this.#sumY += durationMs;
    this.#sumXX += items * items;
    this.#sumXY += items * durationMs;
    if (items < this.#leastItems) {
      this.#leastItems = items;
      this.#leastItemsMs = durationMs;
    } else if (items === this.#leastItems) {
      this.#leastItemsMs += 0.1 * (durationMs - this.#leastItemsMs);
    }
    const meanX = this.#sumX / this.#count;
    // Larger batches take longer: compare each with the mean scaled to its size only where it is near the mean.
    if (Math.abs(items - meanX) <= 0.25 * meanX) this.#spread.record(durationMs / (this.#sumY / this.#count));
  }
}
