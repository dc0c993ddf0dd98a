// What settings were measured to give, so that a forecast is believed only where nothing better is known.
import { formatSettings, type Settings } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import { type Evidence, EvidenceJoiner } from './evidence.ts';
import type { Forecast } from './forecast.ts';

/** Means are geometric: p99s err by factors. */
interface Outcome {
  itemsPerMs: number;
  p99Ms: number;
  /** Busy device ms per item served. */
  busyPerItemMs: number;
  /** Answers that speak for it. */
  answers: number;
  atMs: number;
}

/** Beyond this, older answers fade: the engine drifts. */
const ANSWERS_KEPT = 3000;
/** Within this factor two loads are the same load. */
const SAME_LOAD_RATIO = 1.15;
/** So long an outcome is believed. Times are sums of windows: windows come by the second in a burst. */
const KEPT_MS = 600_000;
/** Weight of a new window in the bias, and how far a forecast may be corrected. */
const BIAS_STEP = 0.4;
const BIAS_MIN = 0.6;
const BIAS_MAX = 2.5;
/** Changes count as recent for so long: the longer a rule stands still, the lighter it moves again. */
const RECENT_MS = 300_000;
const ONWARD_WEIGHT = 0.25;
const OUTCOMES_MAX = 64;
/** A measurement on so many answers weighs as much as the forecast: a p99 near full load moves slowly and deceives. */
const HALF_TRUST_ANSWERS = 1000;
const ERROR_RATIO_MAX = 0.01;
const SPOILED_MS = 3_600_000;

/** A measurement as a rule may use it. */
export interface Recalled {
  readonly p99Ms: number;
  readonly busyPerItemMs: number;
  /** 0..1: its weight against the forecast. */
  readonly trust: number;
}

/** One model's measurements by setting, and measured / forecast as one factor for all others. */
export class Measured {
  readonly #outcomes = new Map<string, Outcome>();
  readonly #spoiled = new Map<string, { readonly itemsPerMs: number; readonly atMs: number }>();
  readonly #joiner = new EvidenceJoiner();
  #itemsPerMs = 0;
  #logBias = 0;
  #nowMs = 0;
  #settings: Settings | null = null;
  #changes: { readonly atMs: number; readonly weight: number; readonly key: string }[] = [];

  /** Measured p99 / forecast p99 where both are known; 1 before. */
  get bias(): number {
    return Math.exp(this.#logBias);
  }

  /** Changes in the last five minutes, whoever made them: a return to settings just left counts whole, a step onward a quarter. */
  get unrest(): number {
    return this.#changes.reduce((sum, change) => sum + change.weight, 0);
  }

  /** Takes in a window. `expect` is asked only for settings that have something to say. */
  observe(model: ModelSnapshot, expect: (settings: Settings) => Forecast): void {
    this.#nowMs += model.window.durationMs;
    if (model.window.durationMs > 0) this.#itemsPerMs = model.window.arrivedItems / model.window.durationMs;
    this.#changes = this.#changes.filter((change) => this.#nowMs - change.atMs < RECENT_MS);
    const before = this.#settings;
    this.#settings = model.version.settings;
    const evidence = this.#joiner.observe(model);
    if (this.#joiner.isChange) {
      const key = formatSettings(model.version.settings);
      const isReturn = model.version.source === 'reflex' || this.#changes.some((change) => change.key === key);
      this.#changes.push({
        atMs: this.#nowMs,
        key: before === null ? key : formatSettings(before),
        weight: isReturn ? 1 : ONWARD_WEIGHT,
      });
      // The reflex fled from it: whatever its windows said, it did not hold.
      if (model.version.source === 'reflex' && before !== null) this.spoil(before);
    }
    if (evidence === null) return;
    // A p99 of those that were not shed is no p99: what loses requests does not hold, however quick the rest.
    if (evidence.errorRatio > ERROR_RATIO_MAX) return this.spoil(evidence.settings);
    const expectedMs = expect(evidence.settings).p99Ms;
    if (Number.isFinite(expectedMs)) {
      const ratio = Math.min(BIAS_MAX, Math.max(BIAS_MIN, evidence.p99Ms / expectedMs));
      this.#logBias += BIAS_STEP * (Math.log(ratio) - this.#logBias);
    }
    this.#record(evidence);
  }

  /** What was measured for these settings at this load or near it, and how far it is to be believed; null when nothing was. */
  recall(settings: Settings, itemsPerMs: number): Recalled | null {
    const outcome = this.#outcomes.get(formatSettings(settings));
    if (outcome === undefined || this.#nowMs - outcome.atMs > KEPT_MS) return null;
    const ratio = itemsPerMs / outcome.itemsPerMs;
    if (ratio > SAME_LOAD_RATIO || ratio < 1 / SAME_LOAD_RATIO) return null;
    const { p99Ms, busyPerItemMs, answers } = outcome;
    return { p99Ms, busyPerItemMs, trust: answers / (answers + HALF_TRUST_ANSWERS) };
  }

  /** Rolled back or fled from: left alone for an hour at this load or more. */
  spoil(settings: Settings): void {
    this.#spoiled.set(formatSettings(settings), { itemsPerMs: this.#itemsPerMs, atMs: this.#nowMs });
    if (this.#spoiled.size > OUTCOMES_MAX) this.#spoiled.delete(this.#spoiled.keys().next().value ?? '');
  }

  isSpoiled(settings: Settings, itemsPerMs: number): boolean {
    const spoiled = this.#spoiled.get(formatSettings(settings));
    if (spoiled === undefined || this.#nowMs - spoiled.atMs > SPOILED_MS) return false;
    return itemsPerMs > spoiled.itemsPerMs / SAME_LOAD_RATIO;
  }

  /** Another engine: what was measured no longer speaks for it. */
  forget(): void {
    this.#outcomes.clear();
    this.#spoiled.clear();
    this.#changes = [];
  }

  #record({ settings, itemsPerMs, p99Ms, busyPerItemMs, answers }: Evidence): void {
    const key = formatSettings(settings);
    const old = this.recall(settings, itemsPerMs) === null ? undefined : this.#outcomes.get(key);
    const kept = Math.min(ANSWERS_KEPT, old?.answers ?? 0);
    const share = answers / (kept + answers);
    const mix = (before: number | undefined, now: number): number =>
      before === undefined ? now : before * (now / before) ** share;
    this.#outcomes.delete(key);
    this.#outcomes.set(key, {
      itemsPerMs: mix(old?.itemsPerMs, itemsPerMs),
      p99Ms: mix(old?.p99Ms, p99Ms),
      busyPerItemMs: mix(old?.busyPerItemMs, busyPerItemMs),
      answers: kept + answers,
      atMs: this.#nowMs,
    });
    if (this.#outcomes.size > OUTCOMES_MAX) this.#outcomes.delete(this.#outcomes.keys().next().value ?? '');
  }
}
