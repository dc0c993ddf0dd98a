// Puts changes in force, watches them, and takes back what made things worse. The only writer of the cells.
import { type Issue, formatIssue } from '../../src/core/errors.ts';
import type { ChangeResult, HistoryEntry } from '../../src/core/history.ts';
import { type Policy, toWeights } from '../../src/core/policy.ts';
import type { ChangeClass, Prediction, Proposal } from '../../src/core/proposal.ts';
import {
  checkSettings,
  clampSettings,
  formatSettings,
  isSameSettings,
  type Settings,
  type SettingsSource,
  type SettingsVersion,
} from '../../src/core/settings.ts';
import type { ModelSnapshot, WindowStats } from '../../src/core/snapshot.ts';
import type { SettingsCell } from './cell.ts';
import type { Cells } from './cells.ts';
import { judgeWindow, type RollbackCause } from './watch.ts';

export interface ApplierOptions {
  readonly cells: Cells;
  readonly policy: () => Policy;
  /** Wall clock for history, ms since 1970. */
  readonly wallMs: () => number;
}

export type Applied =
  | { readonly kind: 'applied'; readonly version: SettingsVersion }
  /** in force already; nothing was recorded */
  | { readonly kind: 'unchanged'; readonly version: SettingsVersion }
  | { readonly kind: 'refused'; readonly version: SettingsVersion; readonly issues: readonly Issue[] };

/** What is remembered of one model over a restart. */
export interface ModelStanding {
  readonly model: string;
  readonly inForce: Settings;
  /** The newest settings that were proven or restored: where a rollback goes. */
  readonly lastGood: Settings;
  /** A person put it in force without a trial: it outlives a restart even before it is proven. */
  readonly isForced: boolean;
}

/** Told of every entry, after the cell has changed. `cause` is set on a rollback. */
export type ChangeListener = (entry: HistoryEntry, cause: RollbackCause | 'user' | null) => void;

/** A change on its way to being proven. */
interface Watch {
  readonly sinceMs: number;
  /** The last window under the last good settings; null when the model was idle. */
  readonly before: WindowStats | null;
  readonly class: ChangeClass;
  readonly isForced: boolean;
  readonly predicted: Prediction | null;
  goodWindows: number;
}

/** "In force and watched for two windows." */
const WINDOWS_TO_PROVE = 2;

/**
 * A change is *proven*, and becomes the last good, when it has been in force for `rollback.windowS` and two windows
 * with enough batches have shown no regression. Until then the last good is what a rollback and a restart return to.
 */
export class Applier {
  readonly #options: ApplierOptions;
  readonly #lastGood = new Map<string, Settings>();
  readonly #watches = new Map<string, Watch>();
  readonly #listeners = new Set<ChangeListener>();

  constructor(options: ApplierOptions) {
    this.#options = options;
  }

  /** A decider's proposal that has passed the guard; clamped to the bounds. `before` is the window it was decided on. */
  propose(proposal: Proposal, before: WindowStats | null, nowMs: number): Applied {
    const cell = this.#options.cells.get(proposal.model);
    const { batchSize, batchDelayMs, concurrency } = proposal.settings;
    if (![batchSize, batchDelayMs, concurrency].every(Number.isFinite)) {
      return this.#refuse(cell, proposal.settings, 'decider', proposal.class, [
        { field: '', expected: 'finite numbers', got: `${batchSize} / ${batchDelayMs} / ${concurrency}` },
      ]);
    }
    const source = proposal.class === 'reflex' ? 'reflex' : 'decider';
    return this.#put(cell, proposal.settings, source, before, nowMs, { ...proposal, isForced: false });
  }

  /** A person's settings: refused outside the bounds, never clamped. `isImmediate`: they insist, see `WatchRule.isForced`. */
  setByUser(
    model: string,
    settings: Settings,
    isImmediate: boolean,
    before: WindowStats | null,
    nowMs: number,
  ): Applied {
    const cell = this.#options.cells.get(model);
    const issues = checkSettings(settings, cell.bounds);
    if (issues.length > 0) return this.#refuse(cell, settings, 'user', 'leap', issues);
    const reason = isImmediate ? 'set by a person, at once' : 'set by a person';
    return this.#put(cell, settings, 'user', before, nowMs, {
      class: 'leap',
      reason,
      predicted: null,
      isForced: isImmediate,
    });
  }

  /** Back to the last good settings; `unchanged` when they are in force. */
  rollBack(
    model: string,
    reason: string,
    cause: RollbackCause | 'user' = 'user',
    measured: Prediction | null = null,
  ): Applied {
    const cell = this.#options.cells.get(model);
    const watch = this.#watches.get(cell.model);
    this.#watches.delete(cell.model);
    const from = cell.current.settings;
    const version = cell.put(this.lastGood(cell), 'rollback');
    if (isSameSettings(from, version.settings)) return { kind: 'unchanged', version };
    this.#record(cell, 'rolled_back', 'rollback', watch?.class ?? 'leap', from, version.settings, reason, {
      predicted: watch?.predicted ?? null,
      measured,
      cause,
    });
    return { kind: 'applied', version };
  }

  /** Judges the change in force by a window that began after it. To be called once per window and model. */
  observe(snapshot: Pick<ModelSnapshot, 'model' | 'window' | 'sla'>, nowMs: number): void {
    const cell = this.#options.cells.find(snapshot.model);
    const watch = cell === null ? undefined : this.#watches.get(cell.model);
    if (cell === null || watch === undefined) return;
    const sinceMs = nowMs - watch.sinceMs;
    if (sinceMs < snapshot.window.durationMs) return; // the window still holds answers from before the change
    const policy = this.#options.policy();
    const verdict = judgeWindow(watch.before, snapshot.window, {
      weights: toWeights(policy),
      slaP99Ms: snapshot.sla.p99Ms,
      errorRate: policy.sla.errorRate,
      threshold: policy.rollback.threshold,
      minBatches: policy.trial.minBatches,
      alpha: policy.trial.alpha,
      isForced: watch.isForced,
    });
    if (verdict.kind === 'bad') this.rollBack(cell.model, verdict.reason, verdict.cause, verdict.measured);
    if (verdict.kind !== 'good' || ++watch.goodWindows < WINDOWS_TO_PROVE) return;
    if (sinceMs < policy.rollback.windowS * 1000) return;
    this.#watches.delete(cell.model);
    const { settings, source } = cell.current;
    const from = this.lastGood(cell);
    this.#lastGood.set(cell.model, settings);
    this.#record(cell, 'proven', source, watch.class, from, settings, verdict.reason, {
      predicted: watch.predicted,
      measured: verdict.measured,
      cause: null,
    });
  }

  /** True while a change of this model waits for its verdict: a decider had better hold. */
  isWatching(model: string): boolean {
    return this.#watches.has(this.#options.cells.get(model).model);
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
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #put(
    cell: SettingsCell,
    settings: Settings,
    source: SettingsSource,
    before: WindowStats | null,
    nowMs: number,
    about: { class: ChangeClass; reason: string; predicted: Prediction | null; isForced: boolean },
  ): Applied {
    const from = cell.current.settings;
    const lastGood = this.lastGood(cell);
    const version = cell.put(settings, source);
    if (isSameSettings(from, version.settings)) return { kind: 'unchanged', version };
    this.#lastGood.set(cell.model, lastGood);
    // A change on top of an unproven one is still measured against the last good: that is where it would go back to.
    const baseline = this.#watches.get(cell.model)?.before ?? before;
    if (isSameSettings(version.settings, lastGood)) this.#watches.delete(cell.model);
    else {
      const { class: changeClass, isForced, predicted } = about;
      this.#watches.set(cell.model, {
        sinceMs: nowMs,
        before: baseline,
        class: changeClass,
        isForced,
        predicted,
        goodWindows: 0,
      });
    }
    this.#record(cell, 'applied', source, about.class, from, version.settings, about.reason, {
      predicted: about.predicted,
      measured: null,
      cause: null,
    });
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
    const none = { predicted: null, measured: null, cause: null };
    this.#record(cell, 'refused', source, of, cell.current.settings, settings, reason, none);
    return { kind: 'refused', version: cell.current, issues };
  }

  #record(
    cell: SettingsCell,
    result: ChangeResult,
    source: SettingsSource,
    of: ChangeClass,
    from: Settings,
    to: Settings,
    reason: string,
    more: { predicted: Prediction | null; measured: Prediction | null; cause: RollbackCause | 'user' | null },
  ): void {
    const { cause, predicted, measured } = more;
    const entry: HistoryEntry = Object.freeze({
      at: new Date(this.#options.wallMs()).toISOString(),
      model: cell.model,
      generation: cell.current.generation,
      source,
      class: of,
      result,
      from,
      to,
      reason,
      predicted,
      measured,
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
