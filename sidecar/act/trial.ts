// All trials of one agent: one at a time for a model, and between trials the slices that a trial will be held against.
import type { BatchCompletion, Completion, CompletionSink } from '../../src/core/completion.ts';
import type { Policy } from '../../src/core/policy.ts';
import { toWeights } from '../../src/core/policy.ts';
import type { Random } from '../../src/core/random.ts';
import type { SettingsVersion } from '../../src/core/settings.ts';
import type { Arm, Slice, SlicePlan, SlicePlayer, TrialStatus } from '../../src/core/trial.ts';
import { type Pace, type PlanLimits, toPace, toSlicePlan } from './trial-blocks.ts';
import { type SliceFigures, toFigures } from './trial-figures.ts';
import { TrialRun, type TrialStep } from './trial-run.ts';

export interface TrialsOptions {
  /** Slices on the lane of one model, from now on. */
  readonly createPlayer: (nowMs: number) => SlicePlayer;
  readonly policy: () => Policy;
  /** p99 target of a model, ms; null while none is known. */
  readonly slaMs: (model: string) => number | null;
  /** Draws the slices. */
  readonly random: Random;
  /** Shortest slice, ms; 1,000 if absent. A simulation whose interval is not 10 s takes a tenth of it. */
  readonly sliceMs?: number;
}

/** A candidate for the settings of one model. */
export interface Candidate {
  readonly model: string;
  /** What is in force, and stays so in the slices of the baseline. */
  readonly baseline: SettingsVersion;
  /** The version that its batches are served under. */
  readonly version: SettingsVersion;
  /** Only the first stage; the caller watches the rest. */
  readonly isOneStage: boolean;
}

/** A step that is worth telling. */
export type TrialEnd = Exclude<TrialStep, { kind: 'going' }>;

interface ModelTrial {
  readonly player: SlicePlayer;
  candidate: Candidate | null;
  /** Whose turn it was at the last look. */
  arm: Arm;
  run: TrialRun | null;
  startMs: number;
  /** When the candidate was last seen in force. */
  feltMs: number;
  /** Slices before this are of other settings. */
  sinceMs: number;
  plan: SlicePlan;
  known: Known[];
}

/** What is kept of a slice of the baseline. */
interface Known {
  readonly figures: SliceFigures;
  readonly pace: Pace;
}

/** Slices of the baseline that are remembered: half a minute. */
const KNOWN_MAX = 30;
/** Too few for a plan. */
const KNOWN_MIN = 3;
/** The plan is made anew when it asks for slices longer or shorter by so much. */
const PLAN_DRIFT = 1.5;
/** Longest slice, as a share of the longest wait. */
const SLICE_SHARE_MAX = 0.25;
const MODELS_MAX = 101;

/** Feeds the players, holds the running trials and tells what became of them. */
export class Trials implements Required<CompletionSink> {
  readonly #options: TrialsOptions;
  readonly #models = new Map<string, ModelTrial>();
  #running = 0;
  #turns = 0;

  constructor(options: TrialsOptions) {
    this.#options = options;
  }

  /** Trials under way. */
  get running(): number {
    return this.#running;
  }

  /** Counts up whenever a model's arm changes: what waits must then be looked at under other settings. */
  get turns(): number {
    return this.#turns;
  }

  arrived(model: string, items: number, requestBytes: number, atMs: number): void {
    this.#of(model, atMs)?.player.arrived(model, items, requestBytes, atMs);
  }

  batchStarted(model: string, atMs: number): void {
    this.#of(model, atMs)?.player.batchStarted(model, atMs);
  }

  completed(completion: Completion): void {
    this.#models.get(completion.model)?.player.completed(completion);
  }

  batchCompleted(batch: BatchCompletion): void {
    this.#models.get(batch.model)?.player.batchCompleted(batch);
  }

  /** The candidate's version while it is its slice's turn, else null. Asked for every batch. */
  versionAt(model: string, nowMs: number): SettingsVersion | null {
    if (this.#running === 0) return null;
    const trial = this.#models.get(model);
    if (trial === undefined || trial.candidate === null) return null;
    return trial.player.armAt(nowMs) === 'candidate' ? trial.candidate.version : null;
  }

  candidate(model: string): Candidate | null {
    return this.#models.get(model)?.candidate ?? null;
  }

  /** True when the candidate was in force within the last slice's length: it may be what is felt now. */
  isFelt(model: string, nowMs: number): boolean {
    const trial = this.#models.get(model);
    if (trial === undefined || trial.candidate === null) return false;
    return trial.player.armAt(nowMs) === 'candidate' || nowMs - trial.feltMs <= trial.plan.sliceMs;
  }

  status(model: string, nowMs: number): TrialStatus | null {
    const trial = this.#models.get(model);
    if (trial === undefined || trial.candidate === null || trial.run === null) return null;
    const { shift } = trial.run;
    return {
      ...trial.run.stage,
      candidate: trial.candidate.version.settings,
      sinceMs: nowMs - trial.startMs,
      sliceMs: trial.run.sliceMs,
      objectiveRatio: shift === null ? null : Math.exp(shift),
    };
  }

  /** Whether the policy has a stage that is less than everything. */
  get hasStages(): boolean {
    return toShares(this.#options.policy(), false).length > 0;
  }

  /** Ends a trial of the model that is under way, without a word. */
  begin(candidate: Candidate, nowMs: number): void {
    this.end(candidate.model, nowMs);
    const trial = this.#of(candidate.model, nowMs);
    if (trial === null) return;
    const policy = this.#options.policy();
    const slaP99Ms = this.#options.slaMs(candidate.model);
    const terms = {
      rule: {
        weights: toWeights(policy),
        slaP99Ms,
        errorRate: policy.sla.errorRate,
        threshold: policy.rollback.threshold,
        alpha: policy.trial.alpha,
        minBatches: policy.trial.minBatches,
      },
      shares: toShares(policy, candidate.isOneStage),
      stages: candidate.isOneStage ? 1 : policy.trial.stages.length,
      maxWaitS: policy.trial.maxWaitS,
      limits: this.#toLimits(
        Math.max(...[candidate.baseline, candidate.version].map((one) => one.settings.batchDelayMs)),
      ),
    };
    const known = { figures: trial.known.map((one) => one.figures), pace: toMeanPace(trial.known) };
    trial.candidate = candidate;
    trial.startMs = nowMs;
    trial.run = new TrialRun(terms, trial.player, this.#options.random, known, nowMs);
    this.#running += 1;
  }

  /** Back to the baseline at once. Null when there was none. */
  end(model: string, nowMs: number): Candidate | null {
    const trial = this.#models.get(model);
    if (trial === undefined || trial.candidate === null) return null;
    const { candidate } = trial;
    trial.candidate = null;
    trial.run = null;
    trial.arm = 'baseline';
    this.#turns += 1;
    this.#running -= 1;
    trial.player.play(trial.plan, [], nowMs);
    return candidate;
  }

  /** Other settings are in force: what was known of the baseline is of no use any more. */
  forget(model: string, nowMs: number): void {
    const trial = this.#models.get(model);
    if (trial === undefined) return;
    trial.known = [];
    trial.sinceMs = nowMs;
  }

  /** Slices of what is in force since it is, newest last, at most half a minute of them. */
  known(model: string): readonly SliceFigures[] {
    return this.#models.get(model)?.known.map(({ figures }) => figures) ?? [];
  }

  /** To be called every few milliseconds. What happened, by model; a trial that is over is ended. */
  advance(nowMs: number): readonly { readonly candidate: Candidate; readonly step: TrialEnd }[] {
    const steps: { candidate: Candidate; step: TrialEnd }[] = [];
    for (const [model, trial] of this.#models) {
      const slices = trial.player.take(nowMs);
      const { candidate, run } = trial;
      if (candidate === null || run === null) {
        if (slices.length > 0) this.#know(model, trial, slices, nowMs);
        continue;
      }
      const arm = trial.player.armAt(nowMs);
      if (arm === 'candidate') trial.feltMs = nowMs;
      if (arm !== trial.arm) this.#turns += 1;
      trial.arm = arm;
      const step = run.advance(slices, nowMs);
      if (step.kind === 'going') continue;
      // What is watched after a trial is cut as its slices were.
      if (step.kind === 'passed') trial.plan = step.plan;
      if (step.kind !== 'stage') this.end(model, nowMs);
      steps.push({ candidate, step });
    }
    return steps;
  }

  #know(model: string, trial: ModelTrial, slices: readonly Slice[], nowMs: number): void {
    const slaMs = this.#options.slaMs(model);
    for (const slice of slices) {
      if (slice.isCut || slice.startMs < trial.sinceMs) continue;
      const figures = toFigures(slice, slaMs);
      const pace = toPace([slice]);
      if (figures !== null && pace !== null) trial.known.push({ figures, pace });
    }
    trial.known = trial.known.slice(-KNOWN_MAX);
    if (trial.known.length < KNOWN_MIN) return;
    const plan = toSlicePlan(toMeanPace(trial.known), null, this.#toLimits(0));
    const drift = plan.sliceMs / trial.plan.sliceMs;
    if (drift < PLAN_DRIFT && drift > 1 / PLAN_DRIFT && trial.plan.trimMs >= plan.trimMs / PLAN_DRIFT) return;
    trial.plan = plan;
    trial.known = [];
    trial.player.play(plan, [], nowMs);
  }

  #toLimits(delayMs: number): PlanLimits {
    const { minBatches, maxWaitS } = this.#options.policy().trial;
    const sliceMsMin = this.#options.sliceMs ?? 1000;
    return { sliceMsMin, sliceMsMax: Math.max(sliceMsMin, SLICE_SHARE_MAX * maxWaitS * 1000), minBatches, delayMs };
  }

  #of(model: string, nowMs: number): ModelTrial | null {
    const known = this.#models.get(model);
    if (known !== undefined) return known;
    if (this.#models.size >= MODELS_MAX) return null;
    const player = this.#options.createPlayer(nowMs);
    const plan = toSlicePlan(null, null, this.#toLimits(0));
    player.play(plan, [], nowMs);
    const trial: ModelTrial = {
      player,
      candidate: null,
      arm: 'baseline',
      run: null,
      startMs: 0,
      feltMs: -Infinity,
      sinceMs: nowMs,
      plan,
      known: [],
    };
    this.#models.set(model, trial);
    return trial;
  }
}

/** Stages below the whole; the last one, everything, is "in force and watched". */
function toShares(policy: Policy, isOneStage: boolean): readonly number[] {
  const shares = policy.trial.stages.filter((share) => share > 0 && share < 1);
  return isOneStage ? shares.slice(0, 1) : shares;
}

function toMeanPace(known: readonly Known[]): Pace | null {
  if (known.length === 0) return null;
  const meanOf = (read: (pace: Pace) => number): number =>
    known.reduce((sum, { pace }) => sum + read(pace), 0) / known.length;
  return { batchesPerS: meanOf((pace) => pace.batchesPerS), p99Ms: meanOf((pace) => pace.p99Ms) };
}
