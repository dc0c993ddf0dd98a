import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LatencyTally } from '../../src/core/latency-tally.ts';

const latencies = fc.array(fc.double({ min: 0.01, max: 60_000, noNaN: true }), { minLength: 1, maxLength: 300 });

function tallyOf(values: readonly number[]): LatencyTally {
  const tally = new LatencyTally();
  for (const value of values) tally.record(value);
  return tally;
}

describe('a tally of latencies', () => {
  test('gives every quantile within half a per cent', () => {
    fc.assert(
      fc.property(latencies, fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
        const sorted = values.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1]!;
        expect(Math.abs((tallyOf(values).quantileMs(q) ?? 0) / exact - 1)).toBeLessThan(0.0051);
      }),
    );
  });

  test('gives the mean of the slowest share within half a per cent', () => {
    fc.assert(
      fc.property(latencies, fc.double({ min: 0.01, max: 1, noNaN: true }), (values, share) => {
        const slowest = values.toSorted((a, b) => b - a).slice(0, Math.max(1, Math.round(share * values.length)));
        const exact = slowest.reduce((sum, value) => sum + value, 0) / slowest.length;
        expect(Math.abs((tallyOf(values).tailMeanMs(share) ?? 0) / exact - 1)).toBeLessThan(0.0051);
      }),
    );
  });

  test('of several slices is that of all their answers', () => {
    fc.assert(
      fc.property(latencies, latencies, (a, b) => {
        const merged = tallyOf(a);
        merged.merge(tallyOf(b));
        const whole = tallyOf([...a, ...b]);
        expect(merged.count).toBe(whole.count);
        for (const q of [0.5, 0.9, 0.99]) expect(merged.quantileMs(q)).toBe(whole.quantileMs(q));
      }),
    );
  });

  test('counts what is within a target', () => {
    const tally = tallyOf([10, 20, 30, 40]);
    expect([5, 10, 25, 1e9].map((limitMs) => tally.countAtMost(limitMs))).toEqual([0, 1, 2, 4]);
  });

  test('knows nothing when empty, and takes what is no latency as the least', () => {
    expect([new LatencyTally().quantileMs(0.99), new LatencyTally().tailMeanMs(0.1)]).toEqual([null, null]);
    const odd = tallyOf([Number.NaN, -1, 0, Infinity]);
    expect(odd.count).toBe(4);
    expect(odd.quantileMs(0.5)).toBeCloseTo(0.001);
    expect(odd.quantileMs(1)).toBeGreaterThan(900_000);
  });
});
