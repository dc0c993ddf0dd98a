// One trial from its first block to its end: which stage, which block, and what became of it.
import type { Prediction } from '../../src/core/proposal.ts';
import type { Random } from '../../src/core/random.ts';
import type { Slice, SlicePlan, SlicePlayer, TrialStage } from '../../src/core/trial.ts';
import {
  drawBlock,
  type Block,
  type Pace,
  type PlanLimits,
  toBlockShape,
  toPace,
  toSlicePlan,
} from './trial-blocks.ts';
import type { SliceFigures } from './trial-figures.ts';
import { TrialJudge, type TrialRule, type TrialVerdict } from './verdict.ts';
import type { RollbackCause, WatchedWindow } from './watch.ts';

export interface TrialTerms {
  readonly rule: TrialRule;
  /** Shares of the time, each below 1, in order. */
  readonly shares: readonly number[];
  /** Stages of the policy, for people: the last one may be "in force". */
  readonly stages: number;
  /** Longest time for one stage, s. */
  readonly maxWaitS: number;
  readonly limits: PlanLimits;
}

/** What was seen, at a change of stage or at the end. */
export interface TrialReport extends TrialStage {
  readonly candidate: Prediction | null;
  readonly baseline: Prediction | null;
  readonly reason: string;
}

export type TrialStep =
  | { readonly kind: 'going' }
  /** a stage was passed, the next one begins */
  | { readonly kind: 'stage'; readonly report: TrialReport }
  /** all stages were passed; `before` and `judge`: what the change is to be watched against, in slices as `plan` says */
  | {
      readonly kind: 'passed';
      readonly report: TrialReport;
      readonly before: WatchedWindow;
      readonly judge: TrialJudge;
      readonly plan: SlicePlan;
    }
  | { readonly kind: 'failed'; readonly report: TrialReport; readonly cause: RollbackCause }
  /** nobody came: it says nothing of the candidate */
  | { readonly kind: 'withdrawn'; readonly report: TrialReport };

/** Of the first block so much is the baseline's for certain: the first slice of the candidate is held against it. */
const LEAD_SHARE = 0.3;
/** A slice is looked at when a quarter of it has passed, and another, and another, and at its end. */
const LOOKS = 4;

/** One slow block is no reason for longer slices. */
const SEEN_MAX = 40;
/** Slices grow when so much is asked for. */
const PLAN_GROWTH = 1.25;

export class TrialRun {
  readonly #terms: TrialTerms;
  readonly #player: SlicePlayer;
  readonly #random: Random;
  readonly #judge: TrialJudge;
  #stage = 0;
  #stageStartMs: number;
  #block: Block;
  #blockStartMs = 0;
  #plan: SlicePlan;
  #slices: Slice[] = [];
  #isFirstBlock = true;
  /** The newest slices of the trial: the next ones are planned by them. */
  #seen: readonly Slice[] = [];
  /** What the last block showed. */
  #facts = '';
  /** Looks at the slice under way. */
  #looks = 0;
  #lookedAtMs = -Infinity;

  /** `known`: slices of the baseline before the trial, by `plan`. */
  constructor(
    terms: TrialTerms,
    player: SlicePlayer,
    random: Random,
    known: { readonly figures: readonly SliceFigures[]; readonly pace: Pace | null },
    nowMs: number,
  ) {
    this.#terms = terms;
    this.#player = player;
    this.#random = random;
    this.#judge = new TrialJudge(terms.rule);
    this.#judge.learn(known.figures);
    this.#stageStartMs = nowMs;
    this.#plan = toSlicePlan(known.pace, null, terms.limits);
    this.#judge.beginStage(terms.shares[0]!, this.#fitting);
    this.#block = this.#play(nowMs);
  }

  /** ln of the objective's ratio so far; null before the first block. */
  get shift(): number | null {
    return this.#judge.shift;
  }

  get sliceMs(): number {
    return this.#plan.sliceMs;
  }

  get stage(): TrialStage {
    const { shares, stages } = this.#terms;
    return { stage: this.#stage + 1, stages, share: shares[this.#stage] ?? 1, blocks: this.#judge.blocks };
  }

  /** `slices`: what the player has given since the last call. */
  advance(slices: readonly Slice[], nowMs: number): TrialStep {
    for (const slice of slices) {
      // Cut slices end what was there before the block.
      if (slice.isCut || slice.startMs < this.#blockStartMs || this.#slices.length === this.#block.arms.length)
        continue;
      this.#slices.push(slice);
      const verdict = slice.arm === 'candidate' ? this.#judge.look(slice, 1) : null;
      if (verdict?.kind === 'worse') return this.#fail(verdict.cause, verdict.reason);
    }
    const verdict = this.#look(nowMs) ?? this.#judgeBlock();
    if (verdict?.kind === 'worse') return this.#fail(verdict.cause, verdict.reason);
    if (verdict?.kind === 'better') return this.#pass(verdict, nowMs);
    const { maxWaitS } = this.#terms;
    if (nowMs >= this.#stageStartMs + maxWaitS * 1000) return this.#giveUp();
    if (verdict !== null) this.#next(nowMs);
    return { kind: 'going' };
  }

  #look(nowMs: number): TrialVerdict | null {
    if (this.#player.armAt(nowMs) !== 'candidate') return null;
    const slice = this.#player.peek(nowMs);
    if (slice.startMs !== this.#lookedAtMs) this.#looks = 0;
    this.#lookedAtMs = slice.startMs;
    const passed = Math.floor((LOOKS * slice.durationMs) / this.#plan.sliceMs);
    if (passed <= this.#looks || passed >= LOOKS) return null;
    this.#looks = passed;
    const verdict = this.#judge.look(slice, Math.min(0.99, slice.durationMs / this.#plan.sliceMs));
    return verdict.kind === 'worse' ? verdict : null;
  }

  /** Null while the block is under way. */
  #judgeBlock(): TrialVerdict | null {
    const { arms, isDrawn } = this.#block;
    if (this.#slices.length < arms.length) return null;
    const verdict = this.#judge.judge(this.#slices, isDrawn);
    this.#facts = verdict.reason;
    return verdict;
  }

  #pass({ reason }: TrialVerdict, nowMs: number): TrialStep {
    const report = this.#report(reason);
    this.#stage += 1;
    const share = this.#terms.shares[this.#stage];
    if (share === undefined)
      return { kind: 'passed', report, before: this.#judge.baselineWindow, judge: this.#judge, plan: this.#plan };
    this.#judge.beginStage(share, this.#fitting);
    this.#stageStartMs = nowMs;
    this.#next(nowMs);
    return { kind: 'stage', report };
  }

  #fail(cause: RollbackCause, reason: string): TrialStep {
    return { kind: 'failed', report: this.#report(reason), cause };
  }

  #giveUp(): TrialStep {
    const { maxWaitS } = this.#terms;
    const { sliceMs } = this.#plan;
    if (this.#judge.blocks === 0) {
      const seconds = Number((sliceMs / 1000).toPrecision(2));
      return {
        kind: 'withdrawn',
        report: this.#report(`too little traffic: no block of slices of ${seconds} s within ${maxWaitS} s`),
      };
    }
    return this.#fail('inconclusive', `nothing is proven within ${maxWaitS} s: ${this.#facts}`);
  }

  /** The next block, its slices as long as what was seen asks for; never shorter than those before. */
  #next(nowMs: number): void {
    this.#seen = [...this.#seen, ...this.#slices].slice(-SEEN_MAX);
    const of = (arm: Slice['arm']): Pace | null => toPace(this.#seen.filter((slice) => slice.arm === arm));
    const candidate = of('candidate');
    // Longer slices are for a candidate that may pass. One that looks worse is not played longer to see it better.
    const isWorse = (this.#judge.shift ?? 0) > Math.log1p(this.#terms.rule.threshold);
    const pace = candidate === null || !isWorse ? candidate : { ...candidate, batchesPerS: Infinity };
    const plan = toSlicePlan(of('baseline'), pace, this.#terms.limits);
    if (plan.sliceMs > PLAN_GROWTH * this.#plan.sliceMs || plan.trimMs > PLAN_GROWTH * this.#plan.trimMs)
      this.#plan = {
        sliceMs: Math.max(plan.sliceMs, this.#plan.sliceMs),
        trimMs: Math.max(plan.trimMs, this.#plan.trimMs),
        graceMs: Math.max(plan.graceMs, this.#plan.graceMs),
      };
    this.#block = this.#play(nowMs);
  }

  #play(nowMs: number): Block {
    const shape = toBlockShape(this.#terms.shares[this.#stage] ?? 1);
    const lead = this.#isFirstBlock ? Math.floor(LEAD_SHARE * shape.slices) : 0;
    const block = drawBlock(shape, lead, this.#random);
    this.#isFirstBlock = false;
    this.#slices = [];
    this.#blockStartMs = nowMs;
    this.#player.play(this.#plan, block.arms, nowMs);
    return block;
  }

  /** Slices that fit into the longest time for a stage. */
  get #fitting(): number {
    return Math.max(1, (this.#terms.maxWaitS * 1000) / this.#plan.sliceMs);
  }

  #report(reason: string): TrialReport {
    return { ...this.stage, ...this.#judge.measured, reason };
  }
}
