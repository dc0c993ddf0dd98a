import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MODES, MODE_WEIGHTS } from '../../../src/core/policy.ts';
import { ConstantRunner } from '../../../sidecar/lab/constant-run.ts';
import { scoreGrid, toGrid, toStretchScores } from '../../../sidecar/lab/grid.ts';
import { findOracle, toSchedule } from '../../../sidecar/lab/oracle.ts';
import { Scorer, toRunScore } from '../../../sidecar/lab/score.ts';
import { toCell } from './cells.ts';

const cell = toCell('steps:30%@0,80%@30', { length: { requests: 4000 } });
const oracle = findOracle(cell);

describe('the oracles', () => {
  test('static: no setting of the grid does better, in any mode', () => {
    const grid = scoreGrid(cell);
    expect(grid).toHaveLength(9 * 6 * 5 + 5);
    for (const mode of MODES) {
      const feasible = grid
        .map(({ stretches }) => toRunScore(stretches, MODE_WEIGHTS[mode]))
        .filter((score) => score.isFeasible);
      expect(feasible.length).toBeGreaterThan(20);
      expect(oracle[mode].static.isFeasible).toBe(true);
      expect(oracle[mode].static.objective).toBe(Math.min(...feasible.map((score) => score.objective)));
    }
  });

  test('phase: never worse than static, and what it promises is what its schedule gives with the backlog carried', () => {
    const scorer = new Scorer(cell.arrivalsMs, cell.pieces, cell.slaMs);
    for (const mode of MODES) {
      const { phase, static: fixed } = oracle[mode];
      expect(phase.objective).toBeLessThanOrEqual(fixed.objective);
      const trace = new ConstantRunner(cell).run(toSchedule(cell, phase.settings));
      expect(toRunScore(toStretchScores(scorer, trace), MODE_WEIGHTS[mode])).toEqual({
        objective: phase.objective,
        isFeasible: phase.isFeasible,
      });
    }
    expect(oracle.cost.static.settings[0]!.batchDelayMs).toBeGreaterThan(
      oracle.performance.static.settings[0]!.batchDelayMs,
    );
  });

  test('with a switch: both positions are in the grid, and a faster engine is found', () => {
    const points = [1, 64].map((items) => ({ items, latencyMs: 2 + 0.25 * items }));
    const switched = toCell('poisson:60%', {
      length: { requests: 1500 },
      alternative: { points, switchName: 'tensorrt', stallMs: 100 },
    });
    expect(toGrid(switched)).toHaveLength(2 * (9 * 6 * 5 + 5));
    expect(findOracle(switched).performance.phase.settings[0]!.switches).toEqual({ tensorrt: true });
  });

  test('the cache gives the same back, tells cells apart, and makes a torn entry anew', () => {
    const dir = mkdtempSync(join(tmpdir(), 'oracle-'));
    try {
      expect(findOracle(cell, dir)).toEqual(oracle);
      const [name] = readdirSync(dir);
      expect(findOracle(cell, dir)).toEqual(oracle);
      writeFileSync(join(dir, name!), '{"performance":');
      expect(findOracle(cell, dir)).toEqual(oracle);
      findOracle(toCell('steps:30%@0,80%@30', { length: { requests: 300 } }), dir);
      expect(readdirSync(dir)).toHaveLength(2);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});
