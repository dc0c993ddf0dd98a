// How long a controller took to find a setting within 5 % of the best one.
import { type Mode, MODE_WEIGHTS } from '../../src/core/policy.ts';
import { formatSettings, type Settings } from '../../src/core/settings.ts';
import type { AgentRun } from './agent-run.ts';
import type { Cell } from './cell.ts';
import { scoreGrid, toGrid } from './grid.ts';
import { toRunScore } from './score.ts';

export interface Reach {
  /** Decisions made until then; null: it was never reached. */
  readonly decisions: number | null;
  /** In ms of the run; null as above. */
  readonly afterMs: number | null;
}

/** Objective of the best / 0.95 is as far as a setting may be off. */
const REACHED_RATIO = 0.95;
/** Settings pass through good ones; so much of what is left must be spent in them. */
const STAYED_RATIO = 0.9;
/** Enough for a p99, and bounds the search: 275 settings x 20,000. */
const REQUESTS_MAX = 20_000;

/**
 * Counted from the greatest upward jump of the load to the end of its stretch; without a jump, from the start to the end. Every
 * setting that was in force there is held against the grid's best, each run alone over those very arrivals (the first
 * interval left out, nothing waiting at the start), so the figure judges settings and not luck. The reflex's settings,
 * which last for one interval, count as time away.
 */
export function findReach(cell: Cell, run: AgentRun, mode: Mode): Reach {
  const { fromMs, toMs } = toSpan(cell);
  const local = toLocalCell(cell, fromMs, toMs);
  if (local.arrivalsMs.length < 100) return { decisions: null, afterMs: null };
  const inForce = toInForce(run, fromMs, toMs);
  const distinct = new Map(inForce.map(({ settings }) => [formatSettings(settings), settings]));
  const weights = MODE_WEIGHTS[mode];
  const toObjective = (settings: readonly Settings[]): readonly number[] =>
    scoreGrid(local, settings).map(({ stretches }) => {
      const { objective, isFeasible } = toRunScore(stretches, weights);
      return isFeasible ? objective : Infinity;
    });
  const best = Math.min(...toObjective(toGrid(local)));
  if (!Number.isFinite(best)) return { decisions: null, afterMs: null };
  const names = [...distinct.keys()];
  const objectives = toObjective([...distinct.values()]);
  const isGood = ({ settings }: InForce): boolean =>
    objectives[names.indexOf(formatSettings(settings))]! <= best / REACHED_RATIO;

  for (const [index, { fromMs: sinceMs }] of inForce.entries()) {
    const rest = inForce.slice(index);
    const goodMs = rest.filter(isGood).reduce((sum, one) => sum + one.toMs - one.fromMs, 0);
    if (!isGood(inForce[index]!) || goodMs < STAYED_RATIO * (toMs - sinceMs)) continue;
    const decisions = run.decidedMs.filter((atMs) => atMs > fromMs && atMs <= sinceMs).length;
    return { decisions, afterMs: sinceMs - fromMs };
  }
  return { decisions: null, afterMs: null };
}

interface InForce {
  readonly settings: Settings;
  readonly fromMs: number;
  readonly toMs: number;
}

function toInForce(run: AgentRun, fromMs: number, toMs: number): readonly InForce[] {
  return run.settings
    .map(({ atMs, settings }, index) => ({
      settings,
      fromMs: Math.max(fromMs, atMs),
      toMs: Math.min(toMs, run.settings[index + 1]?.atMs ?? Infinity),
    }))
    .filter((one) => one.toMs > one.fromMs);
}

function toSpan(cell: Cell): { readonly fromMs: number; readonly toMs: number } {
  const { jumpsMs, intervalMs, arrivalsMs, durationMs, stretchStartsMs } = cell;
  const count = (fromMs: number): number =>
    arrivalsMs.reduce((sum, atMs) => sum + (atMs >= fromMs && atMs < fromMs + intervalMs ? 1 : 0), 0);
  let fromMs = 0;
  let greatest = 1;
  for (const jumpMs of jumpsMs) {
    const ratio = count(jumpMs) / Math.max(1, count(jumpMs - intervalMs));
    if (ratio <= greatest) continue;
    greatest = ratio;
    fromMs = jumpMs;
  }
  if (fromMs === 0) return { fromMs, toMs: durationMs };
  const ends = [...jumpsMs, ...stretchStartsMs, durationMs].filter((atMs) => atMs > fromMs);
  return { fromMs, toMs: Math.min(...ends) };
}

/** The span as a run of its own, its first interval not scored. */
function toLocalCell(cell: Cell, fromMs: number, toMs: number): Cell {
  const first = cell.arrivalsMs.findIndex((atMs) => atMs >= fromMs);
  const arrivalsMs = cell.arrivalsMs
    .slice(first === -1 ? cell.arrivalsMs.length : first)
    .filter((atMs) => atMs < toMs)
    .slice(0, REQUESTS_MAX)
    .map((atMs) => atMs - fromMs);
  const before = cell.disturbances.findLast((one) => one.atMs <= fromMs);
  const later = cell.disturbances.filter((one) => one.atMs > fromMs && one.atMs < toMs);
  return {
    ...cell,
    arrivalsMs,
    durationMs: toMs - fromMs,
    stretchStartsMs: [0],
    jumpsMs: [],
    pieces: [
      { fromMs: 0, toMs: cell.intervalMs, stretch: 0, kind: 'warm-up' },
      { fromMs: cell.intervalMs, toMs: Infinity, stretch: 0, kind: 'scored' },
    ],
    disturbances: [
      ...(before === undefined ? [] : [{ atMs: 0, slowdown: before.slowdown }]),
      ...later.map(({ atMs, slowdown }) => ({ atMs: atMs - fromMs, slowdown })),
    ],
  };
}
