// Windows joined until they speak: a p99 needs answers, and a burst's one-second windows have few.
import { isSameSettings, type Settings } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';

/** What settings gave over one or more whole windows. */
export interface Evidence {
  readonly settings: Settings;
  readonly answers: number;
  /** p99 of the window, or the largest of the joined windows': a little too high rather than too low. */
  readonly p99Ms: number;
  readonly errorRatio: number;
  readonly ratePerS: number;
  readonly itemsPerMs: number;
  /** Busy device ms per item served. */
  readonly busyPerItemMs: number;
}

/** Fewer answers than this say little of a p99. */
const ANSWERS_MIN = 100;

/** Joins windows of the same settings. The first window of new settings is passed over: part of it ran under the old ones. */
export class EvidenceJoiner {
  #settings: Settings | null = null;
  #isNew = false;
  #answers = 0;
  #items = 0;
  #arrived = 0;
  #arrivedItems = 0;
  #lost = 0;
  #busyMs = 0;
  #spanMs = 0;
  #p99Ms = 0;

  /** True when this window is the first of its settings, but for the very first of all. */
  get isChange(): boolean {
    return this.#isNew;
  }

  observe(model: ModelSnapshot): Evidence | null {
    const { settings } = model.version;
    const { latency, busyRatio, completions, completedItems, durationMs, arrivals, arrivedItems, errorRatio } =
      model.window;
    const isKnown = this.#settings !== null && isSameSettings(settings, this.#settings);
    this.#isNew = this.#settings !== null && !isKnown;
    if (!isKnown) this.#clear();
    this.#settings = settings;
    if (this.#isNew || completions === 0) return null;
    this.#answers += latency?.count ?? 0;
    this.#items += completedItems;
    this.#arrived += arrivals;
    this.#arrivedItems += arrivedItems;
    this.#lost += errorRatio * completions;
    this.#busyMs += busyRatio * durationMs;
    this.#spanMs += durationMs;
    this.#p99Ms = Math.max(this.#p99Ms, latency?.p99Ms ?? 0);
    if (this.#answers < ANSWERS_MIN) return null;
    const evidence: Evidence = {
      settings,
      answers: this.#answers,
      p99Ms: this.#p99Ms,
      errorRatio: this.#lost / (this.#answers + this.#lost),
      ratePerS: (1000 * this.#arrived) / this.#spanMs,
      itemsPerMs: this.#arrivedItems / this.#spanMs,
      busyPerItemMs: this.#busyMs / Math.max(1, this.#items),
    };
    this.#clear();
    return evidence;
  }

  #clear(): void {
    this.#answers = this.#items = this.#arrived = this.#arrivedItems = 0;
    this.#lost = this.#busyMs = this.#spanMs = this.#p99Ms = 0;
  }
}
