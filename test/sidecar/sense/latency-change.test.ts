import { describe, expect, test } from 'vitest';
import { LatencyChangeTest, type LatencyChange } from '../../../sidecar/sense/latency-change.ts';
import { createRandom, type Random } from '../../../src/core/random.ts';

/** One block of lognormal latencies round `medianMs`. */
function block(
  test: LatencyChangeTest,
  random: Random,
  medianMs: number,
  sigma: number,
  count = 50,
): LatencyChange | null {
  for (let i = 0; i < count; i++) test.record(medianMs * Math.exp(sigma * random.normal()));
  return test.endBlock();
}

function blocksToSee(random: Random, from: number, to: number, sigma: number): number {
  const test = new LatencyChangeTest();
  for (let i = 0; i < 60; i++) block(test, random, from, sigma);
  for (let i = 1; i <= 60; i++) if (block(test, random, to, sigma) !== null) return i;
  return Number.POSITIVE_INFINITY;
}

describe('LatencyChangeTest', () => {
  test('a doubled latency is seen within 3 s', () => {
    const random = createRandom(1);
    for (let run = 0; run < 50; run++) expect(blocksToSee(random, 20, 40, 0.4)).toBeLessThanOrEqual(3);
  });

  test('a halved latency is seen within 2 s, as a fall with its levels', () => {
    const random = createRandom(2);
    const test = new LatencyChangeTest();
    for (let i = 0; i < 60; i++) block(test, random, 40, 0.3);
    block(test, random, 20, 0.3);
    const change = block(test, random, 20, 0.3);
    expect(change?.kind).toBe('down');
    expect(change!.fromMs).toBeCloseTo(40, -1);
    expect(change!.toMs).toBeCloseTo(20, -1);
  });

  test('steady latencies for 100 virtual hours raise at most one false alarm an hour, however few completions', () => {
    for (const count of [1, 5, 50]) {
      const random = createRandom(count);
      const test = new LatencyChangeTest();
      let alarms = 0;
      for (let i = 0; i < (count === 50 ? 36_000 : 360_000); i++) if (block(test, random, 30, 0.5, count)) alarms += 1;
      expect(alarms, `${count} a block`).toBeLessThanOrEqual(count === 50 ? 10 : 100);
    }
  });

  test('one slow block, such as a garbage collection, fires nothing', () => {
    const random = createRandom(4);
    const test = new LatencyChangeTest();
    for (let i = 0; i < 60; i++) block(test, random, 20, 0.2);
    expect(block(test, random, 2000, 0.2)).toBeNull();
    for (let i = 0; i < 30; i++) expect(block(test, random, 20, 0.2)).toBeNull();
  });

  test('a lasting shift of 20 % is learnt, not called a jump', () => {
    const random = createRandom(5);
    const test = new LatencyChangeTest();
    for (let i = 0; i < 60; i++) block(test, random, 20, 0.2);
    for (let i = 0; i < 300; i++) expect(block(test, random, 24, 0.2)).toBeNull();
  });

  test('blocks without completions say nothing', () => {
    const test = new LatencyChangeTest();
    for (let i = 0; i < 1000; i++) expect(test.endBlock()).toBeNull();
  });
});
