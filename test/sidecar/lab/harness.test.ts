import { describe, expect, test } from 'vitest';
import { aimd } from '../../../sidecar/decide/aimd.ts';
import { createFixed } from '../../../sidecar/decide/fixed.ts';
import { Linear } from '../../../sidecar/decide/linear.ts';
import { runHarness } from '../../../sidecar/lab/harness.ts';
import { createCurve } from '../../../sidecar/lab/profiles.ts';
import { Tally, toObjective, toRunObjective } from '../../../sidecar/lab/tally.ts';
import { DEFAULT_POLICY } from '../../../src/core/policy.ts';
import { START_SETTINGS } from '../../../src/core/settings.ts';
import { type Cell, runCell, runFixed, toProfilePoints } from '../../support/lab-cell.ts';

const flat = createCurve([
  { items: 1, latencyMs: 100 },
  { items: 64, latencyMs: 100 },
]);
const points = toProfilePoints('ResNet-50-v1.5|A100-80GB|TF32|PaddlePaddle');
const cell: Cell = { name: '', points, workload: 'poisson:60%', slaFactor: 3, interference: 0.7, windows: 12 };

/** Arrivals at these times, s. */
function toArrivals(timesS: readonly number[]): () => number | null {
  let index = 0;
  return () => timesS[index++] ?? null;
}

function runAt(timesS: readonly number[], settings = START_SETTINGS, slaP99Ms = 1000) {
  return runHarness({
    curve: flat,
    nextArrivalS: toArrivals(timesS),
    stretchStartsS: [0],
    policy: { ...DEFAULT_POLICY, sla: { p99Ms: slaP99Ms, errorRate: 0.01 } },
    decider: createFixed(settings),
    start: settings,
  });
}

describe('by hand', () => {
  test('natural batching: the first goes at once, what comes while it runs goes together', () => {
    const { tally } = runAt([0, 0.01, 0.02, 0.5]);
    const { requests, completed, gpuBusy, p99Ms } = tally.whole();
    expect([requests, completed]).toEqual([4, 4]);
    // batches of 1, 2, 1 of about 100 ms each; the second ends at 200, so its first member took about 190
    expect(gpuBusy).toBeCloseTo(300 / 600, 1);
    expect(p99Ms / 190).toBeCloseTo(1, 0);
  });

  test('a delay holds on an idle engine too', () => {
    const { tally } = runAt([0], { ...START_SETTINGS, batchDelayMs: 50 });
    expect(tally.whole().p99Ms / 150).toBeCloseTo(1, 1);
  });
});

describe('a run', () => {
  test('loses nothing: every request is answered or counted as lost', () => {
    for (const workload of ['poisson:60%', 'poisson:200%', 'burst:20%/180%/5/10']) {
      const { tally } = runCell({ ...cell, workload }, 'balanced', new Linear());
      const { requests, completed, lost } = tally.whole();
      expect(requests).toBeGreaterThan(3000);
      expect(completed + lost).toBe(requests);
    }
  });

  test('sheds what overload cannot hold, and what it takes ends within twice the SLA and a batch', () => {
    const { tally, windows } = runFixed({ ...cell, workload: 'poisson:200%' }, 'balanced', START_SETTINGS);
    const whole = tally.whole();
    expect(whole.lost / whole.requests).toBeGreaterThan(0.3);
    expect(whole.isFeasible).toBe(false);
    expect(windows.at(-1)!.snapshot.window.shedRatio).toBeGreaterThan(0.3);
  });

  test('gives the same bytes for the same seed, and others for another', () => {
    const run = (seed: number) => {
      const { tally, windows, explanations } = runCell({ ...cell, seed }, 'cost', new Linear());
      return JSON.stringify([tally.stretches(), windows, explanations]);
    };
    expect(run(3)).toBe(run(3));
    expect(run(3)).not.toBe(run(4));
  });

  test('closes a window each sampling interval, with what was in force in it', () => {
    const { windows } = runFixed(cell, 'balanced', START_SETTINGS);
    expect(windows.length).toBe(12);
    for (const [index, { atMs, snapshot }] of windows.entries()) {
      expect(atMs).toBeCloseTo((index + 1) * 10_000, -3);
      expect(snapshot.version.settings).toEqual(START_SETTINGS);
    }
  });

  test('the busy share that sense infers is the busy share of the device', () => {
    const { tally, windows } = runFixed({ ...cell, workload: 'poisson:20%' }, 'balanced', {
      ...START_SETTINGS,
      batchDelayMs: 100,
    });
    const inferred = windows.reduce((sum, { snapshot }) => sum + snapshot.window.busyRatio, 0) / windows.length;
    expect(inferred / tally.whole().gpuBusy).toBeCloseTo(1, 1);
  });

  test('a step up under a small batch: with the reflex hardly anything is lost, without it a lot', () => {
    const small = { ...START_SETTINGS, batchSize: 4 };
    const step: Cell = { ...cell, workload: 'steps:15%@0,60%@65', windows: 12 };
    const options = { start: small, hasGuard: false };
    // A rule that never moves away from what the reflex chose.
    const hold = {
      name: 'hold',
      decide: (model: { model: string }) =>
        ({ kind: 'hold', model: model.model, decider: 'hold', reason: 'test' }) as const,
    };
    const withReflex = runCell(step, 'balanced', hold, options);
    const without = runCell(step, 'balanced', hold, { ...options, hasReflex: false });
    expect(withReflex.reflexTrips).toBeGreaterThan(0);
    const missed = ({ tally }: typeof without): number => 1 - tally.whole().sloAttainment;
    expect(missed(without)).toBeGreaterThan(0.3);
    expect(missed(withReflex)).toBeLessThan(0.03);
  });

  test('an engine that becomes 1.6 times as slow is noticed: the rule drops its old curve and still answers', () => {
    const disturbances = [
      {
        atS: 60,
        apply: (engine: { setSlowdown(ratio: number, nowMs: number): void }, nowMs: number) =>
          engine.setSlowdown(1.6, nowMs),
      },
    ];
    const { tally, windows } = runCell({ ...cell, workload: 'poisson:20%' }, 'balanced', new Linear(), {
      disturbances,
    });
    const upstream = (index: number): number => windows.at(index)!.snapshot.window.upstream!.p50Ms;
    expect(upstream(-1) / upstream(2)).toBeGreaterThan(1.4);
    expect(tally.whole().lost / tally.whole().requests).toBeLessThan(0.01);
  });

  test('aimd does not starve itself from batch 1', () => {
    const { windows } = runCell({ ...cell, windows: 40 }, 'balanced', aimd, {
      start: { ...START_SETTINGS, batchSize: 1 },
      hasGuard: false,
    });
    expect(windows.at(-1)!.snapshot.window.shedRatio).toBe(0);
    expect(windows.at(-1)!.settings.batchSize).toBeGreaterThan(4);
  });
});

describe('the score', () => {
  test('stretches are counted by arrival, busy time by when it passed, and the run is their sum', () => {
    const tally = new Tally([0, 100], 50);
    tally.arrived(10, 0);
    tally.arrived(90, 20);
    tally.arrived(110, 40);
    tally.answered(90, 60);
    tally.answered(10, 30);
    tally.lost(110);
    tally.passed(200, 100);
    const [first, second] = tally.stretches();
    expect(first).toMatchObject({ requests: 2, completed: 2, lost: 0, sloAttainment: 0.5, isFeasible: false });
    expect(second).toMatchObject({ requests: 1, completed: 0, lost: 1, sloAttainment: 0, gpuSecondsPer1k: Infinity });
    expect(tally.whole()).toMatchObject({ requests: 3, completed: 2, lost: 1, gpuBusy: 0.5, goodputPerS: 5 });
  });

  test('the objective is p99^w * gpuSecondsPer1k^w, by requests over the stretches, and infinite when one is infeasible', () => {
    const weights = { performance: 0.5, cost: 0.5 };
    const score = (requests: number, p99Ms: number, isFeasible = true) =>
      ({ ...new Tally([0], 1).whole(), requests, p99Ms, gpuSecondsPer1k: 4, isFeasible }) as const;
    expect(toObjective(score(1, 9), weights)).toBeCloseTo(6, 10);
    expect(toRunObjective([score(1, 9), score(3, 25)], weights)).toBeCloseTo((6 + 3 * 10) / 4, 10);
    expect(toRunObjective([score(1, 9), score(3, 25, false)], weights)).toBe(Infinity);
    expect(toRunObjective([], weights)).toBe(Infinity);
  });
});
