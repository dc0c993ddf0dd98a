import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Sketch } from '../../../sidecar/sense/sketch.ts';

const MAX_RELATIVE_ERROR = 0.016;
/** 1 us .. 100 s in ms, uniform in the logarithm. */
const latencyMs = fc.double({ min: -3, max: 5, noNaN: true }).map((exponent) => 10 ** exponent);
const QS = [0, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1];

function exactQuantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1]!;
}

function sketchOf(values: readonly number[], unitsPerValue = 1000): Sketch {
  const sketch = new Sketch(unitsPerValue);
  for (const value of values) sketch.record(value);
  return sketch;
}

describe('Sketch', () => {
  test('every quantile is within 1.6 % of the exact nearest-rank one, from 1 us to 100 s', () => {
    fc.assert(
      fc.property(fc.array(latencyMs, { minLength: 1, maxLength: 300 }), (values) => {
        const got = sketchOf(values).quantiles(QS);
        for (const [i, q] of QS.entries()) {
          const exact = exactQuantile(values, q);
          expect(Math.abs(got[i]! - exact) / exact, `q ${q} of ${values.length}`).toBeLessThanOrEqual(
            MAX_RELATIVE_ERROR,
          );
        }
      }),
      { numRuns: 300 },
    );
  });

  test('every power of two and its neighbours keep the bound: no bucket edge is off by one', () => {
    for (let e = 0; e < 27; e++)
      for (const units of [2 ** e, 2 ** e * 1.0001, 2 ** e * 1.9999]) {
        const ms = units / 1000;
        const sketch = sketchOf([ms, ms * 4]);
        expect(Math.abs(sketch.quantile(0.5) - ms) / ms).toBeLessThanOrEqual(MAX_RELATIVE_ERROR);
      }
  });

  test('merging two sketches is recording all values into one', () => {
    fc.assert(
      fc.property(fc.array(latencyMs), fc.array(latencyMs), (left, right) => {
        const merged = sketchOf(left);
        merged.merge(sketchOf(right));
        const whole = sketchOf([...left, ...right]);
        expect(merged.count).toBe(whole.count);
        expect(merged.max).toBe(whole.max);
        expect(merged.quantiles(QS)).toEqual(whole.quantiles(QS));
      }),
    );
  });

  test('subtracting an earlier state leaves what was recorded since', () => {
    fc.assert(
      fc.property(fc.array(latencyMs), fc.array(latencyMs, { minLength: 1 }), (before, after) => {
        const running = sketchOf(before);
        const earlier = running.clone();
        for (const value of after) running.record(value);
        running.subtract(earlier);
        expect(running.count).toBe(after.length);
        const exact = exactQuantile(after, 0.9);
        expect(Math.abs(running.quantile(0.9) - exact) / exact).toBeLessThanOrEqual(MAX_RELATIVE_ERROR);
        expect(running.max).toBeGreaterThanOrEqual(Math.max(...after) * (1 - 1e-9));
      }),
    );
  });

  test('quantiles never fall as q rises', () => {
    fc.assert(
      fc.property(fc.array(latencyMs, { minLength: 1 }), (values) => {
        const got = sketchOf(values).quantiles(QS);
        expect(got).toEqual(got.toSorted((a, b) => a - b));
      }),
    );
  });

  test('values that cannot be are kept out or clamped: NaN, below zero, above the top', () => {
    const sketch = sketchOf([Number.NaN, -5, Number.POSITIVE_INFINITY, 1e9]);
    expect(sketch.count).toBe(3);
    expect(sketch.quantile(0.1)).toBeLessThan(0.001);
    expect(sketch.quantile(1)).toBeGreaterThan(130_000);
  });

  test('an empty sketch, and a reset one, read 0 everywhere', () => {
    const sketch = sketchOf([1, 2, 3]);
    sketch.reset();
    for (const empty of [sketch, new Sketch()])
      expect([empty.count, empty.mean, empty.max, ...empty.quantiles(QS)]).toEqual([0, 0, 0, ...QS.map(() => 0)]);
  });

  test('whole numbers below 32 are exact after rounding where the unit is 1', () => {
    for (let items = 1; items < 32; items++) {
      const sketch = sketchOf([items, 1000], 1);
      expect(Math.round(sketch.quantile(0.5))).toBe(items);
    }
  });
});
