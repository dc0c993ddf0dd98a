// Overload in virtual time, before the modelled engine: what admission promises, and what happens without it.
import { describe, expect, test } from 'vitest';
import { createCurve } from '../../../sidecar/lab/profiles.ts';
import { type Drive, drive, type Ended, goodputPerS, type Result, servedP99Ms } from './drive.ts';

// 5 ms alone, 20 ms for 64: the engine's peak is 3,200 items a second.
const curve = createCurve([
  { items: 1, latencyMs: 5 },
  { items: 4, latencyMs: 6 },
  { items: 16, latencyMs: 9 },
  { items: 64, latencyMs: 20 },
]);
const PEAK_PER_S = 3200;
const SLA_MS = 100;

function load(ratio: number, fields: Partial<Drive> = {}): Result {
  const ratePerS = ratio * PEAK_PER_S;
  return drive({ curve, slaMs: SLA_MS, ratePerS: () => ratePerS, ratePerSMax: ratePerS, durationMs: 5000, ...fields });
}

function shedRatio(result: Result, isCounted: (one: Ended) => boolean = () => true): number {
  const counted = result.ended.filter(isCounted);
  return counted.filter((one) => one.kind !== 'served').length / counted.length;
}

describe('under lasting overload', () => {
  test.each([
    { ratio: 2, name: 'natural batching', settings: {} },
    { ratio: 5, name: 'natural batching', settings: {} },
    { ratio: 2, name: 'two in flight', settings: { concurrency: 2 } },
    { ratio: 5, name: 'two in flight', settings: { concurrency: 2 } },
    { ratio: 5, name: 'a delay', settings: { batchDelayMs: 40 } },
  ])('$ratio x the peak with $name: goodput within the SLA stays above 90 %', ({ ratio, settings }) => {
    const result = load(ratio, { settings });
    // After the first second, in which the burst bound of 2 x SLA is used up and worked off.
    expect(goodputPerS(result, SLA_MS, 1000, 5000)).toBeGreaterThan(0.9 * PEAK_PER_S);
    expect(servedP99Ms(result, 0, 5000)).toBeLessThanOrEqual(2.3 * SLA_MS);
    // The queue is bounded by time: 2 x SLA of work.
    expect(result.queueMax).toBeLessThan(1.2 * 2 * SLA_MS * (PEAK_PER_S / 1000));
    // The excess is refused on arrival, and nothing else is lost.
    for (const one of result.ended) if (one.kind !== 'served') expect([one.kind, one.latencyMs]).toEqual(['late', 0]);
  });

  test('without shedding the same load leaves no goodput at all', () => {
    const result = load(2, { isUnshed: true });
    expect(goodputPerS(result, 2 * SLA_MS, 1000, 5000)).toBe(0);
  });

  test('a batch size whose capacity is below the load holds that capacity', () => {
    // 8 items take about 7.35 ms.
    const result = load(2, { settings: { batchSize: 8 } });
    expect(goodputPerS(result, SLA_MS, 1000, 5000)).toBeGreaterThan(0.9 * (8 / 0.00735));
  });

  test('many keys that cannot share a batch: what is taken still ends in time', () => {
    for (const keys of [20, 100]) {
      const result = load(2, { keys });
      expect(servedP99Ms(result, 1000, 5000)).toBeLessThan(2.2 * SLA_MS);
    }
  });

  test('deadlines shorter than the SLA bound the queue instead', () => {
    const result = load(5, { deadlineMs: 60 });
    expect(goodputPerS(result, 60, 1000, 5000)).toBeGreaterThan(0.9 * PEAK_PER_S);
  });

  test('the less urgent is shed first', () => {
    const result = load(1.5, { priority: (index) => (index % 4 === 0 ? 3 : 1) });
    expect(shedRatio(result, (one) => one.priority === 3)).toBeLessThan(0.01);
    expect(shedRatio(result, (one) => one.priority === 1)).toBeGreaterThan(0.3);
  });

  test('Retry-After is a few whole seconds, spread', () => {
    const seconds = load(5)
      .ended.filter((one) => one.kind === 'late')
      .map((one) => one.retryAfterMs / 1000);
    expect(new Set(seconds)).toEqual(new Set([1, 2]));
    const ones = seconds.filter((one) => one === 1).length / seconds.length;
    expect(ones).toBeGreaterThan(0.4);
    expect(ones).toBeLessThan(0.6);
  });
});

describe('below the peak', () => {
  test.each([0.1, 0.3, 0.6, 0.85, 0.95])('at %d of it nothing is shed', (ratio) => {
    expect(shedRatio(load(ratio))).toBe(0);
  });

  test('a jump from 5 % to 90 % is taken: what was served at low load is not mistaken for capacity', () => {
    const result = load(1, { ratePerS: (atMs) => (atMs < 2000 ? 0.05 : 0.9) * PEAK_PER_S });
    expect(shedRatio(result)).toBe(0);
  });

  test('a burst of 2 x SLA of work on an idle engine is taken', () => {
    const result = load(40, { ratePerS: (atMs) => (atMs < 10 ? 40 : 0.02) * PEAK_PER_S });
    expect(result.queueMax).toBeGreaterThan(200);
    expect(shedRatio(result, (one) => one.arrivedMs < 4)).toBe(0);
  });

  test('an SLA that a lone request already breaks does not become an outage', () => {
    // 5 ms alone against an SLA of 2 ms.
    for (const ratio of [0.04, 0.3, 0.6, 0.85]) expect(shedRatio(load(ratio, { slaMs: 2 }))).toBeLessThan(0.02);
    expect(goodputPerS(load(3, { slaMs: 2 }), 60, 1000, 5000)).toBeGreaterThan(0.9 * PEAK_PER_S);
  });
});

describe('after overload', () => {
  test('latency is back to normal within a second', () => {
    const result = load(5, { ratePerS: (atMs) => (atMs < 2000 ? 5 : 0.5) * PEAK_PER_S });
    const calm = load(0.5);
    expect(shedRatio(result, (one) => one.arrivedMs > 2500)).toBe(0);
    expect(servedP99Ms(result, 3000, 5000)).toBeLessThan(1.2 * servedP99Ms(calm, 3000, 5000));
  });

  test('a stall of the engine is noticed while it lasts, and forgotten within a second after it', () => {
    const slowdown = [
      { atMs: 1000, ratio: 200 },
      { atMs: 3000, ratio: 1 },
    ];
    const result = load(0.5, { slowdown });
    expect(shedRatio(result, (one) => one.arrivedMs > 1500 && one.arrivedMs < 2900)).toBeGreaterThan(0.9);
    expect(shedRatio(result, (one) => one.arrivedMs > 4000)).toBe(0);
    // What waited through it is at most the bound's worth of work.
    expect(result.queueMax).toBeLessThan(2.5 * SLA_MS * 0.5 * (PEAK_PER_S / 1000));
  });

  test('an engine that has become ten times slower for good is served at its new pace', () => {
    const result = load(0.5, { slowdown: [{ atMs: 1000, ratio: 10 }], slaMs: 1000, durationMs: 12_000 });
    expect(goodputPerS(result, 1000, 6000, 12_000)).toBeGreaterThan(0.9 * 0.1 * PEAK_PER_S);
  });
});
