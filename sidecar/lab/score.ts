// The score of a run: exact quantiles by stretch, and the objective over them.
import { selectQuantile } from '../../src/model/quantile.ts';
import type { Piece, PieceKind } from './timeline.ts';

/** What a run left behind, whoever made it: the replay or the whole agent. */
export interface RunTrace {
  /** Of each arrival in order, ms; NaN: refused. */
  readonly latenciesMs: Float64Array;
  /** The device's busy clock at each cut of the timeline, ms, and at the end. */
  readonly busyAtCutsMs: readonly number[];
  readonly batches: number;
  /** When the last answer was given, or the last request refused, ms. */
  readonly endMs: number;
}

/** Figures of a part of a run. Times in ms of the run; a quantile of nothing is 0. */
export interface Score {
  readonly requests: number;
  readonly completed: number;
  /** Refused: an SLO miss each. */
  readonly lost: number;
  /** Answered within the SLA. */
  readonly good: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly busyMs: number;
  readonly spanMs: number;
  /** Busy device ms per answer within the SLO, which is seconds per 1,000; Infinity when none was. */
  readonly gpuSecondsPer1k: number;
  /** p99 <= SLA and at most 1 % lost. */
  readonly isFeasible: boolean;
}

export interface Weights {
  readonly performance: number;
  readonly cost: number;
}

/** So many may be lost, and a stretch is still feasible. */
const LOST_RATIO_MAX = 0.01;

/** Scores pieces of a run together. */
export class Scorer {
  readonly #arrivalsMs: Float64Array;
  readonly #pieces: readonly Piece[];
  readonly #slaMs: number;
  /** Index of the first arrival of each piece, and the count of all. */
  readonly #firsts: Int32Array;
  readonly #scratch: Float64Array;

  constructor(arrivalsMs: Float64Array, pieces: readonly Piece[], slaMs: number) {
    this.#arrivalsMs = arrivalsMs;
    this.#pieces = pieces;
    this.#slaMs = slaMs;
    this.#firsts = new Int32Array(pieces.length + 1);
    this.#scratch = new Float64Array(arrivalsMs.length);
    let at = 0;
    for (const [index, piece] of pieces.entries()) {
      while (at < arrivalsMs.length && arrivalsMs[at]! < piece.fromMs) at++;
      this.#firsts[index] = at;
    }
    this.#firsts[pieces.length] = arrivalsMs.length;
  }

  /** Number of stretches. */
  get stretches(): number {
    return (this.#pieces.at(-1)?.stretch ?? -1) + 1;
  }

  /** The pieces that the filter takes; `stretch` undefined: of all stretches, `kind` undefined: of all kinds. */
  score(trace: RunTrace, stretch?: number, kind?: PieceKind): Score {
    let requests = 0;
    let completed = 0;
    let good = 0;
    let busyMs = 0;
    let spanMs = 0;
    for (const [index, piece] of this.#pieces.entries()) {
      if ((stretch !== undefined && piece.stretch !== stretch) || (kind !== undefined && piece.kind !== kind)) continue;
      const from = this.#firsts[index]!;
      const to = this.#firsts[index + 1]!;
      for (let at = from; at < to; at++) {
        const latencyMs = trace.latenciesMs[at]!;
        if (Number.isNaN(latencyMs)) continue;
        this.#scratch[completed++] = latencyMs;
        if (latencyMs <= this.#slaMs) good++;
      }
      requests += to - from;
      busyMs += trace.busyAtCutsMs[index]! - (index === 0 ? 0 : trace.busyAtCutsMs[index - 1]!);
      spanMs += Math.min(piece.toMs, Math.max(piece.fromMs, trace.endMs)) - piece.fromMs;
    }
    const p99Ms = selectQuantile(this.#scratch, 0.99, 0, completed);
    const lost = requests - completed;
    return {
      requests,
      completed,
      lost,
      good,
      p50Ms: selectQuantile(this.#scratch, 0.5, 0, completed),
      p99Ms,
      busyMs,
      spanMs,
      gpuSecondsPer1k: good === 0 ? Infinity : busyMs / good,
      isFeasible: p99Ms <= this.#slaMs && lost <= LOST_RATIO_MAX * requests,
    };
  }

  /** Of the requests that arrived from `fromMs` to `toMs`; busy time is not known between cuts. */
  tail(
    trace: RunTrace,
    fromMs: number,
    toMs: number,
  ): { readonly requests: number; readonly lost: number; readonly p99Ms: number; readonly good: number } {
    let requests = 0;
    let completed = 0;
    let good = 0;
    for (let at = lowerBound(this.#arrivalsMs, fromMs); at < this.#arrivalsMs.length; at++) {
      if (this.#arrivalsMs[at]! >= toMs) break;
      requests++;
      const latencyMs = trace.latenciesMs[at]!;
      if (Number.isNaN(latencyMs)) continue;
      this.#scratch[completed++] = latencyMs;
      if (latencyMs <= this.#slaMs) good++;
    }
    const p99Ms = selectQuantile(this.#scratch, 0.99, 0, completed);
    return { requests, lost: requests - completed, p99Ms, good };
  }
}

/** p99Ms^w_perf * gpuSecondsPer1k^w_cost, lower is better; Infinity where nothing was answered within the SLO. */
export function toObjective(score: Score, weights: Weights): number {
  if (score.good === 0) return Infinity;
  return score.p99Ms ** weights.performance * score.gpuSecondsPer1k ** weights.cost;
}

/** The objective of a run and whether it may be compared: one infeasible stretch loses to every feasible run. */
export interface RunScore {
  /** Mean over stretches, weighted by their requests; Infinity when nothing was scored. */
  readonly objective: number;
  readonly isFeasible: boolean;
}

/** Stretches without scored requests do not count. */
export function toRunScore(stretches: readonly Score[], weights: Weights): RunScore {
  let sum = 0;
  let requests = 0;
  let isFeasible = true;
  for (const score of stretches) {
    if (score.requests === 0) continue;
    isFeasible &&= score.isFeasible;
    sum += score.requests * toObjective(score, weights);
    requests += score.requests;
  }
  return { objective: requests === 0 ? Infinity : sum / requests, isFeasible: isFeasible && requests > 0 };
}

function lowerBound(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
