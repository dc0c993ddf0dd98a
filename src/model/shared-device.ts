// One device on which batches share the work: processor sharing in typed arrays, exact in time.
import { MorphlingError } from '../core/errors.ts';

/** Batches in flight at most. */
export const PLACES_MAX = 256;

/**
 * With k batches running each advances at the rate
 *
 *     r = 1 / max(1, sum of d, 1 + kappa * (k - 1)) / slowdown      [work ms per ms]
 *
 * where d is the share of the device that a batch can use. One work clock W carries them all: a batch of w ms of work
 * started at W0 ends when W = W0 + w. The arithmetic is that of the lab's `Engine` to the last bit, without its objects.
 */
export class SharedDevice {
  /** Places of the running batches, in the order in which they started. */
  readonly #order = new Int32Array(PLACES_MAX);
  readonly #free = new Int32Array(PLACES_MAX);
  readonly #doneAtWorkMs = new Float64Array(PLACES_MAX);
  readonly #demands = new Float64Array(PLACES_MAX);
  #interference = 0;
  #slowdown = 1;
  #running = 0;
  #nowMs = 0;
  #workMs = 0;
  #demand = 0;
  #busyMs = 0;
  /** Position in #order of the batch that ends next. */
  #next = -1;
  #nextEndMs = Infinity;

  /** Idle, at time 0. */
  reset(interference: number): void {
    this.#interference = interference;
    this.#slowdown = 1;
    this.#nowMs = this.#workMs = this.#demand = this.#busyMs = this.#running = 0;
    this.#next = -1;
    this.#nextEndMs = Infinity;
    for (let place = 0; place < PLACES_MAX; place++) this.#free[place] = place;
  }

  get running(): number {
    return this.#running;
  }

  /** Time with at least one batch running, ms. */
  get busyMs(): number {
    return this.#busyMs;
  }

  /** When the next batch is done if nothing else starts; Infinity when none runs. */
  get nextEndMs(): number {
    return this.#nextEndMs;
  }

  /** Place of the batch longest in flight; -1 when none runs. */
  get oldest(): number {
    return this.#running === 0 ? -1 : this.#order[0]!;
  }

  /** Sets `workMs` of work going and gives its place, 0..PLACES_MAX - 1, which is its own until `end`. */
  start(workMs: number, demand: number, nowMs: number): number {
    this.advance(nowMs);
    const place = this.#free[this.#running]!;
    this.#order[this.#running++] = place;
    this.#doneAtWorkMs[place] = this.#workMs + workMs;
    this.#demands[place] = demand;
    this.#demand += demand;
    this.#plan();
    return place;
  }

  /** Takes out the batch that ends next, at its end, and gives its place back. */
  end(): number {
    this.advance(this.#nextEndMs);
    const place = this.#order[this.#next]!;
    // Set, not summed, so that rounding cannot leave a batch a hair short of its end.
    this.#workMs = this.#doneAtWorkMs[place]!;
    const left = --this.#running;
    for (let at = this.#next; at < left; at++) this.#order[at] = this.#order[at + 1]!;
    this.#free[left] = place;
    this.#demand = left === 0 ? 0 : this.#demand - this.#demands[place]!;
    this.#plan();
    return place;
  }

  /** A neighbour, heat or drift: every batch takes `ratio` times as long from `nowMs` on. */
  setSlowdown(ratio: number, nowMs: number): void {
    this.advance(nowMs);
    this.#slowdown = ratio;
    this.#plan();
  }

  /** Lets time pass, not beyond the next end. */
  advance(toMs: number): void {
    if (toMs > this.#nextEndMs)
      throw new MorphlingError('INTERNAL', `device driven past an end: ${toMs} ms is after ${this.#nextEndMs} ms`);
    const passedMs = toMs - this.#nowMs;
    if (passedMs <= 0) return;
    if (this.#running > 0) {
      this.#busyMs += passedMs;
      this.#workMs += passedMs * this.#rate();
    }
    this.#nowMs = toMs;
  }

  #rate(): number {
    const shared = Math.max(1, this.#demand, 1 + this.#interference * (this.#running - 1));
    return 1 / shared / this.#slowdown;
  }

  #plan(): void {
    let next = -1;
    let doneAtWorkMs = Infinity;
    for (let at = 0; at < this.#running; at++) {
      const doneMs = this.#doneAtWorkMs[this.#order[at]!]!;
      if (doneMs >= doneAtWorkMs) continue;
      doneAtWorkMs = doneMs;
      next = at;
    }
    this.#next = next;
    this.#nextEndMs = next === -1 ? Infinity : this.#nowMs + Math.max(0, doneAtWorkMs - this.#workMs) / this.#rate();
  }
}
