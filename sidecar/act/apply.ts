// Puts changes in force, watches them, and takes back what made things worse. The only writer of the cells.
import { type Issue, formatIssue } from '../../src/core/errors.ts';
import type { Policy } from '../../src/core/policy.ts';
import type { ChangeClass, Prediction, Proposal } from '../../src/core/proposal.ts';
import {
  checkSettings,
  clampSettings,
  isSameSettings,
  type Settings,
  type SettingsSource,
  type SettingsVersion,
} from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import type { SettingsCell } from './cell.ts';
import type { Cells } from './cells.ts';
import { type About, type ChangeListener, type ChangeLine, ChangeLog } from './change-log.ts';
import type { Trials } from './trial.ts';
import { TrialDesk } from './trial-desk.ts';
import type { TrialJudge } from './verdict.ts';
import type { RollbackCause, WatchedWindow } from './watch.ts';
import { Watches } from './watches.ts';

export interface ApplierOptions {
  readonly cells: Cells;
  readonly policy: () => Policy;
  /** Wall clock for history, ms since 1970. */
  readonly wallMs: () => number;
  /** Absent: every change is in force at once and watched. */
  readonly trials?: Trials;
}

export type Applied =
  | { readonly kind: 'applied'; readonly version: SettingsVersion }
  /** under trial; `version` is what stays in force between its slices */
  | { readonly kind: 'trial'; readonly version: SettingsVersion }
  /** in force already, or another change of the model still waits for its verdict; nothing was recorded */
  | { readonly kind: 'unchanged'; readonly version: SettingsVersion }
  | { readonly kind: 'refused'; readonly version: SettingsVersion; readonly issues: readonly Issue[] };

/** Fewer than this share of requests within the SLA is no noise of a p99 (0.99 on target): callers are being failed. */
const BREACH_ATTAINMENT = 0.95;

/** What is remembered of one model over a restart. */
export interface ModelStanding {
  readonly model: string;
  readonly inForce: Settings;
  /** The newest settings that were proven or restored: where a rollback goes. */
  readonly lastGood: Settings;
  /** A person put it in force without a trial: it outlives a restart even before it is proven. */
  readonly isForced: boolean;
}

/**
 * A reflex is in force at once. A step or a leap goes to trial first: until it has passed, the cell holds the old
 * settings, and so does a restart. What is in force is watched, and becomes the last good (*proven*) when it has been in
 * force for `rollback.windowS` and two windows with enough batches have shown no regression. Until then the last good is
 * what a rollback and a restart return to.
 */
export class Applier {
  readonly #options: ApplierOptions;
  readonly #lastGood = new Map<string, Settings>();
  readonly #watches = new Watches();
  readonly #log: ChangeLog;
  readonly #desk: TrialDesk | null;

  constructor(options: ApplierOptions) {
    this.#options = options;
    this.#log = new ChangeLog(options.wallMs);
    this.#desk = options.trials === undefined ? null : new TrialDesk(options.trials, options.cells, this.#log);
  }

  /** A decider's proposal that has passed the guard; clamped to the bounds. `before`: the window it was decided on. */
  propose(proposal: Proposal, before: WatchedWindow | null, nowMs: number): Applied {
    const cell = this.#options.cells.get(proposal.model);
    const { batchSize, batchDelayMs, concurrency } = proposal.settings;
    if (![batchSize, batchDelayMs, concurrency].every(Number.isFinite)) {
      return this.#refuse(cell, proposal.settings, 'decider', proposal.class, [
        { field: '', expected: 'finite numbers', got: `${batchSize} / ${batchDelayMs} / ${concurrency}` },
      ]);
    }
    const { class: changeClass, reason, predicted } = proposal;
    const about = { class: changeClass, reason, predicted, isForced: false };
    if (proposal.class === 'reflex') {
      if (this.#desk?.flee(cell, proposal.reason, nowMs) === true) return { kind: 'applied', version: cell.current };
      return this.#put(cell, proposal.settings, 'reflex', before, nowMs, about);
    }
    if (this.#isPending(cell, nowMs)) return { kind: 'unchanged', version: cell.current };
    // Out of a breach a trial would serve what is known to be bad for most of its time. A step is a notch, and watched.
    if (proposal.class === 'step' && isBreach(before))
      return this.#put(cell, proposal.settings, 'decider', before, nowMs, about);
    return this.#try(cell, proposal.settings, 'decider', before, nowMs, about);
  }

  /**
   * A person's settings: refused outside the bounds, never clamped. They end a trial of whoever is under way.
   * `isImmediate`: they insist, see `WatchRule.isForced`.
   */
  setByUser(
    model: string,
    settings: Settings,
    isImmediate: boolean,
    before: WatchedWindow | null,
    nowMs: number,
  ): Applied {
    const cell = this.#options.cells.get(model);
    const issues = checkSettings(settings, cell.bounds);
    if (issues.length > 0) return this.#refuse(cell, settings, 'user', 'leap', issues);
    this.#desk?.end(cell, 'a person wants other settings', null, nowMs);
    const reason = isImmediate ? 'set by a person, at once' : 'set by a person';
    const about = { class: 'leap', reason, predicted: null, isForced: isImmediate } as const;
    if (isImmediate) return this.#put(cell, settings, 'user', before, nowMs, about);
    return this.#try(cell, settings, 'user', before, nowMs, about);
  }

  /** Back to the last good settings, and no trial; `unchanged` when they are in force and none was running. */
  rollBack(
    model: string,
    reason: string,
    nowMs: number,
    cause: RollbackCause | 'user' = 'user',
    measured: Prediction | null = null,
  ): Applied {
    const cell = this.#options.cells.get(model);
    const wasTrying = this.#desk?.end(cell, reason, cause === 'user' ? cause : null, nowMs) === true;
    const watch = this.#watches.get(cell.model);
    this.#watches.stop(cell.model);
    const from = cell.current.settings;
    const version = cell.put(this.lastGood(cell), 'rollback');
    if (isSameSettings(from, version.settings)) return { kind: wasTrying ? 'applied' : 'unchanged', version };
    this.#options.trials?.forget(cell.model, nowMs);
    this.#log.record(cell, {
      result: 'rolled_back',
      source: 'rollback',
      class: watch?.class ?? 'leap',
      from,
      to: version.settings,
      reason,
      predicted: watch?.predicted ?? null,
      measured,
      cause,
    });
    return { kind: 'applied', version };
  }

  /** What a batch that leaves now is served under: the candidate's settings in its slices, else the cell's. */
  versionAt(model: string, nowMs: number): SettingsVersion {
    const cell = this.#options.cells.get(model);
    return this.#options.trials?.versionAt(cell.model, nowMs) ?? cell.current;
  }

  /** Moves the trials on; to be called every few milliseconds. */
  advance(nowMs: number): void {
    for (const { cell, settings, source, before, about, judge, measured, trial } of this.#desk?.advance(nowMs) ?? []) {
      // A watch that is still open belongs to the settings that the trial was held against.
      this.#watches.stop(cell.model);
      this.#put(cell, settings, source, before, nowMs, about, { measured, trial }, judge);
    }
  }

  /** Ends the model's trial without a verdict. False when there was none. */
  endTrial(model: string, reason: string, nowMs: number): boolean {
    return this.#desk?.end(this.#options.cells.get(model), reason, null, nowMs) === true;
  }

  /** Judges the change in force by a window that began after it. To be called once per window and model. */
  observe(snapshot: Pick<ModelSnapshot, 'model' | 'window' | 'sla'>, nowMs: number): void {
    const cell = this.#options.cells.find(snapshot.model);
    const watch = cell === null ? null : this.#watches.get(cell.model);
    if (cell === null || watch === null) return;
    // What a candidate does to the window is not the doing of what is in force.
    if (this.#desk?.isTrying(cell) === true) return;
    const slices = this.#options.trials?.known(cell.model) ?? [];
    const verdict = this.#watches.judge({ ...snapshot, model: cell.model }, slices, this.#options.policy(), nowMs);
    if (verdict.kind === 'bad') this.rollBack(cell.model, verdict.reason, nowMs, verdict.cause, verdict.measured);
    if (verdict.kind !== 'good') return;
    this.#watches.stop(cell.model);
    const { settings, source } = cell.current;
    const from = this.lastGood(cell);
    this.#lastGood.set(cell.model, settings);
    const { class: changeClass, predicted } = watch;
    const { reason, measured } = verdict;
    const facts = { class: changeClass, reason, predicted, measured };
    this.#log.record(cell, { result: 'proven', source, from, to: settings, ...facts });
  }

  /** True while a change of this model waits for its verdict: a decider had better hold. */
  isWatching(model: string): boolean {
    return this.#watches.get(this.#options.cells.get(model).model) !== null;
  }

  /** The settings a rollback returns to: first those the cell started with. */
  lastGood(cell: SettingsCell): Settings {
    const known = this.#lastGood.get(cell.model);
    return known === undefined ? cell.current.settings : clampSettings(known, cell.bounds);
  }

  standings(): ModelStanding[] {
    return this.#options.cells.all().map((cell) => ({
      model: cell.model,
      inForce: cell.current.settings,
      lastGood: this.lastGood(cell),
      isForced: this.#watches.get(cell.model)?.isForced ?? false,
    }));
  }

  /** Returns the way to unsubscribe. A listener that throws stops nobody else. */
  subscribe(listener: ChangeListener): () => void {
    return this.#log.subscribe(listener);
  }

  /** One change at a time: a decider waits for the verdict of a trial, and of what it put in force, but not for ever. */
  #isPending(cell: SettingsCell, nowMs: number): boolean {
    if (this.#desk === null) return false;
    const watch = this.#watches.get(cell.model);
    const isWatched = watch !== null && nowMs < watch.sinceMs + this.#options.policy().trial.maxWaitS * 1000;
    return isWatched || this.#desk.isTrying(cell);
  }

  /** To trial; where none can tell, in force and watched. */
  #try(
    cell: SettingsCell,
    settings: Settings,
    source: SettingsSource,
    before: WatchedWindow | null,
    nowMs: number,
    about: About,
  ): Applied {
    const wanted = clampSettings(settings, cell.bounds);
    const version = cell.current;
    if (isSameSettings(wanted, version.settings)) return { kind: 'unchanged', version };
    if (this.#desk?.begin(cell, wanted, source, about, nowMs) === true) return { kind: 'trial', version };
    return this.#put(cell, wanted, source, before, nowMs, about);
  }

  #put(
    cell: SettingsCell,
    settings: Settings,
    source: SettingsSource,
    before: WatchedWindow | null,
    nowMs: number,
    about: About,
    tried: Pick<ChangeLine, 'measured' | 'trial'> = {},
    judge: TrialJudge | null = null,
  ): Applied {
    const from = cell.current.settings;
    const lastGood = this.lastGood(cell);
    const version = cell.put(settings, source);
    if (isSameSettings(from, version.settings)) return { kind: 'unchanged', version };
    this.#lastGood.set(cell.model, lastGood);
    this.#options.trials?.forget(cell.model, nowMs);
    // A change on top of an unproven one is still measured against the last good: that is where it would go back to.
    const baseline = this.#watches.get(cell.model)?.before ?? before;
    if (isSameSettings(version.settings, lastGood)) this.#watches.stop(cell.model);
    else {
      const { class: changeClass, isForced, predicted } = about;
      this.#watches.start(cell.model, {
        sinceMs: nowMs,
        before: baseline,
        class: changeClass,
        isForced,
        predicted,
        judge,
      });
    }
    this.#log.record(cell, { ...about, ...tried, result: 'applied', source, from, to: version.settings });
    return { kind: 'applied', version };
  }

  #refuse(
    cell: SettingsCell,
    settings: Settings,
    source: SettingsSource,
    of: ChangeClass,
    issues: readonly Issue[],
  ): Applied {
    const reason = issues.map(formatIssue).join('; ');
    this.#log.record(cell, { result: 'refused', source, class: of, from: cell.current.settings, to: settings, reason });
    return { kind: 'refused', version: cell.current, issues };
  }
}

/** Lost requests count as missed, so shedding is a breach too. */
function isBreach(before: WatchedWindow | null): boolean {
  return before !== null && before.sloAttainment !== null && before.sloAttainment < BREACH_ATTAINMENT;
}
