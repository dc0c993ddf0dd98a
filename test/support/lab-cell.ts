// One cell of a comparison: a profile, a load, an SLA and an interference, scaled so that a window holds a given traffic.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Decider } from '../../sidecar/decide/decider.ts';
import { createFixed } from '../../sidecar/decide/fixed.ts';
import type { HarnessOptions, HarnessResult } from '../../sidecar/lab/harness-options.ts';
import { runHarness } from '../../sidecar/lab/harness.ts';
import {
  createCurve,
  type CurvePoint,
  findProfile,
  type LatencyCurve,
  parseProfiles,
} from '../../sidecar/lab/profiles.ts';
import { toRunObjective } from '../../sidecar/lab/tally.ts';
import { DEFAULT_POLICY, type Mode, MODE_WEIGHTS, MODES, type Policy } from '../../src/core/policy.ts';
import { createRandom } from '../../src/core/random.ts';
import type { Settings } from '../../src/core/settings.ts';
import { createArrivals } from '../../src/traffic/arrivals.ts';
import { toLoad } from '../../src/traffic/load.ts';
import { isIssue, parseWorkload } from '../../src/traffic/workload.ts';

const csv = readFileSync(join(import.meta.dirname, '../../sidecar/lab/data/gpu-latency-profiles.csv'), 'utf8');
export const PROFILES = parseProfiles(csv);

/** A curve whose peak is `peakPerS`, its shape kept: times are scaled, so every interval of 10 s holds the same traffic. */
export function toScaledCurve(points: readonly CurvePoint[], peakPerS = 100): LatencyCurve {
  const factor = (createCurve(points).peakItemsPerMs * 1000) / peakPerS;
  return createCurve(points.map(({ items, latencyMs }) => ({ items, latencyMs: latencyMs * factor })));
}

export interface Cell {
  readonly name: string;
  readonly points: readonly CurvePoint[];
  /** SPEC of DESIGN: `poisson:60%`, `steps:20%@0,60%@300`. Times in seconds. */
  readonly workload: string;
  /** SLA / L(16). */
  readonly slaFactor: number;
  readonly interference: number;
  readonly windows: number;
  readonly peakPerS?: number;
  readonly seed?: number;
}

export function toProfilePoints(id: string): readonly CurvePoint[] {
  return findProfile(PROFILES, id).points;
}

export function toCellSlaMs(cell: Cell): number {
  return cell.slaFactor * toScaledCurve(cell.points, cell.peakPerS).latencyMs(16);
}

export function toCellPolicy(cell: Cell, mode: Mode): Policy {
  return { ...DEFAULT_POLICY, mode, sla: { p99Ms: toCellSlaMs(cell), errorRate: 0.01 } };
}

/** Runs a decider in a cell. The first `warmUpWindows` windows are a stretch of their own, so that they can be scored apart. */
export function runCell(cell: Cell, mode: Mode, decider: Decider, extra: Partial<HarnessOptions> = {}): HarnessResult {
  const curve = toScaledCurve(cell.points, cell.peakPerS);
  const workload = parseWorkload(cell.workload);
  if (isIssue(workload)) throw new Error(workload.expected);
  const random = createRandom(cell.seed ?? 1);
  const load = toLoad(workload, {
    length: { durationS: cell.windows * 10 },
    peakPerS: curve.peakItemsPerMs * 1000,
    random: random.fork('load'),
  });
  const arrivals = createArrivals(load, random.fork('arrivals'));
  const starts = new Set([0, WARM_UP_S, ...load.stretchStartsS.filter((startS) => startS > WARM_UP_S)]);
  return runHarness({
    curve,
    nextArrivalS: () => arrivals.next(),
    stretchStartsS: [...starts].toSorted((a, b) => a - b),
    policy: toCellPolicy(cell, mode),
    decider,
    interference: cell.interference,
    seed: cell.seed ?? 1,
    ...extra,
  });
}

/** The first three intervals are scored apart. */
export const WARM_UP_S = 30;

/** The objective without the warm-up. */
export function toCellObjective(result: HarnessResult, mode: Mode): number {
  return toRunObjective(result.tally.stretches().slice(1), MODE_WEIGHTS[mode]);
}

export function runFixed(cell: Cell, mode: Mode, settings: Settings): HarnessResult {
  return runCell(cell, mode, createFixed(settings), { start: settings, hasGuard: false, hasReflex: false });
}

export const GRID = {
  batchSizes: [1, 2, 4, 8, 12, 16, 24, 32, 48, 64],
  delayRatios: [0, 1 / 40, 1 / 10, 1 / 4, 1 / 2, 3 / 4],
  concurrencies: [1, 2, 3, 4, 8],
};
/** For tests: the ends and the middle. */
export const COARSE_GRID = { batchSizes: [1, 16, 64], delayRatios: [0, 1 / 2], concurrencies: [1, 2] };

export interface Best {
  readonly settings: Settings;
  readonly objective: number;
  readonly result: HarnessResult;
}

/** oracle-static: the best fixed setting in hindsight by mode; null where none is feasible. */
export function findBestFixed(cell: Cell, grid: typeof GRID): Record<Mode, Best | null> {
  const best: Record<Mode, Best | null> = { performance: null, cost: null, balanced: null };
  const slaMs = toCellSlaMs(cell);
  for (const batchSize of grid.batchSizes)
    for (const concurrency of grid.concurrencies)
      for (const delayRatio of grid.delayRatios) {
        if (batchSize === 1 && delayRatio > 0) continue;
        const settings = { batchSize, concurrency, batchDelayMs: delayRatio * slaMs, switches: {} };
        const result = runFixed(cell, 'balanced', settings);
        for (const mode of MODES) {
          const objective = toCellObjective(result, mode);
          if (objective < (best[mode]?.objective ?? Infinity)) best[mode] = { settings, objective, result };
        }
      }
  return best;
}

/** Share of answers later than the SLA, and of lost requests, in windows that end after `fromMs`. */
export function toMissRatio(result: HarnessResult, fromMs: number): number {
  let misses = 0;
  let all = 0;
  for (const { atMs, snapshot } of result.windows) {
    if (atMs <= fromMs) continue;
    const { completions, sloAttainment } = snapshot.window;
    all += completions;
    misses += completions * (1 - (sloAttainment ?? 1));
  }
  return all === 0 ? 0 : misses / all;
}
