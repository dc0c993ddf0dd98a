// One line of a model's history: what was asked, by whom, and what became of it.
import type { ChangeClass, Prediction } from './proposal.ts';
import type { Settings, SettingsSource } from './settings.ts';
import type { TrialStage } from './trial.ts';

export type ChangeResult =
  /** put in force */
  | 'applied'
  /** not put in force: out of bounds, or what is in force already */
  | 'refused'
  /** watched long enough without a regression: now the last good */
  | 'proven'
  /** withdrawn: the last good is in force again */
  | 'rolled_back'
  /** under trial: a first stage has begun, or the next one */
  | 'trial'
  /** its trial ended without a word on it: overtaken by another change, or nobody came */
  | 'withdrawn';
export const CHANGE_RESULTS: readonly ChangeResult[] = [
  'applied',
  'refused',
  'proven',
  'rolled_back',
  'trial',
  'withdrawn',
];

/** Where a trial stood when the line was written. */
export interface TrialNote extends TrialStage {
  /** What the settings in force gave in the same stage, beside the candidate's `measured`; null: nothing yet. */
  readonly baseline: Prediction | null;
}

export interface HistoryEntry {
  /** Wall clock, ISO 8601. */
  readonly at: string;
  readonly model: string;
  /** Of the settings in force after this. */
  readonly generation: number;
  readonly source: SettingsSource;
  readonly class: ChangeClass;
  readonly result: ChangeResult;
  readonly from: Settings;
  readonly to: Settings;
  /** A sentence for people. */
  readonly reason: string;
  /** What the proposer expected; null when it said nothing. */
  readonly predicted: Prediction | null;
  /** What was seen, where a verdict was made; null elsewhere. */
  readonly measured: Prediction | null;
  /** Absent where no trial was held. */
  readonly trial?: TrialNote;
}
