// The best in hindsight: one setting for the whole run, and one a stretch with the backlog carried.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Mode, MODE_WEIGHTS, MODES } from '../../src/core/policy.ts';
import type { Settings } from '../../src/core/settings.ts';
import type { Cell } from './cell.ts';
import { ConstantRunner, type Scheduled } from './constant-run.ts';
import { type GridScore, scoreGrid, toStretchScores } from './grid.ts';
import { type RunScore, Scorer, toObjective, toRunScore } from './score.ts';

export interface Hindsight extends RunScore {
  /** One a stretch; for the static oracle all alike. */
  readonly settings: readonly Settings[];
}

/** Both oracles of one mode. `phase` is never worse than `static`. */
export interface OracleMode {
  readonly static: Hindsight;
  readonly phase: Hindsight;
}

export type Oracle = Readonly<Record<Mode, OracleMode>>;

/** Counts up when the engine, the batching rule, admission or the grid change what an oracle finds. */
const CACHE_VERSION = 1;
/** Candidates tried in each stretch with the backlog that the others leave. */
const TRIED_PER_STRETCH = 4;

/** `cacheDir`: where results are kept by the hash of all inputs; null: nowhere. A damaged entry is made anew. */
export function findOracle(cell: Cell, cacheDir: string | null = null): Oracle {
  const path = cacheDir === null ? null : join(cacheDir, `oracle-${toKey(cell)}.json`);
  const known = path === null ? null : readOracle(path);
  if (known !== null) return known;
  const grid = scoreGrid(cell);
  const oracle = Object.fromEntries(MODES.map((mode) => [mode, toOracleMode(cell, grid, mode)])) as unknown as Oracle;
  if (path !== null) writeOracle(path, oracle);
  return oracle;
}

/** A hindsight as the runner takes it. */
export function toSchedule(cell: Cell, settings: readonly Settings[]): readonly Scheduled[] {
  return settings.map((each, stretch) => ({ atMs: cell.stretchStartsMs[stretch]!, settings: each }));
}

/** A feasible run beats every infeasible one; among equals the smaller objective wins. */
function isBetter(a: RunScore, b: RunScore): boolean {
  return a.isFeasible === b.isFeasible ? a.objective < b.objective : a.isFeasible;
}

function toOracleMode(cell: Cell, grid: readonly GridScore[], mode: Mode): OracleMode {
  const weights = MODE_WEIGHTS[mode];
  const stretches = grid[0]?.stretches.length ?? 0;
  let best: Hindsight | null = null;
  for (const { settings, stretches: scores } of grid) {
    const candidate = { ...toRunScore(scores, weights), settings: scores.map(() => settings) };
    if (best === null || isBetter(candidate, best)) best = candidate;
  }
  const fixed = best!;

  const runner = new ConstantRunner(cell);
  const scorer = new Scorer(cell.arrivalsMs, cell.pieces, cell.slaMs);
  const play = (settings: readonly Settings[]): Hindsight => {
    const scores = toStretchScores(scorer, runner.run(toSchedule(cell, settings)));
    return { ...toRunScore(scores, weights), settings };
  };
  // The switch stays as the best setting has it: turning it costs a reload, which no stretch of a run pays back.
  const isSwitched = (settings: Settings): boolean => Object.values(settings.switches).includes(true);
  const reachable = grid.filter(({ settings }) => isSwitched(settings) === isSwitched(fixed.settings[0]!));
  const ranked = Array.from({ length: stretches }, (_, stretch) => rank(reachable, stretch, mode));
  let phase = fixed;
  const composed = play(ranked.map((candidates) => candidates[0]!));
  if (isBetter(composed, phase)) phase = composed;
  for (const [stretch, candidates] of ranked.entries())
    for (const candidate of candidates.slice(0, TRIED_PER_STRETCH)) {
      if (candidate === phase.settings[stretch]) continue;
      const tried = play(phase.settings.with(stretch, candidate));
      if (isBetter(tried, phase)) phase = tried;
    }
  return { static: fixed, phase };
}

/** Settings by what they gave in one stretch of their own run, feasible ones first. */
function rank(grid: readonly GridScore[], stretch: number, mode: Mode): readonly Settings[] {
  const weights = MODE_WEIGHTS[mode];
  return grid
    .map(({ settings, stretches }) => ({ settings, score: stretches[stretch]! }))
    .map(({ settings, score }) => ({ settings, isFeasible: score.isFeasible, objective: toObjective(score, weights) }))
    .sort((a, b) => Number(b.isFeasible) - Number(a.isFeasible) || a.objective - b.objective)
    .map(({ settings }) => settings);
}

function toKey(cell: Cell): string {
  const { curve, alternative, arrivalsMs, ...rest } = cell;
  const table = (of: typeof curve): readonly number[] =>
    Array.from({ length: 64 }, (_, index) => of.latencyMs(index + 1));
  const hash = createHash('sha256');
  hash.update(JSON.stringify({ ...rest, version: CACHE_VERSION, curve: table(curve) }));
  if (alternative !== null) hash.update(JSON.stringify({ ...alternative, curve: table(alternative.curve) }));
  hash.update(new Uint8Array(arrivalsMs.buffer, arrivalsMs.byteOffset, arrivalsMs.byteLength));
  return hash.digest('hex').slice(0, 32);
}

function readOracle(path: string): Oracle | null {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8'), (key, entry: unknown) =>
      key === 'objective' && entry === null ? Infinity : entry,
    ) as Oracle;
    return MODES.every((mode) => Array.isArray(value[mode]?.phase?.settings)) ? value : null;
  } catch {
    // Not there, or torn: it is a cache, so it is made anew.
    return null;
  }
}

function writeOracle(path: string, oracle: Oracle): void {
  mkdirSync(join(path, '..'), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, JSON.stringify(oracle));
  renameSync(temporary, path);
}
