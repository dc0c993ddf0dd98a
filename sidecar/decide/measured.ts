// What settings were measured to give, so that a forecast is believed only where nothing better is known.
import { formatSettings, type Settings } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import type { Forecast } from './forecast.ts';

interface Outcome {
  itemsPerMs: number;
  p99Ms: number;
  /** Busy device ms per item served. */
  busyPerItemMs: number;
  /** Answers that speak for it. */
  answers: number;
  window: number;
}

/** A p99 of fewer answers is noise. */
const ANSWERS_MIN = 100;
/** Beyond this, older answers fade: the engine drifts. */
const ANSWERS_KEPT = 3000;
/** Within this factor two loads are the same load. */
const SAME_LOAD_RATIO = 1.15;
/** So many windows an outcome is believed. */
const WINDOWS_KEPT = 60;
/** Weight of a new window in the bias, and how far a forecast may be corrected. */
const BIAS_STEP = 0.4;
const BIAS_MIN = 0.6;
const BIAS_MAX = 2.5;
/** Changes count as recent for so many windows: the longer a rule stands still, the lighter it moves again. */
const RECENT_WINDOWS = 20;
const OUTCOMES_MAX = 64;

/** One model's measurements by setting, and measured / forecast as one factor for all others. */
export class Measured {
  readonly #outcomes = new Map<string, Outcome>();
  #logBias = 0;
  #window = 0;
  #generation = -1;
  #changedAt: number[] = [];

  /** Measured p99 / forecast p99 where both are known; 1 before. */
  get bias(): number {
    return Math.exp(this.#logBias);
  }

  /** Changes in the last 20 windows, whoever made them. */
  get recentChanges(): number {
    return this.#changedAt.length;
  }

  /** Takes in a window; the first of a generation is passed over, as part of it ran under the settings before. */
  observe(model: ModelSnapshot, expected: Forecast): void {
    this.#window++;
    this.#changedAt = this.#changedAt.filter((window) => this.#window - window < RECENT_WINDOWS);
    const { generation, settings } = model.version;
    const isWhole = generation === this.#generation;
    if (!isWhole && this.#generation !== -1) this.#changedAt.push(this.#window);
    this.#generation = generation;
    const { latency, busyRatio, completions, completedItems, durationMs, arrivedItems } = model.window;
    if (!isWhole || latency === null || completions < ANSWERS_MIN || completedItems === 0) return;
    if (Number.isFinite(expected.p99Ms)) {
      const ratio = Math.min(BIAS_MAX, Math.max(BIAS_MIN, latency.p99Ms / expected.p99Ms));
      this.#logBias += BIAS_STEP * (Math.log(ratio) - this.#logBias);
    }
    this.#record(settings, {
      itemsPerMs: arrivedItems / durationMs,
      p99Ms: latency.p99Ms,
      busyPerItemMs: (busyRatio * durationMs) / completedItems,
      answers: completions,
      window: this.#window,
    });
  }

  /** What was measured for these settings at this load or near it; null when nothing was, or long ago. */
  recall(settings: Settings, itemsPerMs: number): { readonly p99Ms: number; readonly busyPerItemMs: number } | null {
    const outcome = this.#outcomes.get(formatSettings(settings));
    if (outcome === undefined || this.#window - outcome.window > WINDOWS_KEPT) return null;
    const ratio = itemsPerMs / outcome.itemsPerMs;
    return ratio > SAME_LOAD_RATIO || ratio < 1 / SAME_LOAD_RATIO ? null : outcome;
  }

  /** Rolled back: whatever was measured, it is worse than that. */
  spoil(settings: Settings): void {
    const outcome = this.#outcomes.get(formatSettings(settings));
    if (outcome !== undefined) outcome.p99Ms *= 2;
  }

  /** Another load or engine: what was measured no longer speaks for it. */
  forget(): void {
    this.#outcomes.clear();
    this.#changedAt = [];
  }

  #record(settings: Settings, outcome: Outcome): void {
    const key = formatSettings(settings);
    const old = this.#outcomes.get(key);
    const isSameLoad = old !== undefined && this.recall(settings, outcome.itemsPerMs) !== null;
    this.#outcomes.delete(key);
    if (isSameLoad) {
      const answers = Math.min(ANSWERS_KEPT, old.answers);
      const share = outcome.answers / (answers + outcome.answers);
      outcome.p99Ms = old.p99Ms * (outcome.p99Ms / old.p99Ms) ** share;
      outcome.busyPerItemMs = old.busyPerItemMs + share * (outcome.busyPerItemMs - old.busyPerItemMs);
      outcome.itemsPerMs = old.itemsPerMs + share * (outcome.itemsPerMs - old.itemsPerMs);
      outcome.answers += answers;
    }
    this.#outcomes.set(key, outcome);
    if (this.#outcomes.size > OUTCOMES_MAX) this.#outcomes.delete(this.#outcomes.keys().next().value ?? '');
  }
}
