// The score of a run: what happened in each stretch, and the objective over them.
import { Sketch } from '../sense/sketch.ts';

/** The score of a stretch or of a whole run. Times in ms as simulated. */
export interface Score {
  readonly requests: number;
  readonly completed: number;
  /** Refused or timed out; an SLO miss each. */
  readonly lost: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers within the SLA / requests. */
  readonly sloAttainment: number;
  readonly goodputPerS: number;
  /** Share of time with a batch running. */
  readonly gpuBusy: number;
  /** Busy device seconds per 1,000 answers within the SLO. */
  readonly gpuSecondsPer1k: number;
  /** p99 <= SLA and at most 1 % lost. */
  readonly isFeasible: boolean;
}

export interface Weights {
  readonly performance: number;
  readonly cost: number;
}

/** A run may lose so many of its requests and still be feasible. */
const LOST_RATIO_MAX = 0.01;

/** One stretch, counted by the time of arrival. */
class Stretch {
  readonly latencies = new Sketch();
  requests = 0;
  lost = 0;
  good = 0;
  busyMs = 0;
  spanMs = 0;
}

/** Counts by stretch. Arrivals and busy time must come in order; endings may come late and go to the stretch of their arrival. */
export class Tally {
  readonly #startsMs: readonly number[];
  readonly #slaMs: number;
  readonly #stretches: readonly Stretch[];
  #nowMs = 0;
  #busyMs = 0;
  #at = 0;

  /** `stretchStartsMs`: ascending, first 0. */
  constructor(stretchStartsMs: readonly number[], slaMs: number) {
    this.#startsMs = stretchStartsMs;
    this.#slaMs = slaMs;
    this.#stretches = stretchStartsMs.map(() => new Stretch());
  }

  arrived(atMs: number, busyMs: number): void {
    this.passed(atMs, busyMs);
    this.#stretches[this.#at]!.requests++;
  }

  answered(arrivedMs: number, latencyMs: number): void {
    const stretch = this.#of(arrivedMs);
    stretch.latencies.record(latencyMs);
    if (latencyMs <= this.#slaMs) stretch.good++;
  }

  lost(arrivedMs: number): void {
    this.#of(arrivedMs).lost++;
  }

  /** Time went on to `atMs`, the device's busy clock to `busyMs`; what lies between goes to the open stretch. */
  passed(atMs: number, busyMs: number): void {
    const stretch = this.#stretches[this.#at]!;
    stretch.spanMs += atMs - this.#nowMs;
    stretch.busyMs += busyMs - this.#busyMs;
    this.#nowMs = atMs;
    this.#busyMs = busyMs;
    while (atMs >= (this.#startsMs[this.#at + 1] ?? Infinity)) this.#at++;
  }

  stretches(): readonly Score[] {
    return this.#stretches.map((stretch) => this.#score([stretch]));
  }

  whole(): Score {
    return this.#score(this.#stretches);
  }

  #of(arrivedMs: number): Stretch {
    let at = this.#at;
    while (at > 0 && arrivedMs < this.#startsMs[at]!) at--;
    return this.#stretches[at]!;
  }

  #score(parts: readonly Stretch[]): Score {
    const latencies = new Sketch();
    const sum = { requests: 0, lost: 0, good: 0, busyMs: 0, spanMs: 0 };
    for (const part of parts) {
      latencies.merge(part.latencies);
      sum.requests += part.requests;
      sum.lost += part.lost;
      sum.good += part.good;
      sum.busyMs += part.busyMs;
      sum.spanMs += part.spanMs;
    }
    const p99Ms = latencies.count === 0 ? 0 : latencies.quantile(0.99);
    return {
      requests: sum.requests,
      completed: latencies.count,
      lost: sum.lost,
      p50Ms: latencies.count === 0 ? 0 : latencies.quantile(0.5),
      p99Ms,
      sloAttainment: sum.requests === 0 ? 1 : sum.good / sum.requests,
      goodputPerS: sum.spanMs === 0 ? 0 : (1000 * sum.good) / sum.spanMs,
      gpuBusy: sum.spanMs === 0 ? 0 : sum.busyMs / sum.spanMs,
      gpuSecondsPer1k: sum.good === 0 ? Infinity : sum.busyMs / sum.good,
      isFeasible: p99Ms <= this.#slaMs && sum.lost <= LOST_RATIO_MAX * sum.requests,
    };
  }
}

/** p99Ms^w_perf * gpuSecondsPer1k^w_cost, lower is better. */
export function toObjective(score: Score, weights: Weights): number {
  return score.p99Ms ** weights.performance * score.gpuSecondsPer1k ** weights.cost;
}

/** The mean over stretches, weighted by their requests; Infinity when one of them is infeasible. Empty stretches do not count. */
export function toRunObjective(stretches: readonly Score[], weights: Weights): number {
  let sum = 0;
  let requests = 0;
  for (const score of stretches) {
    if (score.requests === 0) continue;
    if (!score.isFeasible) return Infinity;
    sum += score.requests * toObjective(score, weights);
    requests += score.requests;
  }
  return requests === 0 ? Infinity : sum / requests;
}
