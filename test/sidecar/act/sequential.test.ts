import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SliceNoise, toRobustSpread } from '../../../sidecar/act/sequential-noise.ts';
import { toT, toZ } from '../../../sidecar/act/sequential-quantile.ts';
import { Evidence, toLogE } from '../../../sidecar/act/sequential.ts';
import { createRandom } from '../../../src/core/random.ts';

/** Every way to draw k of m. */
function toDraws(slices: number, candidates: number): boolean[][] {
  if (slices === 0) return candidates === 0 ? [[]] : [];
  const without = toDraws(slices - 1, candidates).map((draw) => [...draw, false]);
  const withOne = candidates === 0 ? [] : toDraws(slices - 1, candidates - 1).map((draw) => [...draw, true]);
  return [...without, ...withOne];
}

const block = fc
  .array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 2, maxLength: 8 })
  .chain((values) =>
    fc.record({ values: fc.constant(values), candidates: fc.integer({ min: 1, max: values.length - 1 }) }),
  );
const lambda = fc.double({ min: -40, max: 40, noNaN: true });

describe('the evidence of one block', () => {
  test('has mean 1 over all draws, whatever the values are: so it never speaks against what changes nothing', () => {
    fc.assert(
      fc.property(block, lambda, ({ values, candidates }, tilt) => {
        const draws = toDraws(values.length, candidates);
        const sum = draws.reduce((total, draw) => total + Math.exp(toLogE(values, draw, tilt)), 0);
        expect(sum / draws.length).toBeCloseTo(1, 6);
      }),
    );
  });

  test('is at most the number of draws, and no common shift of the values changes it', () => {
    fc.assert(
      fc.property(
        block,
        lambda,
        fc.double({ min: -100, max: 100, noNaN: true }),
        ({ values, candidates }, tilt, by) => {
          const draws = toDraws(values.length, candidates);
          const log = toLogE(values, draws[0]!, tilt);
          expect(log).toBeLessThanOrEqual(Math.log(draws.length) + 1e-9);
          const shifted = values.map((value) => value + by);
          expect(toLogE(shifted, draws[0]!, tilt)).toBeCloseTo(log, 6);
        },
      ),
    );
  });

  test('worked by hand: two slices, e = 2 / (1 + exp(-lambda d))', () => {
    expect(toLogE([0, 1], [false, true], 2)).toBeCloseTo(Math.log(2 / (1 + Math.exp(-2))), 12);
    expect(toLogE([0, 1], [true, false], 2)).toBeCloseTo(Math.log(2 / (1 + Math.exp(2))), 12);
  });

  test('stays finite where powers vanish', () => {
    const values = Array.from({ length: 100 }, (_, index) => 10 * index);
    const draw = values.map((_, index) => index < 50);
    expect(Number.isFinite(toLogE(values, draw, 50))).toBe(true);
    expect(toLogE(values, draw, 50)).toBeLessThan(-1e5);
  });
});

describe('evidence over many blocks', () => {
  test('reaches 1 / alpha by chance less often than alpha, though looked at after every block of drifting heavy-tailed noise', () => {
    const random = createRandom(5);
    let alarms = 0;
    const trials = 1000;
    for (let trial = 0; trial < trials; trial++) {
      const evidence = new Evidence(3);
      let level = 0;
      for (let blocks = 0; blocks < 30; blocks++) {
        const drawn = random.int(10);
        const values = Array.from({ length: 10 }, () => {
          // A random walk with jumps: neither normal, nor independent, nor of one level.
          level += 0.3 * random.normal() + (random.next() < 0.02 ? 3 * random.exponential(1) : 0);
          return level;
        });
        evidence.add(
          values,
          values.map((_, index) => index === drawn),
          [0.5, 1, 3],
        );
        if (evidence.log < Math.log(1 / 0.05)) continue;
        alarms++;
        break;
      }
    }
    expect(alarms / trials).toBeLessThan(0.05);
  });

  test('finds a shift of one spread within a dozen blocks of ten', () => {
    const random = createRandom(6);
    let blocks = 0;
    for (let trial = 0; trial < 50; trial++) {
      const evidence = new Evidence(3);
      for (; evidence.log < Math.log(200); blocks++) {
        const values = Array.from({ length: 10 }, (_, index) => random.normal() + (index === 3 ? 1 : 0));
        evidence.add(
          values,
          values.map((_, index) => index === 3),
          [0.5, 1, 2],
        );
      }
    }
    expect(blocks / 50).toBeLessThan(18);
    expect(blocks / 50).toBeGreaterThan(5);
  });
});

describe('the noise of slices', () => {
  test('is the spread within arms, and what the load explains is taken out', () => {
    const random = createRandom(7);
    const noise = new SliceNoise(0.001);
    for (let blocks = 0; blocks < 60; blocks++) {
      const level = 10 * random.normal();
      noise.add(
        Array.from({ length: 9 }, () => {
          const logLoad = 0.2 * random.normal();
          return { value: level + 1.5 * logLoad + 0.1 * random.normal(), logLoad };
        }),
      );
    }
    expect(noise.slope).toBeCloseTo(1.5, 0);
    expect(noise.spread).toBeGreaterThan(0.08);
    expect(noise.spread).toBeLessThan(0.12);
    expect(noise.adjust({ value: 3, logLoad: 2 })).toBeCloseTo(3 - 2 * noise.slope, 9);
  });

  test('is not known from a handful of slices, and never below what can be measured', () => {
    const noise = new SliceNoise(0.02);
    noise.add([{ value: 1, logLoad: 1 }]);
    expect([noise.isKnown, noise.spread, noise.slope]).toEqual([false, 0.02, 0]);
    noise.add(Array.from({ length: 9 }, () => ({ value: 1, logLoad: 1 })));
    expect([noise.isKnown, noise.spread]).toEqual([true, 0.02]);
  });

  test('is read off a block robustly: one slice of another kind does not hide itself', () => {
    expect(toRobustSpread([0, 0.1, -0.1, 0.05, -0.05, 9], 0.01)).toBeLessThan(0.2);
  });
});

describe('quantiles', () => {
  test.each([
    [0.5, 0],
    [0.05, 1.6449],
    [0.01, 2.3263],
    [0.001, 3.0902],
    [1e-6, 4.7534],
  ])('of the normal at %s', (alpha, z) => {
    expect(Math.abs(toZ(alpha) - z)).toBeLessThan(0.001);
  });

  test.each([
    // alpha, degrees of freedom, table value
    [0.01, 10, 2.7638],
    [0.001, 10, 4.1437],
    [0.001, 30, 3.3852],
    [0.01, 1e9, 2.3263],
  ])('of Student at %s with %s degrees', (alpha, freedom, t) => {
    expect(Math.abs(toT(alpha, freedom) / t - 1)).toBeLessThan(0.01);
  });
});
