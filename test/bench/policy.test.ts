import { describe, expect, test } from 'vitest';
import { toFamily } from '../../sidecar/lab/split.ts';
import { readSplit, toCells } from './policy-cells.ts';
import type { Outcome } from './policy-play.ts';
import { toFlatCells, toMarkdown, toRows } from './policy-table.ts';

const { heldOut, training } = readSplit();
const cells = toCells(heldOut, 60, 30_000, 1);

describe('the cells of the league', () => {
  test('are of held-out families only, each once, and a longer list begins with the shorter', () => {
    const families = new Set(training.map(toFamily));
    for (const { spec } of cells) {
      const profile = heldOut.find(({ points }) => points === spec.points);
      expect(families.has(toFamily(profile!))).toBe(false);
    }
    expect(new Set(cells.map(({ id }) => id)).size).toBe(cells.length);
    expect(cells.slice(0, 20).map(({ id }) => id)).toEqual(toCells(heldOut, 20, 30_000, 1).map(({ id }) => id));
  });

  test('a short list has every kind of load, interference and SLA', () => {
    const ids = cells.slice(0, 20).map(({ id }) => id);
    for (const part of [
      'steady-93',
      'burst',
      'drift',
      'neighbour',
      'flash',
      'kappa 0 ',
      'kappa 1 ',
      'SLA 1.3 ',
      'SLA 3 ',
    ])
      expect(
        ids.some((id) => id.includes(part)),
        part,
      ).toBe(true);
  });
});

describe('the table', () => {
  const outcome = (cell: string, controller: string, regret: number | null): Outcome => ({
    cell,
    mode: 'cost',
    controller,
    regret,
    softRegret: regret ?? 0.5,
    brokenStretches: regret === null ? 0.1 : 0,
    sloAttainment: 1,
    changes: 2,
    rollbacks: 0,
    unsafe: 0,
    decisionsTo95: null,
    cpuMs: 1,
  });
  const results = ['a', 'b', 'c'].map((cell, index) => ({
    cell,
    infeasible: ['performance' as const],
    outcomes: [
      outcome(cell, 'planner', [0.1, null, 0.05][index]!),
      outcome(cell, 'linear', 0.2),
      outcome(cell, 'fixed:b=64,d=0,c=1', [0.5, 0.5, 0.01][index]!),
    ],
  }));

  test('keeps flat cells apart, never hides a break, and names the cells that are lost', () => {
    expect([...toFlatCells(results, 'cost')]).toEqual(['c']);
    const text = toMarkdown(results);
    expect(text).toContain('### cost: 2 cells, 1 flat ones apart, 0 left out');
    expect(text).toContain('### performance: 0 cells, 0 flat ones apart, 3 left out');
    expect(text).toContain('- b: breaks against 20.0 %');
    expect(text).not.toContain('- a:');
  });

  test('a quantile that lies among the broken runs is no number', () => {
    const rows = toRows(results.flatMap(({ outcomes }) => outcomes).filter((one) => one.controller === 'planner'));
    expect(rows[0]).toMatchObject({ cells: 3, median: 0.1, p90: null, breaks: 1 });
  });
});
