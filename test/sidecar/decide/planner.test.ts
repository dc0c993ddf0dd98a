import { describe, expect, test } from 'vitest';
import { Planner } from '../../../sidecar/decide/planner.ts';
import { PlannerArrivals } from '../../../sidecar/decide/planner-arrivals.ts';
import { PlannerSearch, ROUND_ARRIVALS, toUtilization } from '../../../sidecar/decide/planner-search.ts';
import { runAgent } from '../../../sidecar/lab/agent-run.ts';
import { type Cell, toCellPolicy } from '../../../sidecar/lab/cell.ts';
import { toStretchScores } from '../../../sidecar/lab/grid.ts';
import { findOracle } from '../../../sidecar/lab/oracle.ts';
import { Scorer, toRunScore } from '../../../sidecar/lab/score.ts';
import { type Mode, MODE_WEIGHTS } from '../../../src/core/policy.ts';
import { createRandom } from '../../../src/core/random.ts';
import type { ModelSnapshot } from '../../../src/core/snapshot.ts';
import { toEngineModel } from '../../../src/model/engine-model.ts';
import { toCell } from '../lab/cells.ts';

function toRegret(cell: Cell, mode: Mode): number {
  const run = runAgent({ cell, policy: toCellPolicy(cell, mode), decider: new Planner() });
  const scorer = new Scorer(cell.arrivalsMs, cell.pieces, cell.slaMs);
  const { objective, isFeasible } = toRunScore(toStretchScores(scorer, run), MODE_WEIGHTS[mode]);
  return isFeasible ? objective / findOracle(cell)[mode].phase.objective - 1 : Infinity;
}

describe('the planner', () => {
  test.each([
    ['performance', 0.25],
    ['cost', 0.1],
    ['balanced', 0.15],
  ] as const)('in %s mode at 70 % load is within its bar of hindsight, knowing nothing at the start', (mode, bar) => {
    expect(toRegret(toCell('poisson:70%', { length: { requests: 12_000 }, interference: 0.4 }), mode)).toBeLessThan(
      bar,
    );
  });

  test('holds while it knows nothing, and says so', () => {
    const cell = toCell('poisson:1', { length: { durationS: 30 } });
    const reasons: string[] = [];
    runAgent({
      cell,
      policy: toCellPolicy(cell, 'cost'),
      decider: new Planner(),
      onWindow: (_, { decision }) => reasons.push(decision.kind === 'hold' ? decision.reason : 'proposed'),
    });
    expect(reasons[0]).toBe('too little traffic to fit an engine');
  });
});

describe('the search', () => {
  const engine = toEngineModel((items) => 4 + 0.5 * items, 0.7);
  const random = createRandom(2);
  const arrivalsMs = new Float64Array(ROUND_ARRIVALS.at(-1)!);
  let atMs = 0;
  for (let index = 0; index < arrivalsMs.length; index++) arrivalsMs[index] = atMs += random.exponential(1);
  const traffic = { arrivalsMs, sizes: null, itemsPerMs: 1, itemsPerRequest: 1 };
  const settings = (batchSize: number, concurrency = 1) => ({ batchSize, batchDelayMs: 0, concurrency, switches: {} });

  test('leaves out what cannot hold the load and finds the best of the rest', () => {
    const search = new PlannerSearch();
    const sizes = [1, 2, 4, 8, 16, 32, 64];
    expect(toUtilization(settings(4), engine, 1)).toBeGreaterThan(1);
    const best = search.best(
      sizes.map((size) => settings(size)),
      engine,
      0.05,
      traffic,
      (outlook) => outlook.p99Ms,
    );
    expect(best.map((outlook) => outlook.settings.batchSize)).not.toContain(4);
    const all = sizes.slice(3).map((size) => search.outlook(settings(size), engine, 0.05, traffic, arrivalsMs.length));
    expect(best[0]!.p99Ms).toBe(Math.min(...all.map((outlook) => outlook.p99Ms)));
  });

  test('the same question has the same answer: noise and traffic are drawn once', () => {
    const [a, b] = [new PlannerSearch(), new PlannerSearch()];
    b.outlook(settings(8), engine, 0.2, traffic, 500);
    expect(a.outlook(settings(16, 2), engine, 0.05, traffic, 3000)).toEqual(
      b.outlook(settings(16, 2), engine, 0.05, traffic, 3000),
    );
  });
});

describe('the traffic planned for', () => {
  const windowOf = (arrivals: readonly (readonly [number, number])[], isChangePoint = false): ModelSnapshot =>
    ({
      arrivals,
      isChangePoint,
      window: { durationMs: 10_000, arrivals: arrivals.length, arrivedItems: arrivals.length },
    }) as unknown as ModelSnapshot;
  const evenly = (count: number, fromMs: number, spanMs = 10_000): (readonly [number, number])[] =>
    Array.from({ length: count }, (_, index) => [fromMs + ((index + 0.5) * spanMs) / count, 1] as const);

  test('is at the mean rate of the last three intervals, or of the newest when that is off', () => {
    const arrivals = new PlannerArrivals();
    arrivals.plan(windowOf(evenly(100, 0)), 10_000, 10_000, 300);
    const steady = arrivals.plan(windowOf(evenly(110, 10_000)), 20_000, 10_000, 300)!;
    expect(steady.itemsPerMs).toBeCloseTo(0.0105, 3);
    const up = arrivals.plan(windowOf(evenly(200, 20_000)), 30_000, 10_000, 300)!;
    expect(up.itemsPerMs).toBeCloseTo(0.0205, 3);
    expect(up.arrivalsMs).toHaveLength(300);
    expect(300 / up.arrivalsMs.at(-1)! / up.itemsPerMs).toBeCloseTo(1, 1);
  });

  test('after a jump inside the window only its end counts', () => {
    const arrivals = new PlannerArrivals();
    arrivals.plan(windowOf(evenly(100, 0)), 10_000, 10_000, 300);
    const jump = [...evenly(60, 10_000, 6000), ...evenly(120, 16_000, 4000)];
    const planned = arrivals.plan(windowOf(jump, true), 20_000, 10_000, 300)!;
    expect(planned.itemsPerMs).toBeCloseTo(0.03, 2);
  });

  test('keeps the sizes of requests, and says nothing of too little', () => {
    const arrivals = new PlannerArrivals();
    expect(arrivals.plan(windowOf(evenly(5, 0)), 10_000, 10_000, 300)).toBeNull();
    const sized = evenly(100, 10_000).map(([at], index) => [at, 1 + (index % 3)] as const);
    const planned = arrivals.plan(windowOf(sized), 20_000, 10_000, 300)!;
    expect(planned.itemsPerRequest).toBeCloseTo(2, 1);
    expect(new Set(planned.sizes)).toEqual(new Set([1, 2, 3]));
  });
});
