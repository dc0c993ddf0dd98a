// The changes in force that are not proven yet: one a model, judged window by window.
import { type Policy, toWeights } from '../../src/core/policy.ts';
import type { ChangeClass, Prediction } from '../../src/core/proposal.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import type { SliceFigures } from './trial-figures.ts';
import type { TrialJudge } from './verdict.ts';
import { judgeWindow, type WatchedWindow, type WatchVerdict } from './watch.ts';

/** A change on its way to being proven. */
export interface Watch {
  readonly sinceMs: number;
  /** The last window under the last good settings, or a trial's slices of them; null when the model was idle. */
  readonly before: WatchedWindow | null;
  readonly class: ChangeClass;
  readonly isForced: boolean;
  readonly predicted: Prediction | null;
  /** Of its trial; null: there was none. */
  readonly judge: TrialJudge | null;
}

/** "In force and watched for two windows." */
const WINDOWS_TO_PROVE = 2;
/** Of the chance of a false alarm that a trial leaves, so much is spent on each of these windows. */
const WATCH_ALPHA = 0.25;

export class Watches {
  readonly #watches = new Map<string, { readonly watch: Watch; goodWindows: number }>();

  get(model: string): Watch | null {
    return this.#watches.get(model)?.watch ?? null;
  }

  start(model: string, watch: Watch): void {
    this.#watches.set(model, { watch, goodWindows: 0 });
  }

  stop(model: string): void {
    this.#watches.delete(model);
  }

  /** `good` only when it is proven by now. `slices`: of what is in force since it is, where trials are held. */
  judge(
    { model, window, sla }: Pick<ModelSnapshot, 'model' | 'window' | 'sla'>,
    slices: readonly SliceFigures[],
    policy: Policy,
    nowMs: number,
  ): WatchVerdict {
    const entry = this.#watches.get(model);
    const wait = (reason: string): WatchVerdict => ({ kind: 'wait', reason });
    if (entry === undefined) return wait('nothing is watched');
    const { watch } = entry;
    const sinceMs = nowMs - watch.sinceMs;
    if (sinceMs < window.durationMs) return wait('the window still holds answers from before the change');
    const verdict = judgeWindow(watch.before, window, {
      weights: toWeights(policy),
      slaP99Ms: sla.p99Ms,
      errorRate: policy.sla.errorRate,
      threshold: policy.rollback.threshold,
      minBatches: policy.trial.minBatches,
      alpha: policy.trial.alpha,
      isForced: watch.isForced,
      ...(watch.judge === null ? {} : { slices: watch.judge.compareAfter(slices, WATCH_ALPHA * policy.trial.alpha) }),
    });
    if (verdict.kind !== 'good') return verdict;
    entry.goodWindows += 1;
    if (entry.goodWindows < WINDOWS_TO_PROVE || sinceMs < policy.rollback.windowS * 1000) return wait('good so far');
    return verdict;
  }
}
