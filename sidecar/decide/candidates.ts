// The settings a rule weighs: a coarse grid in log steps, inside the bounds, with the settings in force.
import { type Bounds, clampSettings, formatSettings, type Settings } from '../../src/core/settings.ts';

const BATCH_SIZES = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256];
/** Shares of the SLA. */
const DELAY_RATIOS = [0, 1 / 40, 1 / 10, 1 / 4, 1 / 2, 3 / 4];
const CONCURRENCIES = [1, 2, 3, 4, 8, 16, 32, 64];
/** Past 8 in flight only from there: beyond it a device gives no more, and each costs time to weigh. */
const USUAL_CONCURRENCY_MAX = 8;

/** Each once, the simplest first: of equals the first is kept. Switches stay as they are. */
export function toCandidates(current: Settings, bounds: Bounds, slaMs: number): readonly Settings[] {
  const candidates = new Map<string, Settings>();
  const add = (settings: Settings): void => {
    const clamped = clampSettings(settings, bounds);
    candidates.set(formatSettings(clamped), clamped);
  };
  const concurrencies = CONCURRENCIES.filter(
    (value) => value <= Math.max(USUAL_CONCURRENCY_MAX, 2 * current.concurrency),
  );
  for (const concurrency of concurrencies)
    for (const delayRatio of DELAY_RATIOS)
      for (const batchSize of BATCH_SIZES) {
        // Waiting for company that may not board.
        if (batchSize === 1 && delayRatio > 0) continue;
        add({ ...current, batchSize, concurrency, batchDelayMs: delayRatio * slaMs });
      }
  add(current);
  return [...candidates.values()];
}
