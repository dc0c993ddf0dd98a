import { describe, expect, test } from 'vitest';
import { ModelFeatures, toDispersion } from '../../../sidecar/sense/features.ts';
import { createRandom, type Random } from '../../../src/core/random.ts';

/** Arrivals of an inhomogeneous Poisson process by thinning. */
function feed(
  features: ModelFeatures,
  random: Random,
  minutes: number,
  ratePerS: (seconds: number) => number,
  peak: number,
): void {
  let ms = 0;
  while ((ms += random.exponential(1000 / peak)) < minutes * 60_000)
    if (random.next() * peak < ratePerS(ms / 1000)) features.arrived(1 + random.int(4), 500 + random.int(1000), ms);
}

describe('ModelFeatures', () => {
  test('a ten-minute sine is found within 40 minutes, to 5 %', () => {
    for (let seed = 0; seed < 10; seed++) {
      const features = new ModelFeatures(0);
      feed(features, createRandom(seed), 40, (s) => 2 + Math.sin((2 * Math.PI * s) / 600), 3);
      const { period } = features.read(40 * 60_000, 1);
      expect(period, `seed ${seed}`).not.toBeNull();
      expect(Math.abs(period!.seconds - 600)).toBeLessThanOrEqual(30);
      expect(period!.confidence).toBeGreaterThan(0.3);
    }
  });

  test('no rhythm is found in Poisson arrivals, looked at each minute of two hours', () => {
    for (let seed = 0; seed < 20; seed++) {
      const random = createRandom(100 + seed);
      const features = new ModelFeatures(0);
      let ms = 0;
      for (let minute = 1; minute <= 120; minute++) {
        while ((ms += random.exponential(500)) < minute * 60_000) features.arrived(1, 100, ms);
        expect(features.read(minute * 60_000, 1).period, `seed ${seed} minute ${minute}`).toBeNull();
      }
    }
  });

  test('neither a ramp nor random bursts are taken for a rhythm', () => {
    let found = 0;
    for (let seed = 0; seed < 20; seed++) {
      const random = createRandom(200 + seed);
      const ramp = new ModelFeatures(0);
      feed(ramp, random, 60, (s) => 1 + s / 1200, 4);
      if (ramp.read(3600_000, 1).period !== null) found += 1;
      const bursts = new ModelFeatures(0);
      let isOn = false;
      let turnS = 0;
      const rate = (s: number): number => {
        while (s >= turnS) {
          isOn = !isOn;
          turnS += random.exponential(isOn ? 60 : 240);
        }
        return isOn ? 8 : 1;
      };
      feed(bursts, random, 60, rate, 8);
      if (bursts.read(3600_000, 1).period !== null) found += 1;
    }
    expect(found).toBeLessThanOrEqual(2);
  });

  test('sizes: quantiles and means of bytes and items', () => {
    const features = new ModelFeatures(0);
    for (let i = 1; i <= 100; i++) features.arrived(i <= 98 ? 1 : 16, i * 10, i);
    const { requestBytes, itemsPerRequest, popularity } = features.read(200, 0.25);
    expect(requestBytes!.mean).toBe(505);
    expect(Math.abs(requestBytes!.p50 - 500)).toBeLessThanOrEqual(8);
    expect(itemsPerRequest).toEqual({ mean: (98 + 32) / 100, p99: 16 });
    expect(popularity).toBe(0.25);
  });

  test('sizes are forgotten after ten minutes', () => {
    const features = new ModelFeatures(0);
    features.arrived(1, 1e6, 1);
    for (let minute = 1; minute <= 11; minute++) features.read(minute * 60_000, 1);
    features.arrived(1, 10, 660_001);
    expect(features.read(661_000, 1).requestBytes!.mean).toBe(10);
  });

  test('no evidence is null, not a number', () => {
    expect(new ModelFeatures(0).read(60_000, 0)).toEqual({
      requestBytes: null,
      itemsPerRequest: null,
      dispersion: null,
      period: null,
      popularity: 0,
    });
  });
});

describe('toDispersion', () => {
  test('a metronome is 0, Poisson about 1, clumps of ten about 10', () => {
    const random = createRandom(1);
    const poisson = (mean: number): number => {
      let count = 0;
      for (let t = random.exponential(1); t < mean; t += random.exponential(1)) count += 1;
      return count;
    };
    expect(toDispersion(Array.from({ length: 300 }, () => 5))).toBe(0);
    const counts = Array.from({ length: 300 }, () => poisson(5));
    expect(toDispersion(counts)).toBeGreaterThan(0.7);
    expect(toDispersion(counts)).toBeLessThan(1.4);
    expect(toDispersion(Array.from({ length: 300 }, () => 10 * poisson(5)))).toBeGreaterThan(7);
  });

  test('too few bins or arrivals are null', () => {
    expect(toDispersion(Array.from({ length: 29 }, () => 5))).toBeNull();
    expect(toDispersion(Array.from({ length: 300 }, (_, i) => (i % 20 === 0 ? 1 : 0)))).toBeNull();
  });
});
