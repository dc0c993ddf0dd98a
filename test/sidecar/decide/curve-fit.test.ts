import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CurveFit } from '../../../sidecar/decide/curve-fit.ts';
import { createRandom } from '../../../src/core/random.ts';
import type { BatchSample } from '../../../src/core/snapshot.ts';
import { Engine } from '../../../sidecar/lab/engine.ts';
import { PROFILES, toScaledCurve } from '../../support/lab-cell.ts';
import { toSamples } from '../../support/model-snapshot.ts';

/** Keeps `inflight` batches of changing size on a modelled engine; the samples as the proxy would report them. */
function runEngine(points: Parameters<typeof toScaledCurve>[0], inflight: number, interference: number): BatchSample[] {
  const random = createRandom(5);
  const engine = new Engine({ curve: toScaledCurve(points, 1000), interference, random });
  const started = new Map<number, BatchSample>();
  const samples: BatchSample[] = [];
  let nowMs = 0;
  for (let turn = 0; turn < 300; turn++) {
    while (engine.running < inflight) {
      const items = 1 + random.int(16);
      const sample = { startedMs: nowMs, durationMs: 0, items, inflight: engine.running + 1 };
      started.set(engine.start(items, nowMs), sample);
    }
    nowMs = engine.nextEndMs;
    const ended = engine.end(nowMs)!;
    samples.push({ ...started.get(ended.ticket)!, durationMs: ended.endedMs - ended.startedMs });
  }
  return samples;
}

describe('the affine curve', () => {
  test('is found from noisy calls of several sizes, at any scale', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 100, noNaN: true }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (interceptMs, slopeRatio) => {
          const random = createRandom(3);
          const fit = new CurveFit();
          const truth = (items: number): number => interceptMs * (1 + slopeRatio * items);
          fit.observe(
            toSamples({
              count: 400,
              items: (index) => 1 + (index % 20),
              durationMs: (items) => truth(items) * (1 + 0.05 * random.normal()),
            }),
          );
          const belief = fit.belief()!;
          for (const items of [1, 10, 20, 64]) expect(belief.latencyMs(items) / truth(items)).toBeCloseTo(1, 1);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('comes within 12 % on average of the measured curves it was made for, by half of them within 8 %', () => {
    const errors = PROFILES.map(({ points }) => {
      const curve = toScaledCurve(points, 1000);
      const sizes = [1, 2, 4, 8, 16, 32, 64];
      const fit = new CurveFit();
      fit.observe(
        toSamples({ count: 490, items: (index) => sizes[index % 7]!, durationMs: (items) => curve.latencyMs(items) }),
      );
      const belief = fit.belief()!;
      return sizes.reduce((sum, items) => sum + Math.abs(belief.latencyMs(items) / curve.latencyMs(items) - 1), 0) / 7;
    }).toSorted((a, b) => a - b);
    expect(errors[errors.length >> 1]).toBeLessThan(0.08);
    expect(errors.reduce((sum, error) => sum + error, 0) / errors.length).toBeLessThan(0.12);
  });

  test('knows its doubt: wide from few calls and beyond what was seen, narrow where there are many', () => {
    const narrow = new CurveFit();
    narrow.observe(toSamples({ count: 500, items: (index) => 1 + (index % 16) }));
    const wide = new CurveFit();
    wide.observe(toSamples({ count: 3, items: () => 1 }));
    expect(wide.belief()!.errorRatio(1)).toBeGreaterThan(2 * narrow.belief()!.errorRatio(1));
    expect(narrow.belief()!.errorRatio(64)).toBeGreaterThan(0.1);
    expect(narrow.belief()!.errorRatio(8)).toBeLessThan(0.02);
    expect(new CurveFit().belief()).toBeNull();
  });

  test('does not forget sizes that are no longer visited', () => {
    const fit = new CurveFit();
    const durationMs = (items: number): number => 10 + 2 * items;
    fit.observe(toSamples({ count: 300, items: (index) => 1 + (index % 32), durationMs }));
    for (let window = 0; window < 50; window++) fit.observe(toSamples({ count: 500, items: () => 2, durationMs }));
    expect(fit.belief()!.latencyMs(32)).toBeCloseTo(74, 0);
  });

  test('starts again when the engine becomes another, and not for a burst of outliers', () => {
    const fit = new CurveFit();
    const items = (index: number): number => 1 + (index % 8);
    fit.observe(toSamples({ count: 200, items, durationMs: (n) => 10 + n }));
    fit.observe(toSamples({ count: 200, items, durationMs: (n, index) => (10 + n) * (index < 40 ? 5 : 1) }));
    expect(fit.resets).toBe(0);
    fit.observe(toSamples({ count: 200, items, durationMs: (n) => 2 * (10 + n) }));
    expect(fit.resets).toBe(1);
    expect(fit.belief()!.latencyMs(4)).toBeCloseTo(28, 0);
  });
});

describe('the interference', () => {
  const points = PROFILES[3]!.points;

  test.each([0, 0.3, 0.7, 1])('kappa %s is found once calls have overlapped, after a time of single calls', (kappa) => {
    const fit = new CurveFit();
    fit.observe(runEngine(points, 1, kappa));
    expect(fit.belief()!.isInterferenceSeen).toBe(false);
    expect(fit.belief()!.interference).toBeCloseTo(0.7, 5);
    fit.observe(runEngine(points, 2, kappa));
    expect(fit.belief()!.isInterferenceSeen).toBe(true);
    expect(Math.abs(fit.belief()!.interference - kappa)).toBeLessThan(0.15);
  });

  test('overlapping calls leave the curve alone as it was', () => {
    const fit = new CurveFit();
    fit.observe(runEngine(points, 1, 1));
    const alone = fit.belief()!.latencyMs(8);
    for (let window = 0; window < 5; window++) fit.observe(runEngine(points, 4, 1));
    expect(fit.belief()!.latencyMs(8) / alone).toBeCloseTo(1, 0);
    expect(fit.resets).toBe(0);
  });
});

test('samples in any order, of zero length or of other models break nothing', () => {
  const sample = fc.record({
    startedMs: fc.double({ min: 0, max: 1e6, noNaN: true }),
    durationMs: fc.double({ min: 0, max: 1e4, noNaN: true }),
    items: fc.integer({ min: 1, max: 10_000 }),
    inflight: fc.integer({ min: 1, max: 64 }),
  });
  fc.assert(
    fc.property(fc.array(fc.array(sample, { maxLength: 30 }), { maxLength: 4 }), (windows) => {
      const fit = new CurveFit();
      for (const window of windows) fit.observe(window);
      const belief = fit.belief();
      if (belief === null) return;
      for (const items of [1, 64]) {
        expect(belief.latencyMs(items)).toBeGreaterThan(0);
        expect(belief.errorRatio(items)).toBeGreaterThanOrEqual(0);
      }
      expect(belief.latencyMs(64)).toBeGreaterThanOrEqual(belief.latencyMs(1));
      expect(belief.interference).toBeGreaterThanOrEqual(0);
    }),
  );
});
