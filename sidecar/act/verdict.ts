// The verdict of a trial: blocks of slices in, continue | better | worse out, at any time and never for lack of patience.
import type { Prediction } from '../../src/core/proposal.ts';
import type { Slice } from '../../src/core/trial.ts';
import { Evidence } from './sequential.ts';
import { mean, type Measured } from './sequential-noise.ts';
import { type Drawn, Question } from './verdict-question.ts';
import { ArmTotals, type SliceFigures, toFigures, toLogObjective, type Weights } from './trial-figures.ts';
import type { RollbackCause, SliceComparison, WatchedWindow } from './watch.ts';

export interface TrialRule {
  /** Exponents of the objective `p99Ms^performance x gpuSecondsPer1k^cost`. */
  readonly weights: Weights;
  /** Null while none is known. */
  readonly slaP99Ms: number | null;
  /** Share of requests that may fail. */
  readonly errorRate: number;
  /** Relative worsening that is not accepted, 0.1 = 10 %. */
  readonly threshold: number;
  /** Chance that a harmless candidate is called worse, over the whole trial and however often it is looked at. */
  readonly alpha: number;
  readonly minBatches: number;
}

export type TrialVerdict =
  | { readonly kind: 'continue'; readonly reason: string }
  /** harm is excluded as far as this stage can: the next one may begin */
  | { readonly kind: 'better'; readonly reason: string }
  | { readonly kind: 'worse'; readonly cause: RollbackCause; readonly reason: string };

/** Alpha is shared out: half for the objective, a quarter for missed SLAs and losses, a quarter for gross harm. */
const ALPHA = { objective: 0.5, misses: 0.25, gross: 0.25 };
/** Chance that a stage lets pass what it was to exclude. The next stage, or the watch, looks again. */
const BETA = 0.05;
/** Tilts that "better" is looked for with, as shares of the best one against the margin: a shy one for heavy tails. */
const FINE_TILTS = [1, 0.5, 0.25];
/** A stage excludes at least so many standard errors of what it can see in its longest time. */
const MARGIN_ERRORS = 10;
/** A worsening of so many standard errors is chance, where the threshold itself is less. */
const CHANCE_ERRORS = 2;
/** A verdict of "better" rests on so many blocks at least. */
const BLOCKS_MIN = 2;
/** Gross harm inside one slice: the objective 40 % worse (a doubled p99 at three quarters of the weight). */
const GROSS_SHIFT = Math.log(1.4);
/** Or so many more of the requests missing the SLA. */
const GROSS_MISSES = 0.3;
/** Slices in force, before they are held against the baseline's. */
const AFTER_SLICES_MIN = 5;
/** Nearer to its limit than this a candidate is not believed; from 0.9 on slices of a second looked up to a third too good. */
const LOAD_MAX = 0.9;
/** Fewer batches are not looked at. */
const LOOK_BATCHES_MIN = 3;
/** The looks at one slice see nearly the same, so they count as two. */
const LOOKS = 2;
/** A log is not measured finer than the steps of the tally, a share of misses not finer than one in 200. */
const LEAST = { objective: 0.02, misses: 0.005 };
/** Misses that are looked for, as a share of all requests. */
const MISS_SHIFTS = [0.01, 0.04, 0.2];

/**
 * Three questions, each with its own part of alpha, asked of the same blocks:
 *
 * - objective: is ln(objective) of the candidate's slices higher than lot explains (see `Evidence`), and by more than
 *   the threshold? Then it is worse.
 * - misses: are there more lost or late requests than lot explains, and is p99 beyond the SLA, or are more lost than may be?
 * - gross harm: inside one slice, is it 40 % worse and beyond the spread that slices of the baseline have (Student's t)?
 *
 * A candidate near the limit of what it can serve, nearer than the baseline, is never "better": see `ArmTotals.loadRatio`.
 *
 * "Better" is the same test turned round: a worsening by a margin is excluded with a chance of error of 5 %, and what was
 * measured is within the threshold (or two standard errors of it). The margin is max(threshold, 10 spread / sqrt(n)) /
 * sqrt(share), n being the slices that fit into the longest wait: information comes in proportion to the share of time,
 * so a small stage excludes great harm, and each later one, in about the same time, less; and no stage is asked for
 * what it cannot see.
 */
export class TrialJudge {
  readonly #rule: TrialRule;
  readonly #objective: Question;
  /** Asked inside slices only. */
  readonly #tail: Question;
  readonly #misses: Question;
  #stage = { share: 1, slices: 1 };
  /** What the stage is to exclude, in ln; fixed by its first block. */
  #margin: number | null = null;
  #fine = new Evidence(FINE_TILTS.length);
  #candidate = new ArmTotals();
  #baseline = new ArmTotals();
  #blocks = 0;
  #slices = 1;
  #shifts: number[] = [];
  /** Of the sum of the shifts, by chance. */
  #variance = 0;

  constructor(rule: TrialRule) {
    const least = Math.log1p(rule.threshold);
    this.#rule = rule;
    this.#objective = new Question([least, 2 * least, 4 * least], LEAST.objective);
    this.#tail = new Question([], LEAST.objective);
    this.#misses = new Question(MISS_SHIFTS, LEAST.misses);
  }

  /** Blocks of the stage that could be compared. */
  get blocks(): number {
    return this.#blocks;
  }

  get candidateAnswers(): number {
    return this.#candidate.answers;
  }

  /** Of the stage, both arms. Null while there are no answers. */
  get measured(): { readonly candidate: Prediction | null; readonly baseline: Prediction | null } {
    const { slaP99Ms } = this.#rule;
    return { candidate: this.#candidate.measured(slaP99Ms), baseline: this.#baseline.measured(slaP99Ms) };
  }

  /** ln of the objective's ratio, the load's part taken out; null before the first block. */
  get shift(): number | null {
    return this.#shifts.length === 0 ? null : mean(this.#shifts);
  }

  /** Slices of the settings in force while nothing was tried, one after the other: they show the spread and the level. */
  learn(figures: readonly SliceFigures[]): void {
    this.#objective.learn(figures.map((one) => this.#toObjective(one)));
    this.#tail.learn(figures.map(toTail));
    this.#misses.learn(figures.map(toMisses));
  }

  /**
   * What was found against the candidate is kept; what spoke for it must be shown anew. `slices`: how many there can be
   * in the longest time for a stage.
   */
  beginStage(share: number, slices: number): void {
    this.#stage = { share, slices };
    this.#margin = null;
    this.#fine = new Evidence(FINE_TILTS.length);
    this.#candidate = new ArmTotals();
    this.#baseline = new ArmTotals();
    this.#blocks = 0;
    this.#shifts = [];
    this.#variance = 0;
  }

  /** A block that is over. `isDrawn`: the slices among which lots were drawn. */
  judge(slices: readonly Slice[], isDrawn: readonly boolean[]): TrialVerdict {
    for (const slice of slices) (slice.arm === 'candidate' ? this.#candidate : this.#baseline).add(slice);
    this.#slices += slices.filter((slice) => slice.arm === 'candidate').length;
    const figures = slices.map((slice) => toFigures(slice, this.#rule.slaP99Ms));
    const isCandidate = slices.map((slice) => slice.arm === 'candidate');
    if (figures.every((one) => one !== null)) {
      this.#blocks += 1;
      const objectives = figures.map((one) => this.#toObjective(one));
      const drawn = this.#objective.compare(objectives, isCandidate, isDrawn);
      this.#shifts.push(drawn.shift);
      this.#variance += drawn.spread ** 2 * toHarmonic(isCandidate);
      this.#speakFor(drawn);
      this.#tail.learn(figures.filter((_, index) => isCandidate[index] === false).map(toTail));
      const missed = figures.map(toMisses);
      this.#misses.compare(missed, isCandidate, isDrawn);
    }
    return this.#conclude();
  }

  /**
   * A slice of the candidate: is it so bad that it should end now? `part`: how much of it has passed, (0, 1]. While it is
   * under way its device time runs ahead of its answers, so before the end only the tail speaks.
   */
  look(slice: Slice, part: number): TrialVerdict {
    const { slaP99Ms, alpha, weights, minBatches } = this.#rule;
    const figures = toFigures(slice, slaP99Ms);
    const go = { kind: 'continue', reason: 'nothing gross' } as const;
    // One batch is one sample; of fewer than a slice should hold, the noise is that of a part of a slice.
    if (figures === null || slice.batches < LOOK_BATCHES_MIN) return go;
    const seen = Math.min(part, slice.batches / minBatches);
    // The share of the k-th slice falls as 1 / k(k + 1), so that all slices together spend what gross harm may.
    const chance = (ALPHA.gross * alpha) / (this.#slices * (this.#slices + 1)) / LOOKS / 2;
    const misses = this.#misses.excess([toMisses(figures)], chance, seen) ?? 0;
    if (misses > GROSS_MISSES) {
      const what = slaP99Ms === null ? 'lost' : `lost or later than ${ms(slaP99Ms)}`;
      const reason = `${percent(figures.missRatio)} ${what} in one slice of ${slice.batches} batches`;
      return { kind: 'worse', cause: slice.lost > slice.answers * GROSS_MISSES ? 'errors' : 'sla', reason };
    }
    const isWhole = part >= 1;
    const question = isWhole ? this.#objective : this.#tail;
    const weight = isWhole ? 1 : weights.performance;
    const value = isWhole ? this.#toObjective(figures) : toTail(figures);
    const shift = weight * (question.excess([value], chance, seen) ?? 0);
    if (shift > GROSS_SHIFT) {
      const reason = `objective ${percent(Math.expm1(shift))} worse in one slice of ${slice.batches} batches`;
      return { kind: 'worse', cause: 'objective', reason };
    }
    return go;
  }

  /** Slices since the candidate is in force, against those of the baseline; `chance` of a false alarm for each question. */
  compareAfter(figures: readonly SliceFigures[], chance: number): SliceComparison {
    // In a burst windows last a second: a slice or two of them is the noise that trials are held for.
    if (figures.length < AFTER_SLICES_MIN) return { objectiveShift: null, missShift: null };
    return {
      objectiveShift: this.#objective.excess(
        figures.map((one) => this.#toObjective(one)),
        chance,
      ),
      missShift: this.#misses.excess(figures.map(toMisses), chance),
    };
  }

  /** What the baseline's slices of this stage were, as one window. */
  get baselineWindow(): WatchedWindow {
    return this.#baseline.toWindow(this.#rule.slaP99Ms);
  }

  get #error(): number {
    return Math.sqrt(this.#variance) / Math.max(1, this.#shifts.length);
  }

  #toObjective(figures: SliceFigures): Measured {
    return { value: toLogObjective(figures, this.#rule.weights), logLoad: figures.logLoad };
  }

  #speakFor({ values, isCandidate, spread }: Drawn): void {
    // Fixed by the first block: a margin that moved with the values would be no hypothesis.
    const margin = (this.#margin ??= toMargin(this.#rule.threshold, spread, this.#stage));
    const shifted = values.map((value, index) => (isCandidate[index] === true ? value - margin : value));
    this.#fine.add(
      shifted,
      isCandidate,
      FINE_TILTS.map((tilt) => (-tilt * margin) / spread ** 2),
    );
  }

  #conclude(): TrialVerdict {
    const { alpha, threshold, slaP99Ms, errorRate, minBatches } = this.#rule;
    const { candidate, baseline } = this.measured;
    const { shift } = this;
    if (candidate === null || baseline === null || shift === null)
      return { kind: 'continue', reason: 'no block could be compared yet' };
    const allowedLost = Math.max(errorRate, this.#baseline.lostRatio);
    const isLosing = this.#candidate.lostRatio > allowedLost;
    // Where the baseline misses the SLA itself, the candidate need only be no worse.
    const isLate = slaP99Ms !== null && candidate.p99Ms > Math.max(slaP99Ms, baseline.p99Ms * (1 + threshold));
    const facts = `p99 ${ms(candidate.p99Ms)} against ${ms(baseline.p99Ms)}, objective ${signed(Math.expm1(shift))}, ${this.#blocks} blocks`;
    if (this.#objective.log >= -Math.log(ALPHA.objective * alpha) && shift > Math.log1p(threshold))
      return { kind: 'worse', cause: 'objective', reason: `${percent(threshold)} worse is not accepted: ${facts}` };
    if ((isLosing || isLate) && this.#misses.log >= -Math.log(ALPHA.misses * alpha))
      return isLosing
        ? { kind: 'worse', cause: 'errors', reason: `${percent(this.#candidate.lostRatio)} lost: ${facts}` }
        : { kind: 'worse', cause: 'sla', reason: `the SLA is ${ms(slaP99Ms ?? 0)}: ${facts}` };
    const accepted = Math.max(Math.log1p(threshold), CHANCE_ERRORS * this.#error);
    const load = this.#candidate.loadRatio;
    if (load > LOAD_MAX && load > this.#baseline.loadRatio)
      return { kind: 'continue', reason: `at ${percent(load)} of what it can serve: ${facts}` };
    const isFine = this.#fine.log >= -Math.log(BETA) && shift <= accepted && !isLosing && !isLate;
    const isEnough = this.#blocks >= BLOCKS_MIN && this.#candidate.batches >= BLOCKS_MIN * minBatches;
    return isFine && isEnough ? { kind: 'better', reason: facts } : { kind: 'continue', reason: facts };
  }
}

/** 1 / candidates + 1 / baselines: the variance of a difference of means, of slices with variance 1. */
function toHarmonic(isCandidate: readonly boolean[]): number {
  const candidates = isCandidate.filter(Boolean).length;
  return 1 / candidates + 1 / (isCandidate.length - candidates);
}

function toTail({ tailMs, logLoad }: SliceFigures): Measured {
  return { value: Math.log(tailMs), logLoad };
}

function toMisses({ missRatio, logLoad }: SliceFigures): Measured {
  return { value: missRatio, logLoad };
}

/** The worsening, in ln, that a stage excludes; never more than a doubling. */
function toMargin(
  threshold: number,
  spread: number,
  stage: { readonly share: number; readonly slices: number },
): number {
  const visible = (MARGIN_ERRORS * spread) / Math.sqrt(stage.slices);
  return Math.min(Math.LN2, Math.max(Math.log1p(threshold), visible) / Math.sqrt(stage.share));
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(1)} %`;
}

function signed(ratio: number): string {
  return `${ratio >= 0 ? '+' : ''}${percent(ratio)}`;
}

function ms(value: number): string {
  return `${Number(value.toPrecision(4))} ms`;
}
