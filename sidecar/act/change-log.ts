// Tells everybody who listens what became of a change.
import type { ChangeResult, HistoryEntry, TrialNote } from '../../src/core/history.ts';
import type { ChangeClass, Prediction } from '../../src/core/proposal.ts';
import { formatSettings, type Settings, type SettingsSource } from '../../src/core/settings.ts';
import type { SettingsCell } from './cell.ts';
import type { RollbackCause } from './watch.ts';

/** Told of every entry, after the cell has changed. `cause` is set on a rollback. */
export type ChangeListener = (entry: HistoryEntry, cause: RollbackCause | 'user' | null) => void;

/** Who wants a change, and why. */
export interface About {
  readonly class: ChangeClass;
  readonly reason: string;
  readonly predicted: Prediction | null;
  /** A person put it in force without a trial. */
  readonly isForced: boolean;
}

/** One line to be: everything but when, and in which generation. */
export interface ChangeLine {
  readonly result: ChangeResult;
  readonly source: SettingsSource;
  readonly class: ChangeClass;
  readonly from: Settings;
  readonly to: Settings;
  readonly reason: string;
  readonly predicted?: Prediction | null;
  readonly measured?: Prediction | null;
  readonly trial?: TrialNote | undefined;
  /** Of a rollback. */
  readonly cause?: RollbackCause | 'user';
}

export class ChangeLog {
  readonly #wallMs: () => number;
  readonly #listeners = new Set<ChangeListener>();

  /** `wallMs`: wall clock, ms since 1970. */
  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  /** Returns the way to unsubscribe. A listener that throws stops nobody else. */
  subscribe(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  record(cell: SettingsCell, line: ChangeLine): void {
    const { result, source, from, to, reason, predicted = null, measured = null, trial, cause = null } = line;
    const entry: HistoryEntry = Object.freeze({
      at: new Date(this.#wallMs()).toISOString(),
      model: cell.model,
      generation: cell.current.generation,
      source,
      class: line.class,
      result,
      from,
      to,
      reason,
      predicted,
      measured,
      ...(trial === undefined ? {} : { trial }),
    });
    for (const listener of this.#listeners) {
      try {
        listener(entry, cause);
      } catch {
        // Bookkeeping must not keep a rollback from being made; each listener logs its own faults.
      }
    }
  }
}

/** `resnet: 64 / 0 ms / 1 -> 8 / 0 ms / 2 (applied, step by decider)` for logs. */
export function formatChange(entry: HistoryEntry): string {
  const change = `${formatSettings(entry.from)} -> ${formatSettings(entry.to)}`;
  return `${entry.model}: ${change} (${entry.result}, ${entry.class} by ${entry.source})`;
}
