// The modelled engine: batches share one device. A sans-IO state machine, exact in time.
import { MorphlingError } from '../../src/core/errors.ts';
import type { Random } from '../../src/core/random.ts';
import type { LatencyCurve } from './profiles.ts';

export interface EngineOptions {
  readonly curve: LatencyCurve;
  /** kappa: what each further batch in flight costs; 0 perfect sharing, 1 time slicing. */
  readonly interference: number;
  /** Draws the noise; a stream of its own, so that arrivals do not shift with it. */
  readonly random: Random;
  /** Standard deviation of a batch's work around L(b). */
  readonly noiseRatio?: number;
}

/** A batch whose work is done. */
export interface EndedBatch {
  /** What `start` gave. */
  readonly ticket: number;
  readonly items: number;
  readonly startedMs: number;
  /** Exact, even where `end` was asked later. */
  readonly endedMs: number;
}

/** 0.7 until a GPU says otherwise: between the two laws of sharing, nearer to time slicing. */
export const DEFAULT_INTERFERENCE = 0.7;
/** Standard deviation of a batch's work relative to L(b). */
export const DEFAULT_NOISE_RATIO = 0.05;
const NOISE_FLOOR = 0.5;

/** The factor on a batch's work, max(0.5, 1 + ratio * N(0, 1)): one draw a batch, in the order in which batches start; none at ratio 0. */
export function createNoise(random: Random, noiseRatio: number = DEFAULT_NOISE_RATIO): () => number {
  if (noiseRatio === 0) return () => 1;
  return () => Math.max(NOISE_FLOOR, 1 + noiseRatio * random.normal());
}

interface Running {
  readonly ticket: number;
  readonly items: number;
  readonly startedMs: number;
  readonly demand: number;
  /** The reading of the work clock at which this batch is done. */
  readonly doneAtWorkMs: number;
}

/**
 * Processor sharing. A batch of b items brings w = L(b) * max(0.5, 1 + 0.05 * N(0, 1)) ms of work and can use the
 * share d(b) = (b / L(b)) / peak of the device. With k batches running each advances at the rate
 *
 *     r = 1 / max(1, sum of d, 1 + kappa * (k - 1)) / slowdown      [work ms per ms]
 *
 * All advance alike, so one work clock W with dW/dt = r carries them all: a batch started at W0 ends when W = W0 + w.
 * Time is driven from outside and never goes back: ask `nextEndMs`, call `end` until it says null, then `start`.
 */
export class Engine {
  readonly #interference: number;
  readonly #noise: () => number;
  readonly #running: Running[] = [];
  #curve: LatencyCurve;
  #slowdown = 1;
  #nowMs = 0;
  #stalledUntilMs = -Infinity;
  #workMs = 0;
  #demand = 0;
  #busyMs = 0;
  #servedItems = 0;
  #nextTicket = 0;
  /** Index of the batch that ends next; -1 when none runs. */
  #next = -1;
  #nextEndMs = Infinity;

  constructor(options: EngineOptions) {
    this.#curve = options.curve;
    this.#interference = options.interference;
    this.#noise = createNoise(options.random, options.noiseRatio);
  }

  /** Batches running now. */
  get running(): number {
    return this.#running.length;
  }

  /** When the next batch will be done if nothing else starts; Infinity when none runs. */
  get nextEndMs(): number {
    return this.#nextEndMs;
  }

  /** Time with at least one batch running, ms, up to the last call; what nvidia-smi calls utilisation is its share. */
  get busyMs(): number {
    return this.#busyMs;
  }

  /** Items of all ended batches. */
  get servedItems(): number {
    return this.#servedItems;
  }

  /** Sets a batch to work and gives its ticket. Batches that are done by `nowMs` must have been taken with `end`. */
  start(items: number, nowMs: number): number {
    this.#advance(nowMs);
    const latencyMs = this.#curve.latencyMs(items);
    const noise = this.#noise();
    const ticket = this.#nextTicket++;
    const demand = this.#curve.demand(items);
    this.#running.push({ ticket, items, startedMs: nowMs, demand, doneAtWorkMs: this.#workMs + latencyMs * noise });
    this.#demand += demand;
    this.#plan();
    return ticket;
  }

  /** Takes the earliest batch that is done by `nowMs`; null when none is (then the clock stands at `nowMs`). */
  end(nowMs: number): EndedBatch | null {
    if (this.#nextEndMs > nowMs) {
      this.#advance(nowMs);
      return null;
    }
    const endedMs = this.#nextEndMs;
    const batch = this.#running[this.#next]!;
    this.#advance(endedMs);
    // The clock is set, not summed, so that rounding cannot leave a batch a hair short of its end.
    this.#workMs = batch.doneAtWorkMs;
    this.#running.splice(this.#next, 1);
    this.#demand = this.#running.length === 0 ? 0 : this.#demand - batch.demand;
    this.#servedItems += batch.items;
    this.#plan();
    return { ticket: batch.ticket, items: batch.items, startedMs: batch.startedMs, endedMs };
  }

  /** Another curve from now on (a switch turned). Nothing advances for `stallMs`, the reload; running batches keep their work. */
  switchCurve(curve: LatencyCurve, nowMs: number, stallMs = 0): void {
    this.#advance(nowMs);
    this.#curve = curve;
    this.#stalledUntilMs = Math.max(this.#stalledUntilMs, nowMs + stallMs);
    this.#plan();
  }

  /** A neighbour, heat or drift: every batch takes `ratio` times as long, > 0; 1 = none. */
  setSlowdown(ratio: number, nowMs: number): void {
    this.#advance(nowMs);
    this.#slowdown = ratio;
    this.#plan();
  }

  get #rate(): number {
    const shared = Math.max(1, this.#demand, 1 + this.#interference * (this.#running.length - 1));
    return 1 / shared / this.#slowdown;
  }

  #advance(toMs: number): void {
    if (toMs > this.#nextEndMs)
      throw new MorphlingError('INTERNAL', `engine driven past an end: ${toMs} ms is after ${this.#nextEndMs} ms`);
    if (toMs <= this.#nowMs) return;
    const fromMs = Math.max(this.#nowMs, Math.min(toMs, this.#stalledUntilMs));
    if (this.#running.length > 0) {
      this.#busyMs += toMs - fromMs;
      this.#workMs += (toMs - fromMs) * this.#rate;
    }
    this.#nowMs = toMs;
  }

  #plan(): void {
    let next = -1;
    let doneAtWorkMs = Infinity;
    for (let index = 0; index < this.#running.length; index++) {
      const at = this.#running[index]!.doneAtWorkMs;
      if (at >= doneAtWorkMs) continue;
      doneAtWorkMs = at;
      next = index;
    }
    this.#next = next;
    this.#nextEndMs =
      next === -1
        ? Infinity
        : Math.max(this.#nowMs, this.#stalledUntilMs) + Math.max(0, doneAtWorkMs - this.#workMs) / this.#rate;
  }
}
