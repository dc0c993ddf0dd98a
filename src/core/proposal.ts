// What a decider wants, and what became of it.
import type { Settings } from './settings.ts';

/** See README "Classes of change": reflex at once, step one stage, leap all stages. */
export type ChangeClass = 'reflex' | 'step' | 'leap';

export interface Prediction {
  readonly p99Ms: number;
  /** Busy device seconds per 1,000 answers within the SLO. */
  readonly gpuSecondsPer1k: number;
}

/** A change asked for. `evidence` names what moved it, for `explain`: short keys, plain values. */
export interface Proposal {
  readonly model: string;
  readonly settings: Settings;
  readonly class: ChangeClass;
  /** Name of the decider. */
  readonly decider: string;
  readonly reason: string;
  readonly predicted: Prediction | null;
  readonly evidence: Readonly<Record<string, number | string | null>>;
}

/** What a decider answers for one model: holding is an answer too, with its reason. */
export type Decision =
  | { readonly kind: 'hold'; readonly model: string; readonly decider: string; readonly reason: string }
  | { readonly kind: 'propose'; readonly proposal: Proposal };

/** What the guard made of it. */
export type Guarded =
  | { readonly kind: 'pass'; readonly proposal: Proposal }
  | { readonly kind: 'changed'; readonly proposal: Proposal; readonly rule: string; readonly reason: string }
  | { readonly kind: 'veto'; readonly proposal: Proposal; readonly rule: string; readonly reason: string };

/** One line of `explain`: the decision, the guard's word, what was done. */
export interface Explanation {
  /** Wall clock, ISO 8601. */
  readonly at: string;
  readonly model: string;
  readonly decision: Decision;
  readonly guarded: Guarded | null;
  readonly result: 'held' | 'vetoed' | 'applied' | 'refused';
}
