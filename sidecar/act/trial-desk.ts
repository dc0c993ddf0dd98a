// Changes under trial: who wanted them, and what is told of them on the way.
import { isSameSettings, type Settings, type SettingsSource } from '../../src/core/settings.ts';
import type { TrialNote } from '../../src/core/history.ts';
import type { Prediction } from '../../src/core/proposal.ts';
import type { TrialStage } from '../../src/core/trial.ts';
import type { SettingsCell } from './cell.ts';
import type { Cells } from './cells.ts';
import type { About, ChangeLog } from './change-log.ts';
import type { TrialEnd, Trials } from './trial.ts';
import type { TrialReport } from './trial-run.ts';
import type { TrialJudge } from './verdict.ts';
import type { RollbackCause, WatchedWindow } from './watch.ts';

/** A candidate that has passed its trial and is to be put in force. */
export interface Passed {
  readonly cell: SettingsCell;
  readonly settings: Settings;
  readonly source: SettingsSource;
  readonly about: About;
  /** What it is to be watched against. */
  readonly before: WatchedWindow;
  readonly judge: TrialJudge;
  readonly measured: Prediction | null;
  readonly trial: TrialNote;
}

/** The applier's side of the trials: at most one a model, each with the words for its history. */
export class TrialDesk {
  readonly #trials: Trials;
  readonly #cells: Cells;
  readonly #log: ChangeLog;
  readonly #wanted = new Map<string, { readonly about: About; readonly source: SettingsSource }>();

  constructor(trials: Trials, cells: Cells, log: ChangeLog) {
    this.#trials = trials;
    this.#cells = cells;
    this.#log = log;
  }

  isTrying(cell: SettingsCell): boolean {
    return this.#wanted.has(cell.model);
  }

  /**
   * False where a trial cannot tell: the policy has no stage below everything, or a switch is turned (an engine reloads for
   * that: it needs a second instance, see the seam in proxy/trial).
   */
  begin(cell: SettingsCell, settings: Settings, source: SettingsSource, about: About, nowMs: number): boolean {
    const { current } = cell;
    const isSwitched = !isSameSettings({ ...current.settings, switches: settings.switches }, current.settings);
    if (isSwitched || !this.#trials.hasStages) return false;
    // What would be in force after it: the next generation.
    const version = Object.freeze({ settings, generation: current.generation + 1, source });
    this.#trials.begin({ model: cell.model, baseline: current, version, isOneStage: about.class === 'step' }, nowMs);
    this.#wanted.set(cell.model, { about, source });
    this.#log.record(cell, {
      ...about,
      result: 'trial',
      source,
      from: current.settings,
      to: settings,
      reason: `${about.reason}: its trial begins`,
      trial: this.#note(cell, nowMs),
    });
    return true;
  }

  /** Moves the trials on and gives those that passed. */
  advance(nowMs: number): readonly Passed[] {
    const passed: Passed[] = [];
    for (const { candidate, step } of this.#trials.advance(nowMs)) {
      const cell = this.#cells.get(candidate.model);
      const wanted = this.#wanted.get(cell.model);
      if (wanted === undefined) continue;
      const { settings } = candidate.version;
      if (step.kind !== 'stage') this.#wanted.delete(cell.model);
      if (step.kind !== 'passed') this.#tell(cell, settings, wanted, step);
      else {
        const { report, before, judge } = step;
        const reason = `${wanted.about.reason}, passed its trial: ${report.reason}`;
        const about = { ...wanted.about, reason };
        const { source } = wanted;
        passed.push({
          cell,
          settings,
          source,
          about,
          before,
          judge,
          measured: report.candidate,
          trial: toNote(report),
        });
      }
    }
    return passed;
  }

  /** Ends a trial before its verdict; with a cause it counts against the candidate. False when there was none. */
  end(cell: SettingsCell, reason: string, cause: RollbackCause | 'user' | null, nowMs: number): boolean {
    const trial = this.#note(cell, nowMs);
    const candidate = this.#trials.end(cell.model, nowMs);
    const wanted = this.#wanted.get(cell.model);
    this.#wanted.delete(cell.model);
    if (candidate === null || wanted === undefined) return false;
    this.#log.record(cell, {
      ...wanted.about,
      result: cause === null ? 'withdrawn' : 'rolled_back',
      source: cause === null ? wanted.source : 'rollback',
      from: candidate.version.settings,
      to: cell.current.settings,
      reason,
      trial,
      ...(cause === null ? {} : { cause }),
    });
    return true;
  }

  /** The reflex has to act. True when the candidate is what it felt: then the baseline is flight enough. */
  flee(cell: SettingsCell, reason: string, nowMs: number): boolean {
    if (this.#trials.isFelt(cell.model, nowMs)) return this.end(cell, reason, 'reflex', nowMs);
    this.end(cell, 'the reflex had to act', null, nowMs);
    return false;
  }

  #tell(
    cell: SettingsCell,
    settings: Settings,
    { about, source }: { readonly about: About; readonly source: SettingsSource },
    step: Exclude<TrialEnd, { kind: 'passed' }>,
  ): void {
    const { report } = step;
    const { stage, stages, share } = report;
    const where = `stage ${stage} of ${stages}, ${Number((100 * share).toFixed(1))} % of the time`;
    const inForce = cell.current.settings;
    const facts = { predicted: about.predicted, measured: report.candidate, trial: toNote(report) };
    const back = { class: about.class, from: settings, to: inForce, reason: `${where}: ${report.reason}`, ...facts };
    switch (step.kind) {
      case 'stage': {
        const reason = `passed ${where}: ${report.reason}`;
        return this.#log.record(cell, { ...back, result: 'trial', source, from: inForce, to: settings, reason });
      }
      case 'failed':
        return this.#log.record(cell, { ...back, result: 'rolled_back', source: 'rollback', cause: step.cause });
      case 'withdrawn':
        return this.#log.record(cell, { ...back, result: 'withdrawn', source });
      default:
        return step satisfies never;
    }
  }

  #note(cell: SettingsCell, nowMs: number): TrialNote | undefined {
    const status = this.#trials.status(cell.model, nowMs);
    return status === null ? undefined : { ...toStage(status), baseline: null };
  }
}

function toNote(report: TrialReport): TrialNote {
  return { ...toStage(report), baseline: report.baseline };
}

function toStage({ stage, stages, share, blocks }: TrialStage): TrialStage {
  return { stage, stages, share, blocks };
}
