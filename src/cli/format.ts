// Numbers as people read them; unknown is `-`, never 0.
import type { Settings } from '../core/settings.ts';
import { formatSettings } from '../core/settings.ts';
import { isRecord } from './json.ts';

export function formatMs(ms: number | null): string {
  return ms === null ? '-' : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

/** 0..1 as a percentage. */
export function formatPercent(ratio: number | null, digits = 0): string {
  return ratio === null ? '-' : `${(100 * ratio).toFixed(digits)} %`;
}

export function formatNumber(value: number | null, digits = 1): string {
  return value === null ? '-' : value.toFixed(digits);
}

/** `64 / 0 ms / 1` from an answer's settings; `-` where they are not whole. */
export function formatWireSettings(value: unknown): string {
  const settings = toSettings(value);
  return settings === null ? '-' : formatSettings(settings);
}

/** Settings of an answer; null where a part is missing. */
export function toSettings(value: unknown): Settings | null {
  if (!isRecord(value)) return null;
  const { batchSize, batchDelayMs, concurrency, switches } = value;
  if (typeof batchSize !== 'number' || typeof batchDelayMs !== 'number' || typeof concurrency !== 'number') return null;
  const known = Object.entries(isRecord(switches) ? switches : {});
  const on = known.filter((pair): pair is [string, boolean] => typeof pair[1] === 'boolean');
  return { batchSize, batchDelayMs, concurrency, switches: Object.fromEntries(on) };
}
