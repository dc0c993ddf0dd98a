// What a slice of a trial comes to: the few numbers that slices are compared by.
import { LatencyTally } from '../../src/core/latency-tally.ts';
import type { Prediction } from '../../src/core/proposal.ts';
import type { Slice } from '../../src/core/trial.ts';
import type { WatchedWindow } from './watch.ts';

export interface Weights {
  readonly performance: number;
  readonly cost: number;
}

/** Of one slice, or of all slices of an arm. Null: nothing was answered. */
export interface SliceFigures {
  /**
   * Mean of the slowest twentieth, ms. It moves with p99 but rests on five times as many answers: in slices of 1,000
   * answers it spreads 0.6-0.8 times as much as p99 itself (the same in slices of 100).
   */
  readonly tailMs: number;
  /** Busy device seconds per 1,000 answers within the SLO. */
  readonly gpuSecondsPer1k: number;
  /** Share of requests that were lost or later than the SLA, 0..1. */
  readonly missRatio: number;
  readonly logLoad: number;
}

/** The slowest part of the answers that stands for the tail. */
const TAIL_SHARE = 0.05;
/** Stands for a tail, ms, and a cost without end: an arm that answers nothing. */
const ENDLESS = 60_000;

/** Null when the slice has no answer. */
export function toFigures(slice: Slice, slaMs: number | null): SliceFigures | null {
  const tailMs = slice.latency.tailMeanMs(TAIL_SHARE);
  if (slice.answers === 0 || slice.arrivals === 0) return null;
  const good = countGood(slice.latency, slaMs);
  return {
    tailMs: tailMs ?? ENDLESS,
    gpuSecondsPer1k: good === 0 ? ENDLESS : Math.max(1e-6, slice.busyMs / good),
    missRatio: 1 - good / slice.answers,
    logLoad: Math.log((1000 * slice.arrivals) / slice.durationMs),
  };
}

/** ln of the objective, with the tail in the place of p99. */
export function toLogObjective(figures: SliceFigures, { performance, cost }: Weights): number {
  return performance * Math.log(figures.tailMs) + cost * Math.log(figures.gpuSecondsPer1k);
}

/** All slices of one arm together. */
export class ArmTotals {
  readonly #latency = new LatencyTally();
  #durationMs = 0;
  #measuredMs = 0;
  #arrivals = 0;
  #answers = 0;
  #lost = 0;
  #batches = 0;
  #arrivedItems = 0;
  #fullItems = 0;
  #fullMs = 0;
  #busyMs = 0;

  add(slice: Slice): void {
    this.#latency.merge(slice.latency);
    this.#durationMs += slice.durationMs;
    this.#measuredMs += slice.measuredMs;
    this.#arrivals += slice.arrivals;
    this.#answers += slice.answers;
    this.#lost += slice.lost;
    this.#batches += slice.batches;
    this.#arrivedItems += slice.arrivedItems;
    this.#fullItems += slice.full.items;
    this.#fullMs += slice.full.durationMs;
    this.#busyMs += slice.busyMs;
  }

  get answers(): number {
    return this.#answers;
  }

  get batches(): number {
    return this.#batches;
  }

  /**
   * Items that arrive / items that full batches, one after the other, could serve: rate x duration / (items x calls in
   * flight). 0 while no batch is full. Near 1 the queue takes seconds to minutes to become what it will be (the relaxation
   * of a queue goes with 1 / (1 - load)^2), so a slice that begins with the baseline's queue looks better than it is.
   */
  get loadRatio(): number {
    if (this.#fullItems === 0 || this.#durationMs === 0) return 0;
    return (this.#arrivedItems / this.#durationMs) * (this.#fullMs / this.#fullItems);
  }

  get lostRatio(): number {
    return this.#answers === 0 ? 0 : this.#lost / this.#answers;
  }

  /** Null when nothing was answered. */
  measured(slaMs: number | null): Prediction | null {
    const p99Ms = this.#latency.quantileMs(0.99);
    if (p99Ms === null) return null;
    const good = countGood(this.#latency, slaMs);
    return { p99Ms, gpuSecondsPer1k: good === 0 ? Number.POSITIVE_INFINITY : this.#busyMs / good };
  }

  /** As if it had been one window: what a change that passed its trial is watched against. */
  toWindow(slaMs: number | null): WatchedWindow {
    const [p50Ms, p90Ms, p99Ms] = [0.5, 0.9, 0.99].map((q) => this.#latency.quantileMs(q));
    const isEmpty = p50Ms == null || p90Ms == null || p99Ms == null;
    return {
      durationMs: this.#measuredMs,
      ratePerS: this.#durationMs === 0 ? 0 : (1000 * this.#arrivals) / this.#durationMs,
      completions: this.#answers,
      errorRatio: this.lostRatio,
      sloAttainment: this.#answers === 0 ? null : countGood(this.#latency, slaMs) / this.#answers,
      latency: isEmpty ? null : { p50Ms, p90Ms, p99Ms },
      batches: this.#batches,
      busyRatio: this.#measuredMs === 0 ? 0 : this.#busyMs / this.#measuredMs,
    };
  }
}

function countGood(latency: LatencyTally, slaMs: number | null): number {
  return slaMs === null ? latency.count : latency.countAtMost(slaMs);
}
