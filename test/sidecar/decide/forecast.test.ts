import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CurveBelief, CurveFit } from '../../../sidecar/decide/curve-fit.ts';
import { createFixed } from '../../../sidecar/decide/fixed.ts';
import { forecast } from '../../../sidecar/decide/forecast.ts';
import { START_SETTINGS } from '../../../src/core/settings.ts';
import { PROFILES, runCell, toScaledCurve } from '../../support/lab-cell.ts';
import { toSamples } from '../../support/model-snapshot.ts';

function toBelief(slopeMs: number, interceptMs: number, interference: number): CurveBelief {
  return {
    slopeMs,
    interceptMs,
    interference,
    isInterferenceSeen: true,
    residualP99: 1,
    seenItems: [1, 64],
    latencyMs: (items) => interceptMs + slopeMs * items,
    errorRatio: () => 0,
  };
}

const load = (itemsPerMs: number) => ({ itemsPerMs, itemsPerRequest: 1, dispersion: 1 });

describe('limits that are known', () => {
  test('a lone request on an idle engine takes L(1) and keeps it busy for lambda L(1)', () => {
    const { p99Ms, busyRatio } = forecast(toBelief(1, 9, 0.7), START_SETTINGS, load(1e-4));
    expect(p99Ms).toBeCloseTo(10, 0);
    expect(busyRatio).toBeCloseTo(1e-3, 4);
  });

  test('natural batching settles at n = lambda b / (1 - lambda a)', () => {
    // lambda 0.5, a 1, b 20 -> 20
    expect(forecast(toBelief(1, 20, 0.7), START_SETTINGS, load(0.5)).meanBatchItems).toBeCloseTo(20, 0);
  });

  test('single requests are an M/D/1 queue: p99 at 60 % load about four services', () => {
    const single = { ...START_SETTINGS, batchSize: 1 };
    expect(forecast(toBelief(10, 0, 0.7), single, load(0.06)).p99Ms / 10).toBeCloseTo(4.1, 0);
  });

  test('a delay that company fills is waited for no longer than the filling takes', () => {
    const held = { ...START_SETTINGS, batchSize: 4, batchDelayMs: 1000 };
    expect(forecast(toBelief(1, 10, 0.7), held, load(0.05)).p99Ms).toBeLessThan(200);
    expect(forecast(toBelief(1, 10, 0.7), held, load(0.0001)).p99Ms).toBeGreaterThan(1000);
  });

  test('over capacity there is no p99', () => {
    expect(forecast(toBelief(1, 1, 0.7), START_SETTINGS, load(1))).toMatchObject({ p99Ms: Infinity, busyRatio: 1 });
  });

  test('with perfect sharing two in flight shorten the wait, with time slicing they lengthen it', () => {
    const two = { ...START_SETTINGS, concurrency: 2 };
    const p99Ms = (interference: number, settings = two): number =>
      forecast(toBelief(0.2, 40, interference), settings, load(0.3)).p99Ms;
    expect(p99Ms(0)).toBeLessThan(p99Ms(0, START_SETTINGS));
    expect(p99Ms(1)).toBeGreaterThan(p99Ms(1, START_SETTINGS));
  });
});

test('any setting and load give a number or an overload, never a nonsense', () => {
  fc.assert(
    fc.property(
      fc.record({
        slope: fc.double({ min: 0, max: 50, noNaN: true }),
        intercept: fc.double({ min: 0.01, max: 500, noNaN: true }),
        kappa: fc.double({ min: 0, max: 1.5, noNaN: true }),
        batchSize: fc.integer({ min: 1, max: 256 }),
        batchDelayMs: fc.double({ min: 0, max: 5000, noNaN: true }),
        concurrency: fc.integer({ min: 1, max: 64 }),
        rate: fc.double({ min: 1e-6, max: 100, noNaN: true }),
        unit: fc.integer({ min: 1, max: 40 }),
        dispersion: fc.double({ min: 1, max: 300, noNaN: true }),
      }),
      ({ slope, intercept, kappa, rate, unit, dispersion, ...settings }) => {
        const belief = toBelief(slope, intercept, kappa);
        const expected = forecast(
          belief,
          { ...settings, switches: {} },
          { itemsPerMs: rate, itemsPerRequest: unit, dispersion },
        );
        expect(expected.busyRatio).toBeGreaterThanOrEqual(0);
        expect(expected.busyRatio).toBeLessThanOrEqual(1);
        expect(expected.p99Ms).toBeGreaterThanOrEqual(belief.latencyMs(1) * 0.999);
        expect(expected.meanBatchItems).toBeGreaterThanOrEqual(Math.min(unit, 1));
      },
    ),
  );
});

test('held against the simulated engine: half of the cells within 10 %, nine of ten within 35 %', () => {
  const errors: number[] = [];
  for (const { points } of [PROFILES[3]!, PROFILES[20]!, PROFILES[50]!, PROFILES[80]!])
    for (const interference of [0, 0.7])
      for (const share of [0.3, 0.6])
        for (const [batchSize, concurrency, delayMs] of [
          [64, 1, 0],
          [8, 2, 0],
          [8, 4, 0],
          [32, 1, 150],
        ] as const) {
          const settings = { ...START_SETTINGS, batchSize, concurrency, batchDelayMs: delayMs };
          const cell = {
            name: '',
            points,
            workload: `poisson:${share * 100}%`,
            slaFactor: 4,
            interference,
            windows: 10,
          };
          const { tally } = runCell(cell, 'balanced', createFixed(settings), {
            start: settings,
            hasGuard: false,
            hasReflex: false,
          });
          const measured = tally.whole();
          const curve = toScaledCurve(points);
          const fit = new CurveFit();
          const sizes = 16;
          fit.observe(
            toSamples({
              count: 480,
              items: (index) => 1 + (index % sizes),
              durationMs: (items) => curve.latencyMs(items),
            }),
          );
          const belief = { ...fit.belief()!, interference, residualP99: 1.12 };
          const expected = forecast(belief, settings, load(curve.peakItemsPerMs * share));
          if (measured.lost > 0 || expected.utilization > 0.93) continue;
          errors.push(Math.abs(Math.log(expected.p99Ms / measured.p99Ms)));
        }
  errors.sort((a, b) => a - b);
  expect(errors.length).toBeGreaterThan(35);
  expect(errors[Math.floor(0.5 * errors.length)]).toBeLessThan(0.1);
  expect(errors[Math.floor(0.9 * errors.length)]).toBeLessThan(0.35);
});
