// The best constant of the training set per mode: a baseline that has seen everything but the cell it is judged in.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MODES, MODE_WEIGHTS, type Mode } from '../../src/core/policy.ts';
import { createCell } from '../../sidecar/lab/cell.ts';
import { scoreGrid } from '../../sidecar/lab/grid.ts';
import { toRunScore } from '../../sidecar/lab/score.ts';
import type { LeagueCell } from './policy-cells.ts';

/** A broken cell counts as this regret: it must not pay to break a few. */
const BROKEN_REGRET = 3;

/** Of the grid the one with the least mean ln(1 + regret) against the best constant of each cell, as `--controller` takes it. Kept in `dir`. */
export function findBestConstants(cells: readonly LeagueCell[], dir: string): Readonly<Record<Mode, string>> {
  const key = createHash('sha256').update(JSON.stringify(cells)).digest('hex').slice(0, 16);
  const path = join(dir, `${key}.json`);
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as Record<Mode, string>;
  const sums = new Map<Mode, Map<string, number>>(MODES.map((mode) => [mode, new Map()]));
  for (const { spec } of cells) {
    const cell = createCell(spec);
    const grid = scoreGrid(cell);
    for (const mode of MODES) {
      const scores = grid.map(({ stretches }) => toRunScore(stretches, MODE_WEIGHTS[mode]));
      const best = Math.min(...scores.map((score) => (score.isFeasible ? score.objective : Infinity)));
      if (!Number.isFinite(best)) continue;
      for (const [index, { settings }] of grid.entries()) {
        const { batchSize, batchDelayMs, concurrency } = settings;
        const share = batchDelayMs / cell.slaMs;
        const name = `fixed:b=${batchSize},d=${share === 0 ? '0' : `sla/${Number((1 / share).toPrecision(6))}`},c=${concurrency}`;
        const score = scores[index]!;
        const loss = Math.log(1 + (score.isFeasible ? score.objective / best - 1 : BROKEN_REGRET));
        sums.get(mode)!.set(name, (sums.get(mode)!.get(name) ?? 0) + loss);
      }
    }
  }
  const constants = Object.fromEntries(
    MODES.map((mode) => [mode, [...sums.get(mode)!].reduce((a, b) => (b[1] < a[1] ? b : a), ['', Infinity])[0]]),
  ) as Record<Mode, string>;
  mkdirSync(dir, { recursive: true });
  writeFileSync(path, JSON.stringify(constants));
  return constants;
}
