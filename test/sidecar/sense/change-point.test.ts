import { describe, expect, test } from 'vitest';
import { LOOK_MS, RateChangeTest } from '../../../sidecar/sense/change-point.ts';
import { createRandom, type Random } from '../../../src/core/random.ts';

const LOOKS_PER_S = 1000 / LOOK_MS;

/** Poisson count; exact for small means, normal above 50 where the difference is below a thousandth. */
function poisson(random: Random, mean: number): number {
  if (mean > 50) return Math.max(0, Math.round(mean + Math.sqrt(mean) * random.normal()));
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = random.next(); product > limit; product *= random.next()) count += 1;
  return count;
}

/** Seconds from the jump until it is seen; Infinity when it is not within 60 s. */
function secondsToSee(random: Random, ratePerS: number, ratio: number): number {
  const test = new RateChangeTest();
  for (let i = 0; i < 120 * LOOKS_PER_S; i++) test.look(poisson(random, ratePerS / LOOKS_PER_S));
  for (let i = 1; i <= 60 * LOOKS_PER_S; i++) {
    const change = test.look(poisson(random, (ratePerS * ratio) / LOOKS_PER_S));
    if (change !== null && change.kind === (ratio > 1 ? 'up' : 'down')) return i / LOOKS_PER_S;
  }
  return Number.POSITIVE_INFINITY;
}

describe('RateChangeTest', () => {
  test.each([1, 4, 16, 100, 1000])(
    'Poisson arrivals at %d/s for 100 virtual hours: at most one false alarm an hour',
    (ratePerS) => {
      const random = createRandom(7 * ratePerS);
      const test = new RateChangeTest();
      let alarms = 0;
      for (let i = 0; i < 100 * 3600 * LOOKS_PER_S; i++)
        if (test.look(poisson(random, ratePerS / LOOKS_PER_S)) !== null) alarms += 1;
      expect(alarms).toBeLessThanOrEqual(100);
    },
  );

  test.each([16, 30, 100, 1000])('a 3x step from %d/s is seen within 2 s, in at least 99 of 100 runs', (ratePerS) => {
    const random = createRandom(ratePerS);
    const delays = Array.from({ length: 100 }, () => secondsToSee(random, ratePerS, 3));
    expect(delays.filter((seconds) => seconds <= 2).length).toBeGreaterThanOrEqual(99);
  });

  test('at 1/s, too few arrivals for 2 s, a 3x step is still seen within 20 s in nine of ten runs', () => {
    const random = createRandom(3);
    const delays = Array.from({ length: 100 }, () => secondsToSee(random, 1, 3));
    expect(delays.filter((seconds) => seconds <= 20).length).toBeGreaterThanOrEqual(90);
  });

  test('a fall to a third is seen within 4 s at 30/s', () => {
    const random = createRandom(5);
    const delays = Array.from({ length: 50 }, () => secondsToSee(random, 30, 1 / 3));
    expect(Math.max(...delays)).toBeLessThanOrEqual(4);
  });

  test('traffic after a minute of silence is a change', () => {
    const test = new RateChangeTest();
    for (let i = 0; i < 480; i++) expect(test.look(0)).toBeNull();
    expect(test.look(5)).toMatchObject({ kind: 'up', fromPerS: 0, toPerS: 20 });
  });

  test('silence for ever raises no alarm, and neither does a slow daily curve', () => {
    const quiet = new RateChangeTest();
    for (let i = 0; i < 100_000; i++) expect(quiet.look(0)).toBeNull();
    const random = createRandom(11);
    const diurnal = new RateChangeTest();
    let alarms = 0;
    for (let i = 0; i < 4 * 3600 * LOOKS_PER_S; i++) {
      const ratePerS = 500 * (1 + 0.5 * Math.sin((2 * Math.PI * i) / (4 * 3600 * LOOKS_PER_S)));
      if (diurnal.look(poisson(random, ratePerS / LOOKS_PER_S)) !== null) alarms += 1;
    }
    expect(alarms).toBe(0);
  });

  test('after a jump the new rate is the past: steady traffic at it raises no second alarm', () => {
    const random = createRandom(13);
    const test = new RateChangeTest();
    for (let i = 0; i < 400; i++) test.look(poisson(random, 25));
    let seen = 0;
    for (let i = 0; i < 2000; i++) if (test.look(poisson(random, 75)) !== null) seen += 1;
    expect(seen).toBe(1);
  });

  test('clients that arrive in clumps of ten do not look like a jump each time', () => {
    const random = createRandom(17);
    const test = new RateChangeTest();
    let alarms = 0;
    for (let i = 0; i < 10 * 3600 * LOOKS_PER_S; i++) if (test.look(10 * poisson(random, 0.5)) !== null) alarms += 1;
    expect(alarms).toBeLessThanOrEqual(10);
  });
});
