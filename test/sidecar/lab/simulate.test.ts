import { describe, expect, test } from 'vitest';
import type { Mode } from '../../../src/core/policy.ts';
import { parseController } from '../../../sidecar/lab/controllers.ts';
import type { CellSpec } from '../../../sidecar/lab/cell.ts';
import type { SimulationReport } from '../../../sidecar/lab/report.ts';
import { simulate } from '../../../sidecar/lab/simulate.ts';
import { POINTS, toSpec } from './cells.ts';

function run(
  name: string,
  workload: string,
  mode: Mode = 'balanced',
  more: Partial<CellSpec> = {},
  hasReach = false,
): SimulationReport {
  const spec = toSpec(workload, { length: { requests: 3000 }, ...more });
  const controller = parseController(name, spec.slaP99Ms);
  if ('expected' in controller) throw new Error(controller.expected);
  return simulate({ spec, mode, controller, cacheDir: null, hasReach });
}

/** 30 intervals of 10 s as they are, at a peak of 89/s. */
const SLOW: Partial<CellSpec> = {
  points: POINTS.map(({ items, latencyMs }) => ({ items, latencyMs: 20 * latencyMs })),
  slaP99Ms: 1200,
  length: { durationS: 300 },
};
const CONTROLLERS = ['planner', 'linear', 'aimd', 'gradient', 'bayes', 'fixed:b=8,d=2,c=1', 'oracle-static'];

describe('a simulation', () => {
  test.each(CONTROLLERS)('of %s gives the same bytes twice, and every request is accounted for', (name) => {
    const workload = 'steps:20%@0,70%@100,40%@200';
    const report = run(name, workload, 'balanced', SLOW);
    expect(JSON.stringify(run(name, workload, 'balanced', SLOW))).toBe(JSON.stringify(report));
    expect(report.completed + report.shed + report.failed).toBe(report.requests);
    const parts = report.stretches.flatMap((stretch) => [stretch, stretch.excused ?? { requests: 0 }]);
    expect(report.warmUp.requests + parts.reduce((sum, part) => sum + part.requests, 0)).toBe(report.requests);
    expect(report.gpuUtil).toBeLessThanOrEqual(report.gpuBusy + 1e-9);
    expect(report.p50Ms).toBeLessThanOrEqual(report.p99Ms);
  });

  test('has exactly the fields of the contract', () => {
    const contract = `requests completed shed failed goodputPerS sloAttainment p50Ms p99Ms meanBatch gpuBusy gpuUtil gpuSecondsPer1k objective feasible stretches settings decisions rollbacks unsafeDecisions decisionsTo95 secondsTo95 seed`;
    const report = run('planner', 'steps:20%@0,70%@100', 'balanced', SLOW);
    expect(Object.keys(report)).toEqual(expect.arrayContaining(contract.split(' ')));
    for (const decision of report.decisions)
      expect(Object.keys(decision)).toEqual(['t', 'class', 'from', 'to', 'predicted', 'measured', 'verdict']);
    expect(report.settings[0]).toEqual({ t: 0, batchSize: 64, batchDelayMs: 0, concurrency: 1, switches: {} });
  });

  test('starts deciders at natural batching, and constants and oracles at their own', () => {
    expect(run('fixed:b=8,d=2,c=3', 'poisson:40%').settings).toEqual([
      { t: 0, batchSize: 8, batchDelayMs: 2, concurrency: 3, switches: {} },
    ]);
    expect(run('aimd', 'poisson:40%', 'balanced', SLOW).settings[0]).toMatchObject({
      batchSize: 64,
      batchDelayMs: 0,
      concurrency: 1,
    });
  });

  test('objective: the regret of everybody against oracle-phase is what hindsight leaves; nobody but a lucky decider is below it', () => {
    const oracle = run('oracle-phase', 'poisson:60%', 'cost');
    expect(oracle.feasible).toBe(true);
    for (const name of ['fixed:b=64,d=0,c=1', 'fixed:b=4,d=0,c=1', 'oracle-static']) {
      const { objective, feasible } = run(name, 'poisson:60%', 'cost');
      if (feasible) expect(objective!).toBeGreaterThanOrEqual(oracle.objective! * (1 - 1e-12));
    }
  });

  test('a switch turned by a constant is in force from the start, at the speed of the alternative', () => {
    const points = [1, 64].map((items) => ({ items, latencyMs: 2 + 0.25 * items }));
    const alternative = { points, switchName: 'tensorrt', stallMs: 100 };
    const off = run('fixed:b=16,d=0,c=1', 'poisson:50%', 'cost', { alternative });
    const on = run('fixed:b=16,d=0,c=1,tensorrt=on', 'poisson:50%', 'cost', { alternative });
    expect(on.p99Ms / off.p99Ms).toBeLessThan(0.7);
  });

  test('settings reached: a constant that is the best needs no decision, a bad one never gets there', () => {
    const best = run('oracle-static', 'poisson:60%', 'cost', {}, true);
    expect([best.decisionsTo95, best.secondsTo95]).toEqual([0, 0]);
    expect(run('fixed:b=1,d=0,c=1', 'poisson:10%', 'cost', {}, true).decisionsTo95).toBeNull();
  });
});

describe('controllers', () => {
  test.each([
    ['fixed:b=0,d=0,c=1'],
    ['fixed:b=8'],
    ['fixed:b=8,d=-1,c=1'],
    ['fixed:b=8,d=0,c=1,tensorrt=maybe'],
    ['ppo-scratchy'],
    ['toString'],
    [''],
  ])('%j is refused with the forms there are', (text) => {
    expect(parseController(text, 100)).toMatchObject({ field: 'controller', got: JSON.stringify(text) });
  });

  test('a delay may be a share of the SLA', () => {
    expect(parseController('fixed:c=2,b=64,d=sla/4', 100)).toMatchObject({
      settings: { batchSize: 64, batchDelayMs: 25, concurrency: 2 },
    });
  });
});
