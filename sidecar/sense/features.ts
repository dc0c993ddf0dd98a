// What the requests of one model are like: sizes, burstiness, rhythm. Slow figures over minutes, not windows.
import type { Features } from '../../src/core/snapshot.ts';
import { findPeriod, type Period } from './period.ts';
import { Sketch } from './sketch.ts';

/** Sizes are of the last one to two such spans, ms. */
const SIZE_SPAN_MS = 5 * 60_000;
/** Dispersion: variance / mean of counts in bins of one second over five minutes. */
const DISPERSION_BIN_MS = 1000;
const DISPERSION_BINS = 300;
const LEAST_DISPERSION_BINS = 30;
const LEAST_DISPERSION_ARRIVALS = 30;
/** Rhythm: two hours of 20 s bins, so periods from a minute to 40 minutes. */
const PERIOD_BIN_MS = 20_000;
const PERIOD_BINS = 360;
/** Looking for a period costs some 50 us, so once a minute is enough. */
const PERIOD_EVERY_MS = 60_000;

/** Counts of arrivals in consecutive bins of equal length, the newest unfinished one left out. */
class Bins {
  readonly #lengthMs: number;
  readonly #most: number;
  readonly #counts: number[] = [];
  #count = 0;
  #endsMs: number;

  constructor(lengthMs: number, most: number, nowMs: number) {
    this.#lengthMs = lengthMs;
    this.#most = most;
    this.#endsMs = nowMs + lengthMs;
  }

  add(atMs: number): void {
    if (atMs >= this.#endsMs) this.finish(atMs);
    this.#count += 1;
  }

  finished(nowMs: number): readonly number[] {
    if (nowMs >= this.#endsMs) this.finish(nowMs);
    return this.#counts;
  }

  finish(nowMs: number): void {
    const passed = 1 + Math.floor((nowMs - this.#endsMs) / this.#lengthMs);
    this.#counts.push(this.#count);
    this.#count = 0;
    for (let empty = Math.min(passed - 1, this.#most); empty > 0; empty--) this.#counts.push(0);
    if (this.#counts.length > this.#most) this.#counts.splice(0, this.#counts.length - this.#most);
    this.#endsMs += passed * this.#lengthMs;
  }
}

/** Two sketches in turn: what is read is never younger than one span nor older than two. */
class TurningSketch {
  #now = new Sketch(1);
  #before = new Sketch(1);

  record(value: number): void {
    this.#now.record(value);
  }

  turn(): void {
    [this.#now, this.#before] = [this.#before, this.#now];
    this.#now.reset();
  }

  read(): Sketch {
    const whole = this.#now.clone();
    whole.merge(this.#before);
    return whole;
  }
}

/** The features of one model, fed by its arrivals. Popularity needs all models and is given at reading. */
export class ModelFeatures {
  readonly #bytes = new TurningSketch();
  readonly #items = new TurningSketch();
  readonly #seconds: Bins;
  readonly #rhythm: Bins;
  #turnsMs: number;
  #period: Period | null = null;
  #periodDueMs: number;

  constructor(nowMs: number) {
    this.#seconds = new Bins(DISPERSION_BIN_MS, DISPERSION_BINS, nowMs);
    this.#rhythm = new Bins(PERIOD_BIN_MS, PERIOD_BINS, nowMs);
    this.#turnsMs = nowMs + SIZE_SPAN_MS;
    this.#periodDueMs = nowMs + PERIOD_EVERY_MS;
  }

  arrived(items: number, requestBytes: number, atMs: number): void {
    this.#bytes.record(requestBytes);
    this.#items.record(items);
    this.#seconds.add(atMs);
    this.#rhythm.add(atMs);
  }

  read(nowMs: number, popularity: number): Features {
    if (nowMs >= this.#turnsMs) {
      this.#bytes.turn();
      this.#items.turn();
      this.#turnsMs = nowMs + SIZE_SPAN_MS;
    }
    if (nowMs >= this.#periodDueMs) {
      this.#periodDueMs = nowMs + PERIOD_EVERY_MS;
      this.#period = findPeriod(this.#rhythm.finished(nowMs), PERIOD_BIN_MS / 1000);
    }
    const bytes = this.#bytes.read();
    const items = this.#items.read();
    return {
      requestBytes:
        bytes.count === 0
          ? null
          : { p50: Math.round(bytes.quantile(0.5)), p99: Math.round(bytes.quantile(0.99)), mean: bytes.mean },
      itemsPerRequest: items.count === 0 ? null : { mean: items.mean, p99: Math.round(items.quantile(0.99)) },
      dispersion: toDispersion(this.#seconds.finished(nowMs)),
      period: this.#period,
      popularity,
    };
  }
}

/**
 * Index of dispersion of counts (Fano factor), sample variance / mean: 1 for Poisson, 0 for a metronome, above 1
 * for bursts. Null below 30 bins or 30 arrivals.
 */
export function toDispersion(counts: readonly number[]): number | null {
  const n = counts.length;
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (n < LEAST_DISPERSION_BINS || total < LEAST_DISPERSION_ARRIVALS) return null;
  const mean = total / n;
  const squares = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0);
  return squares / (n - 1) / mean;
}
