import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawBlock, toBlockShape, toPace, toSlicePlan } from '../../../sidecar/act/trial-blocks.ts';
import { createRandom } from '../../../src/core/random.ts';
import { LatencyTally } from '../../../src/core/latency-tally.ts';

describe('the block of a stage', () => {
  test.each([
    // share, slices, candidates
    [0.1, 10, 1],
    [0.5, 4, 2],
    [0.25, 4, 1],
    [0.75, 4, 3],
    [0.05, 20, 1],
    [0.01, 100, 1],
  ])('of %s of the time: %s slices, %s of them the candidate', (share, slices, candidates) => {
    expect(toBlockShape(share)).toEqual({ slices, candidates });
  });

  test('never runs the candidate for more than its share, and always leaves a slice of the baseline', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 0.99, noNaN: true }), (share) => {
        const { slices, candidates } = toBlockShape(share);
        expect(candidates / slices).toBeLessThanOrEqual(share + 1e-6);
        expect(candidates).toBeGreaterThanOrEqual(1);
        expect(slices - candidates).toBeGreaterThanOrEqual(1);
      }),
    );
  });

  test('every slice that lots are drawn among is as likely as the others, and the lead is never drawn', () => {
    const random = createRandom(1);
    const counts = Array.from({ length: 10 }, () => 0);
    for (let draw = 0; draw < 7000; draw++) {
      const { arms, isDrawn } = drawBlock({ slices: 10, candidates: 1 }, 3, random);
      counts[arms.indexOf('candidate')]! += 1;
      expect(isDrawn.filter(Boolean)).toHaveLength(7);
    }
    expect(counts.slice(0, 3)).toEqual([0, 0, 0]);
    for (const count of counts.slice(3)) expect(Math.abs(count - 1000)).toBeLessThan(120);
  });
});

describe('the length of a slice', () => {
  const limits = { sliceMsMin: 1000, sliceMsMax: 60_000, minBatches: 20, delayMs: 0 };

  test.each([
    ['nothing is known', null, null, limits, { sliceMs: 1000, trimMs: 100 }],
    ['batches are many and short', { batchesPerS: 200, p99Ms: 12 }, null, limits, { sliceMs: 1000, trimMs: 12 }],
    ['batches are few', { batchesPerS: 4, p99Ms: 12 }, null, limits, { sliceMs: 5000, trimMs: 12 }],
    [
      'those of the candidate are fewer',
      { batchesPerS: 200, p99Ms: 12 },
      { batchesPerS: 10, p99Ms: 30 },
      limits,
      { sliceMs: 2000, trimMs: 30 },
    ],
    ['answers are slow', { batchesPerS: 200, p99Ms: 900 }, null, limits, { sliceMs: 3600, trimMs: 900 }],
    [
      'the candidate waits: what was in the queue must be gone',
      { batchesPerS: 200, p99Ms: 12 },
      null,
      { ...limits, delayMs: 400 },
      { sliceMs: 1600, trimMs: 400 },
    ],
    [
      'the candidate is slow beyond measure: the slices do not follow',
      { batchesPerS: 200, p99Ms: 100 },
      { batchesPerS: 200, p99Ms: 60_000 },
      limits,
      { sliceMs: 1200, trimMs: 300 },
    ],
    ['hardly anything comes', { batchesPerS: 0.01, p99Ms: 12 }, null, limits, { sliceMs: 60_000, trimMs: 12 }],
  ])('where %s', (_, baseline, candidate, given, plan) => {
    expect(toSlicePlan(baseline, candidate, given)).toMatchObject(plan);
  });

  test('rests on the slices that were answered', () => {
    const latency = new LatencyTally();
    latency.record(10);
    const slice = { batches: 30, durationMs: 1000, latency };
    const silent = { batches: 0, durationMs: 1000, latency: new LatencyTally() };
    expect(toPace([slice, silent])?.batchesPerS).toBe(15);
    expect(toPace([slice, silent])?.p99Ms).toBeCloseTo(10, 0);
    expect(toPace([silent])).toBeNull();
  });
});
