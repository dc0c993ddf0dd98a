// The nouns of a trial: slices of time, each served under one of two settings, and who plays them.
import type { CompletionSink } from './completion.ts';
import type { LatencyTally } from './latency-tally.ts';
import type { Settings } from './settings.ts';

/** Whose settings all traffic of the model is served under. */
export type Arm = 'baseline' | 'candidate';

/** How slices are cut. */
export interface SlicePlan {
  /** Length of each, ms. */
  readonly sliceMs: number;
  /** What is not measured at both ends, ms: there the queue is still, or already, the other arm's. */
  readonly trimMs: number;
  /** Answers are waited for so long after the end, ms; what is out then counts as an answer of that age. */
  readonly graceMs: number;
}

/**
 * One slice as it was. Requests are counted by when they arrived, in the part that is measured: what the slice found
 * in the queue, its first batch, and what it leaves to the next one belong to neither arm.
 */
export interface Slice {
  readonly arm: Arm;
  readonly startMs: number;
  readonly durationMs: number;
  /** Length of the part that is measured, ms. */
  readonly measuredMs: number;
  /** Arrivals over the whole slice: the load is nobody's merit, so its effect is taken out. */
  readonly arrivals: number;
  readonly arrivedItems: number;
  /** Successes and losses; who hung up teaches nothing. */
  readonly answers: number;
  readonly lost: number;
  /** Batches that left in the whole slice. */
  readonly batches: number;
  /** Batches that left full: they show how much the settings can serve at most. */
  readonly full: {
    /** Sum of items x calls in flight when it left, itself included. */
    readonly items: number;
    /** Sum of their durations, ms. */
    readonly durationMs: number;
  };
  /** Time with a call in flight, in the part that is measured. */
  readonly busyMs: number;
  /** Of successes, and of what was still out when the grace ended. */
  readonly latency: LatencyTally;
  /** It ended before its time. */
  readonly isCut: boolean;
}

/** Plays slices of one model on its lane and measures each. Time only comes in; it never goes back. */
export interface SlicePlayer extends Required<CompletionSink> {
  /** From now on, these arms one after the other, then the baseline, all cut by this plan; the slice of this instant ends. */
  play(plan: SlicePlan, arms: readonly Arm[], nowMs: number): void;
  /** The baseline from now on. */
  stop(nowMs: number): void;
  /** To be asked for every batch. */
  armAt(nowMs: number): Arm;
  /** When the next slice begins, ms. */
  nextChangeMs(): number;
  /** The slice of this instant as far as it has come. */
  peek(nowMs: number): Slice;
  /** Slices that are over and answered, oldest first, each once. While no candidate is played, slices in which nothing arrived are passed over. */
  take(nowMs: number): readonly Slice[];
}

/** Where a trial stands: for status, history and people. */
export interface TrialStage {
  /** Counts from 1. */
  readonly stage: number;
  /** Of the policy, the last one (all of the traffic) included. */
  readonly stages: number;
  /** Share of the time in which the candidate serves, 0..1. */
  readonly share: number;
  /** Blocks that were compared. */
  readonly blocks: number;
}

/** A trial that is running. */
export interface TrialStatus extends TrialStage {
  readonly candidate: Settings;
  readonly sinceMs: number;
  /** Length of a slice now. */
  readonly sliceMs: number;
  /** Objective of the candidate / of the baseline, as measured so far; null while there is nothing to compare. */
  readonly objectiveRatio: number | null;
}
