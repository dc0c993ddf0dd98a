// The settings that are tuned, and the bounds they are kept in.
import type { Issue } from './errors.ts';

/** What is in force for one model. Read once per batch, swapped whole. */
export interface Settings {
  /** Most items in one upstream call, 1..64 by default. A larger request goes alone, unsplit. */
  readonly batchSize: number;
  /** How long the oldest item of a batch may wait for company, ms. 0 = natural batching. */
  readonly batchDelayMs: number;
  /** Upstream calls in flight for this model. */
  readonly concurrency: number;
  /** Discrete switches an engine offers, such as `tensorrt`. */
  readonly switches: Readonly<Record<string, boolean>>;
}

/** Closed ranges. `switches` names the switches that may be turned. */
export interface Bounds {
  readonly batchSize: readonly [min: number, max: number];
  readonly batchDelayMs: readonly [min: number, max: number];
  readonly concurrency: readonly [min: number, max: number];
  readonly switches: readonly string[];
}

/** Natural batching: the best constant known without history (0-3 % from the optimum up to 60 % load). */
export const START_SETTINGS: Settings = Object.freeze({
  batchSize: 64,
  batchDelayMs: 0,
  concurrency: 1,
  switches: Object.freeze({}),
});

/** Who put a setting in force. */
export type SettingsSource = 'start' | 'restored' | 'user' | 'decider' | 'reflex' | 'coordinator' | 'rollback';

/** One swap of a cell: the settings with the number of the swap. */
export interface SettingsVersion {
  readonly settings: Settings;
  /** Counts up by one at every change of this model's settings; the first is 1. */
  readonly generation: number;
  readonly source: SettingsSource;
}

export function isSameSettings(a: Settings, b: Settings): boolean {
  if (a.batchSize !== b.batchSize || a.batchDelayMs !== b.batchDelayMs || a.concurrency !== b.concurrency) return false;
  const names = new Set([...Object.keys(a.switches), ...Object.keys(b.switches)]);
  for (const name of names) if ((a.switches[name] ?? false) !== (b.switches[name] ?? false)) return false;
  return true;
}

/** Whole numbers for size and concurrency, everything inside the bounds, unknown switches dropped. */
export function clampSettings(settings: Settings, bounds: Bounds): Settings {
  const clamp = (value: number, [min, max]: readonly [number, number]): number => Math.min(max, Math.max(min, value));
  const switches: Record<string, boolean> = {};
  for (const name of bounds.switches) {
    const value = settings.switches[name];
    if (value !== undefined) switches[name] = value;
  }
  return Object.freeze({
    batchSize: Math.round(clamp(settings.batchSize, bounds.batchSize)),
    batchDelayMs: clamp(settings.batchDelayMs, bounds.batchDelayMs),
    concurrency: Math.round(clamp(settings.concurrency, bounds.concurrency)),
    switches: Object.freeze(switches),
  });
}

/** Every field that is out of bounds; empty when all is well. Bad numbers are refused, not clamped: a person asked. */
export function checkSettings(settings: Settings, bounds: Bounds): Issue[] {
  const issues: Issue[] = [];
  const check = (field: string, value: number, [min, max]: readonly [number, number], isWhole: boolean): void => {
    const isGood = Number.isFinite(value) && value >= min && value <= max && (!isWhole || Number.isInteger(value));
    if (!isGood)
      issues.push({
        field,
        expected: `${isWhole ? 'a whole number' : 'a number'} from ${min} to ${max}`,
        got: String(value),
      });
  };
  check('batchSize', settings.batchSize, bounds.batchSize, true);
  check('batchDelayMs', settings.batchDelayMs, bounds.batchDelayMs, false);
  check('concurrency', settings.concurrency, bounds.concurrency, true);
  for (const name of Object.keys(settings.switches)) {
    if (bounds.switches.includes(name)) continue;
    const known =
      bounds.switches.length === 0 ? 'no switch (the engine offers none)' : `one of ${bounds.switches.join(', ')}`;
    issues.push({ field: `switches.${name}`, expected: known, got: name });
  }
  return issues;
}

/** `64 / 0 ms / 1 tensorrt=on` for people. */
export function formatSettings(settings: Settings): string {
  const switches = Object.entries(settings.switches).map(([name, isOn]) => ` ${name}=${isOn ? 'on' : 'off'}`);
  return `${settings.batchSize} / ${Number(settings.batchDelayMs.toFixed(3))} ms / ${settings.concurrency}${switches.join('')}`;
}
