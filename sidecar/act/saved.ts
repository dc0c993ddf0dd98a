// What is remembered over a restart, by class of model: the settings in force and the last good ones.
import { isSameClass, type ModelClass, toClassKey } from '../../src/core/model-class.ts';
import type { Settings, SettingsSource } from '../../src/core/settings.ts';
import type { ModelStanding } from './apply.ts';

export interface SavedModel {
  readonly class: ModelClass;
  readonly inForce: Settings;
  readonly lastGood: Settings;
  readonly isForced: boolean;
  /** Wall clock, ms since 1970; the newest of several that fit is restored. */
  readonly savedMs: number;
}

/** At most so many classes are remembered, the newest ones: a pod meets few. */
const MAX_CLASSES = 200;

/** In memory what the state file holds; the file itself is a StateStore's business. */
export class SavedSettings {
  readonly #byKey = new Map<string, SavedModel>();

  /** Takes over what a state file held; entries that are not whole are dropped and counted in the answer. */
  load(value: unknown): { readonly loaded: number; readonly dropped: number } {
    const list = isRecord(value) && Array.isArray(value['models']) ? value['models'] : [];
    let dropped = 0;
    for (const entry of list) {
      if (isSavedModel(entry)) this.#byKey.set(toClassKey(entry.class), entry);
      else dropped++;
    }
    return { loaded: this.#byKey.size, dropped };
  }

  /**
   * What to start a model of this class with: what a person put in force without a trial, else the last good.
   * Unknown parts of the class fit everything (on a fresh start the device is not known yet).
   */
  restore(of: ModelClass): { readonly settings: Settings; readonly source: SettingsSource } | null {
    const fitting = [...this.#byKey.values()].filter((saved) => isSameClass(saved.class, of));
    const newest = fitting.sort((a, b) => b.savedMs - a.savedMs)[0];
    if (newest === undefined) return null;
    return { settings: newest.isForced ? newest.inForce : newest.lastGood, source: 'restored' };
  }

  update(of: ModelClass, standing: ModelStanding, nowMs: number): void {
    const { inForce, lastGood, isForced } = standing;
    const key = toClassKey(of);
    this.#byKey.delete(key);
    this.#byKey.set(key, { class: of, inForce, lastGood, isForced, savedMs: nowMs });
    const oldest = this.#byKey.keys().next();
    if (this.#byKey.size > MAX_CLASSES && oldest.done !== true) this.#byKey.delete(oldest.value);
  }

  /** What `load` takes. */
  toValue(): { readonly models: readonly SavedModel[] } {
    return { models: [...this.#byKey.values()] };
  }
}

function isSavedModel(value: unknown): value is SavedModel {
  if (!isRecord(value) || !isRecord(value['class'])) return false;
  const { model, version, engine, gpu } = value['class'];
  const isClass =
    typeof model === 'string' && [version, engine, gpu].every((part) => part === null || typeof part === 'string');
  const isWhole = isSettings(value['inForce']) && isSettings(value['lastGood']);
  return isClass && isWhole && typeof value['isForced'] === 'boolean' && Number.isFinite(value['savedMs']);
}

function isSettings(value: unknown): value is Settings {
  if (!isRecord(value) || !isRecord(value['switches'])) return false;
  const numbers = [value['batchSize'], value['batchDelayMs'], value['concurrency']];
  const isFinite = numbers.every((number) => Number.isFinite(number));
  return isFinite && Object.values(value['switches']).every((isOn) => typeof isOn === 'boolean');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
