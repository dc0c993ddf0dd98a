// A run as the object that `morphling simulate -o json` prints: the user's time, plain numbers, null for what is not there.
import { type Mode, MODE_WEIGHTS } from '../../src/core/policy.ts';
import type { ChangeClass, Prediction } from '../../src/core/proposal.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { AgentRun, Change } from './agent-run.ts';
import type { Cell } from './cell.ts';
import { toStretchScores } from './grid.ts';
import type { Reach } from './reach.ts';
import { type Score, Scorer, toObjective, toRunScore } from './score.ts';

/** Figures of one part of the run. `null`: nothing was answered within the SLO, so there is no figure. */
export interface PartReport {
  readonly requests: number;
  readonly completed: number;
  readonly shed: number;
  readonly goodputPerS: number;
  readonly sloAttainment: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly gpuBusy: number;
  readonly gpuSecondsPer1k: number | null;
}

/** A stretch; its own figures leave out the warm-up and what is excused after a jump. */
export interface StretchReport extends PartReport {
  readonly fromS: number;
  readonly toS: number;
  readonly objective: number | null;
  readonly feasible: boolean;
  /** The first interval after each jump in this stretch; null: none. */
  readonly excused: PartReport | null;
}

export interface DecisionReport {
  readonly t: number;
  readonly class: ChangeClass;
  readonly from: Settings;
  readonly to: Settings;
  readonly predicted: Prediction | null;
  /** Over the interval that followed; `gpuSecondsPer1k` where the watch measured it. */
  readonly measured: { readonly p99Ms: number; readonly gpuSecondsPer1k: number | null } | null;
  readonly verdict: Change['verdict'];
}

export interface SimulationReport {
  /** Of the whole run, warm-up and excused intervals included. */
  readonly requests: number;
  readonly completed: number;
  readonly shed: number;
  readonly failed: number;
  readonly goodputPerS: number;
  readonly sloAttainment: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly meanBatch: number;
  readonly gpuBusy: number;
  readonly gpuUtil: number;
  readonly gpuSecondsPer1k: number | null;
  /** Mean over stretches, weighted by requests. */
  readonly objective: number | null;
  readonly feasible: boolean;
  readonly stretches: readonly StretchReport[];
  /** The first three intervals, scored apart. */
  readonly warmUp: PartReport;
  readonly settings: readonly ({ readonly t: number } & Settings)[];
  readonly decisions: readonly DecisionReport[];
  readonly rollbacks: number;
  readonly unsafeDecisions: number;
  readonly decisionsTo95: number | null;
  readonly secondsTo95: number | null;
  readonly durationS: number;
  readonly intervalS: number;
  readonly seed: number;
}

export interface ReportParts {
  readonly cell: Cell;
  readonly run: AgentRun;
  readonly mode: Mode;
  /** Null: not asked for. */
  readonly reach: Reach | null;
}

/** More lost than this breaks the SLA of an interval. */
const LOST_RATIO_MAX = 0.01;

export function toReport({ cell, run, mode, reach }: ReportParts): SimulationReport {
  const scorer = new Scorer(cell.arrivalsMs, cell.pieces, cell.slaMs);
  const weights = MODE_WEIGHTS[mode];
  const toS = (ms: number): number => ms / 1000 / cell.timeScale;
  const toSettings = (settings: Settings): Settings => ({
    ...settings,
    batchDelayMs: settings.batchDelayMs / cell.timeScale,
  });
  const whole = scorer.score(run);
  const scores = toStretchScores(scorer, run);
  const { objective, isFeasible } = toRunScore(scores, weights);
  // Of both factors only the one or the other scales with time: p99 in ms and device time per answer, weights sum to 1.
  const toUserObjective = (value: number): number | null =>
    toFinite(value / cell.timeScale ** (weights.performance + weights.cost));
  const safety = new SafetyCheck(cell, run, scorer);
  const part = (score: Score): PartReport => toPart(score, cell.timeScale);
  const all = part(whole);
  return {
    requests: whole.requests,
    completed: whole.completed,
    shed: whole.lost,
    failed: 0,
    goodputPerS: all.goodputPerS,
    sloAttainment: all.sloAttainment,
    p50Ms: all.p50Ms,
    p99Ms: all.p99Ms,
    meanBatch: run.batches === 0 ? 0 : whole.completed / run.batches,
    gpuBusy: all.gpuBusy,
    gpuUtil: whole.completed / Math.max(cell.durationMs, run.endMs) / cell.curve.peakItemsPerMs,
    gpuSecondsPer1k: all.gpuSecondsPer1k,
    objective: toUserObjective(objective),
    feasible: isFeasible,
    stretches: scores.map((score, stretch) => {
      const excused = scorer.score(run, stretch, 'excused');
      return {
        fromS: toS(cell.stretchStartsMs[stretch] ?? 0),
        toS: toS(cell.stretchStartsMs[stretch + 1] ?? cell.durationMs),
        ...part(score),
        objective: score.requests === 0 ? null : toUserObjective(toObjective(score, weights)),
        feasible: score.isFeasible,
        excused: excused.requests === 0 ? null : part(excused),
      };
    }),
    warmUp: part(scorer.score(run, undefined, 'warm-up')),
    settings: run.settings.map(({ atMs, settings }) => ({ t: toS(atMs), ...toSettings(settings) })),
    decisions: run.changes.map((change) => ({
      t: toS(change.atMs),
      class: change.class,
      from: toSettings(change.from),
      to: toSettings(change.to),
      predicted: change.predicted === null ? null : toUserPrediction(change.predicted, cell.timeScale),
      measured: toMeasured(change, safety, cell.timeScale),
      verdict: change.verdict,
    })),
    rollbacks: run.rollbacks,
    unsafeDecisions: run.changes.filter((change) => safety.isUnsafe(change)).length,
    decisionsTo95: reach?.decisions ?? null,
    secondsTo95: reach?.afterMs == null ? null : toS(reach.afterMs),
    durationS: toS(cell.durationMs),
    intervalS: toS(cell.intervalMs),
    seed: cell.seed,
  };
}

/**
 * A change is unsafe when the interval after it broke the SLA (p99 or 1 % lost) though the one before had held it, no
 * jump lay in either, and nobody fled from anything: the decider, not the load, did it.
 */
class SafetyCheck {
  readonly #cell: Cell;
  readonly #run: AgentRun;
  readonly #scorer: Scorer;

  constructor(cell: Cell, run: AgentRun, scorer: Scorer) {
    this.#cell = cell;
    this.#run = run;
    this.#scorer = scorer;
  }

  after({ atMs }: Change): ReturnType<Scorer['tail']> {
    return this.#scorer.tail(this.#run, atMs, atMs + this.#cell.intervalMs);
  }

  isUnsafe(change: Change): boolean {
    const { intervalMs, jumpsMs, slaMs } = this.#cell;
    const { atMs } = change;
    if (change.class === 'reflex' || jumpsMs.some((jumpMs) => Math.abs(jumpMs - atMs) < intervalMs)) return false;
    const isBroken = ({ p99Ms, lost, requests }: ReturnType<Scorer['tail']>): boolean =>
      p99Ms > slaMs || lost > LOST_RATIO_MAX * requests;
    return isBroken(this.after(change)) && !isBroken(this.#scorer.tail(this.#run, atMs - intervalMs, atMs));
  }
}

function toMeasured(change: Change, safety: SafetyCheck, timeScale: number): DecisionReport['measured'] {
  const { requests, lost, p99Ms } = safety.after(change);
  if (requests === lost) return null;
  const cost = change.measured?.gpuSecondsPer1k;
  return { p99Ms: p99Ms / timeScale, gpuSecondsPer1k: cost === undefined ? null : toFinite(cost / timeScale) };
}

function toUserPrediction({ p99Ms, gpuSecondsPer1k }: Prediction, timeScale: number): Prediction {
  return { p99Ms: p99Ms / timeScale, gpuSecondsPer1k: gpuSecondsPer1k / timeScale };
}

function toPart(score: Score, timeScale: number): PartReport {
  const spanS = score.spanMs / 1000 / timeScale;
  return {
    requests: score.requests,
    completed: score.completed,
    shed: score.lost,
    goodputPerS: spanS === 0 ? 0 : score.good / spanS,
    sloAttainment: score.requests === 0 ? 1 : score.good / score.requests,
    p50Ms: score.p50Ms / timeScale,
    p99Ms: score.p99Ms / timeScale,
    gpuBusy: score.spanMs === 0 ? 0 : Math.min(1, score.busyMs / score.spanMs),
    gpuSecondsPer1k: toFinite(score.gpuSecondsPer1k / timeScale),
  };
}

function toFinite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
