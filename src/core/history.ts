// One line of a model's history: what was asked, by whom, and what became of it.
import type { ChangeClass, Prediction } from './proposal.ts';
import type { Settings, SettingsSource } from './settings.ts';

export type ChangeResult =
  /** put in force */
  | 'applied'
  /** not put in force: out of bounds, or what is in force already */
  | 'refused'
  /** watched long enough without a regression: now the last good */
  | 'proven'
  /** withdrawn: the last good is in force again */
  | 'rolled_back';
export const CHANGE_RESULTS: readonly ChangeResult[] = ['applied', 'refused', 'proven', 'rolled_back'];

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
}
