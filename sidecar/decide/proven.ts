// Which settings have been seen to hold, and at what load: what the reflex flees to and the guard trusts.
import { formatSettings, type Settings } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import { EvidenceJoiner } from './evidence.ts';

interface Standing {
  readonly settings: Settings;
  /** Highest load served within the SLA over a whole window, requests per second. */
  heldAtPerS: number;
  /** Lowest load at which a whole window broke the SLA; Infinity when none did. */
  brokeAtPerS: number;
}

/** Settings remembered per model; the one that held the least load goes first. */
const REMEMBERED_MAX = 32;
/** A window lighter than its record by this much still counts as the same load. */
const SAME_LOAD_RATIO = 0.9;
/** More lost than this is no service, however fast the rest. */
const ERROR_RATIO_MAX = 0.01;
/** The proven settings of one model. Fed one window at a time; the newest word on a setting wins. */
export class Proven {
  readonly #records = new Map<string, Standing>();
  readonly #joiner = new EvidenceJoiner();

  /** Takes in a window. */
  observe(model: ModelSnapshot): void {
    const evidence = this.#joiner.observe(model);
    const slaMs = model.sla.p99Ms;
    if (evidence === null || slaMs === null) return;
    const { settings, ratePerS } = evidence;
    const record = this.#recordOf(settings);
    const held = evidence.p99Ms <= slaMs && evidence.errorRatio <= ERROR_RATIO_MAX;
    if (held) {
      record.heldAtPerS = Math.max(record.heldAtPerS, ratePerS);
      if (record.brokeAtPerS <= ratePerS) record.brokeAtPerS = Infinity;
    } else {
      record.brokeAtPerS = Math.min(record.brokeAtPerS, ratePerS);
      record.heldAtPerS = Math.min(record.heldAtPerS, ratePerS * SAME_LOAD_RATIO);
    }
    this.#forget();
  }

  /** True when these settings have served this load within the SLA. */
  isProven(settings: Settings, ratePerS: number): boolean {
    const record = this.#records.get(formatSettings(settings));
    return record !== undefined && record.brokeAtPerS > ratePerS && record.heldAtPerS >= ratePerS * SAME_LOAD_RATIO;
  }

  /**
   * The safest settings for a load that may be unseen: of those that have held such a load, or else of all, the roomiest (largest
   * batch, least delay, fewest in flight). `fallback` (natural batching) is always among them. That it broke before does not put it
   * behind settings that were never tried at this load: small ones have broken nothing only because they were not there.
   */
  safest(ratePerS: number, fallback: Settings): Settings {
    const records = [...this.#records.values()];
    if (!this.#records.has(formatSettings(fallback)))
      records.push({ settings: fallback, heldAtPerS: 0, brokeAtPerS: Infinity });
    const rank = ({ settings }: Standing): readonly number[] => [
      this.isProven(settings, ratePerS) ? 1 : 0,
      settings.batchSize,
      -settings.batchDelayMs,
      -settings.concurrency,
    ];
    const best = records.reduce((safest, record) => (isAbove(rank(record), rank(safest)) ? record : safest));
    return best.settings;
  }

  /** Rolled back by evidence finer than a window: it broke at this load. */
  broke(settings: Settings, ratePerS: number): void {
    const record = this.#recordOf(settings);
    record.brokeAtPerS = Math.min(record.brokeAtPerS, ratePerS);
    record.heldAtPerS = Math.min(record.heldAtPerS, ratePerS * SAME_LOAD_RATIO);
  }

  #recordOf(settings: Settings): Standing {
    const key = formatSettings(settings);
    const known = this.#records.get(key);
    if (known !== undefined) return known;
    const record = { settings, heldAtPerS: 0, brokeAtPerS: Infinity };
    this.#records.set(key, record);
    return record;
  }

  #forget(): void {
    if (this.#records.size <= REMEMBERED_MAX) return;
    let least: string | null = null;
    let leastPerS = Infinity;
    for (const [key, record] of this.#records) {
      if (record.heldAtPerS >= leastPerS) continue;
      leastPerS = record.heldAtPerS;
      least = key;
    }
    if (least !== null) this.#records.delete(least);
  }
}

function isAbove(a: readonly number[], b: readonly number[]): boolean {
  for (const [index, value] of a.entries()) if (value !== b[index]) return value > (b[index] ?? 0);
  return false;
}
