import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../../src/core/random.ts';
import { collectArrivals, createArrivals } from '../../src/traffic/arrivals.ts';
import { toLoad } from '../../src/traffic/load.ts';
import { isIssue, parseWorkload } from '../../src/traffic/workload.ts';

function arrive(spec: string, length: { durationS: number } | { requests: number }, seed = 1, peakPerS?: number) {
  const workload = parseWorkload(spec);
  if (isIssue(workload)) throw new Error(workload.expected);
  const random = createRandom(seed);
  const options = { length, random: random.fork('load'), ...(peakPerS === undefined ? {} : { peakPerS }) };
  const load = toLoad(workload, options);
  const arrivals = createArrivals(load, random.fork('arrivals'));
  return { load, times: collectArrivals(arrivals) };
}

const countIn = (times: Float64Array, fromS: number, toS: number) =>
  times.reduce((count, atS) => count + (atS >= fromS && atS < toS ? 1 : 0), 0);

/** A Poisson count is within five standard deviations of its mean but once in 1.7 million. */
function expectPoisson(count: number, mean: number): void {
  expect(Math.abs(count - mean)).toBeLessThan(5 * Math.sqrt(mean) + 1);
}

describe('arrivals', () => {
  test('gaps of a Poisson load are exponential (Kolmogorov-Smirnov, 1 %)', () => {
    for (const seed of [1, 2, 3]) {
      const { times } = arrive('poisson:200', { durationS: 100 }, seed);
      const gaps = times.map((atS, i) => atS - (i === 0 ? 0 : (times[i - 1] ?? 0))).sort();
      const n = gaps.length;
      let distance = 0;
      gaps.forEach((gap, i) => {
        const cdf = 1 - Math.exp(-200 * gap);
        distance = Math.max(distance, Math.abs(cdf - i / n), Math.abs((i + 1) / n - cdf));
      });
      expect(distance).toBeLessThan(1.628 / Math.sqrt(n));
    }
  });

  test('gaps of a thinned load are exponential where its rate stands still', () => {
    // The first half runs at a tenth of the envelope, so nine of ten candidates are thinned away.
    const { times } = arrive('steps:20@0,200@500', { durationS: 1000 }, 4);
    const calm = times.filter((atS) => atS < 500);
    const gaps = calm.map((atS, i) => atS - (i === 0 ? 0 : (calm[i - 1] ?? 0))).sort();
    const distance = Math.max(...gaps.map((gap, i) => Math.abs(1 - Math.exp(-20 * gap) - i / gaps.length)));
    expect(distance).toBeLessThan(1.628 / Math.sqrt(gaps.length));
  });

  test('a constant load is evenly spaced and does not drift', () => {
    const { times } = arrive('constant:30', { durationS: 1000 });
    expect(times.length).toBe(30_000);
    expect(times[29_999]).toBeCloseTo(29_999 / 30, 9);
  });

  test('each segment of steps has its own rate', () => {
    const { times, load } = arrive('steps:50@0,200@60,20@100', { durationS: 200 });
    expectPoisson(countIn(times, 0, 60), 3000);
    expectPoisson(countIn(times, 60, 100), 8000);
    expectPoisson(countIn(times, 100, 200), 2000);
    expect(load.stretchStartsS).toEqual([0, 60, 100]);
  });

  test('a ramp climbs over the whole run', () => {
    const { times } = arrive('ramp:0..100', { durationS: 100 });
    expectPoisson(countIn(times, 0, 50), 1250);
    expectPoisson(countIn(times, 50, 100), 3750);
  });

  test('a sine is low at the ends of its period and high in the middle', () => {
    const { times } = arrive('sine:0..200/100', { durationS: 300 });
    expectPoisson(times.length, 30_000);
    // integral over the middle half: 100·50 + 100·100/pi
    expectPoisson(countIn(times, 25, 75), 5000 + 10_000 / Math.PI);
  });

  test('a flash crowd comes when it is said to, and goes', () => {
    const { times, load } = arrive('flash:10/500@50/10', { durationS: 120 });
    expectPoisson(countIn(times, 0, 50), 500);
    expectPoisson(countIn(times, 50, 60), 5000);
    expectPoisson(countIn(times, 60, 120), 600);
    expect(load.stretchStartsS).toEqual([0, 50, 60]);
  });

  test('a burst is clumped: its dispersion is far above a Poisson load of the same mean', () => {
    const { times } = arrive('burst:10/200/5/20', { durationS: 2000 }, 7);
    const counts = new Float64Array(2000);
    for (const atS of times) counts[Math.floor(atS)] = (counts[Math.floor(atS)] ?? 0) + 1;
    const mean = times.length / 2000;
    const variance = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / counts.length;
    // on for a fifth of the time, whatever the seed within a wide margin: 80 cycles
    expect(mean).toBeGreaterThan(30);
    expect(mean).toBeLessThan(70);
    expect(variance / mean).toBeGreaterThan(20);
  });

  test('a percentage is a share of the peak, and refused where there is none', () => {
    const { times } = arrive('poisson:50%', { durationS: 100 }, 1, 400);
    expectPoisson(times.length, 20_000);
    expect(() => arrive('poisson:50%', { durationS: 1 })).toThrow(/got 50%/);
  });

  test.each([
    ['steps:50@0,200@60', 120],
    ['flash:10/100@30/10', 70],
    ['sine:10..100/60', 60],
    ['ramp:10..90', 1],
    ['burst:10/100/5/5', 100],
  ])('%s stretches its times to the number of requests', (spec, spanS) => {
    const { times, load } = arrive(spec, { requests: 20_000 }, 3);
    // a burst's own switches vary, so only its length is exact
    if (spec.startsWith('burst')) expect(times.length).toBeGreaterThan(8000);
    else expectPoisson(times.length, 20_000);
    const scale = load.durationS / spanS;
    if (spec.startsWith('steps')) expect(load.stretchStartsS[1]).toBeCloseTo(60 * scale, 6);
    if (spec.startsWith('flash')) expect(load.stretchStartsS[2]).toBeCloseTo(40 * scale, 6);
  });

  test('a load without segments has ten stretches', () => {
    const { load } = arrive('poisson:5', { durationS: 200 });
    expect(load.stretchStartsS).toEqual([0, 20, 40, 60, 80, 100, 120, 140, 160, 180]);
  });

  test('arrivals never fall, stay inside the run, and are the same for the same seed', () => {
    const specs = fc.constantFrom('poisson:300', 'ramp:10..500', 'burst:10/300/1/1', 'flash:9/500@3/1', 'constant:77');
    fc.assert(
      fc.property(specs, fc.integer({ min: 0, max: 2 ** 31 }), (spec, seed) => {
        const first = arrive(spec, { durationS: 10 }, seed).times;
        expect(arrive(spec, { durationS: 10 }, seed).times).toEqual(first);
        expect(first.every((atS, i) => atS >= (first[i - 1] ?? 0) && atS < 10)).toBe(true);
      }),
      { numRuns: 50 },
    );
    expect(arrive('poisson:300', { durationS: 10 }, 1).times).not.toEqual(
      arrive('poisson:300', { durationS: 10 }, 2).times,
    );
  });

  test('collecting stops at the limit without drawing further', () => {
    let drawn = 0;
    const arrivals = { durationS: 1, stretchStartsS: [0], next: () => drawn++ };
    expect(collectArrivals(arrivals, 3)).toEqual(new Float64Array([0, 1, 2]));
    expect(drawn).toBe(3);
  });
});
