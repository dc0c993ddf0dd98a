import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { compare, ratio, runRounds, toSpread } from './rounds.ts';

test('every subject is measured once a round, the first round is thrown away, and the order is drawn anew', async () => {
  const seen: string[] = [];
  const samples = await runRounds(['a', 'b', 'c'], { rounds: 6, seed: 3, say: () => undefined }, async (subject) => {
    seen.push(subject);
    return { at: seen.length };
  });
  const orders = Array.from({ length: 7 }, (_, round) => seen.slice(3 * round, 3 * round + 3));
  for (const order of orders) expect(order.toSorted()).toEqual(['a', 'b', 'c']);
  expect(new Set(orders.map((order) => order.join(''))).size).toBeGreaterThan(1);
  for (const subject of ['a', 'b', 'c']) {
    expect(samples.get(subject)).toHaveLength(6);
    expect(samples.get(subject)?.every(({ at = 0 }) => at > 3)).toBe(true);
  }
});

test('a ratio is taken within a round, so that a round twice as slow for all changes nothing', async () => {
  let round = 0;
  const samples = await runRounds(['a', 'b'], { rounds: 5, seed: 1, say: () => undefined }, async (subject) => {
    round += 1;
    return { cost: (subject === 'a' ? 3 : 2) * 2 ** Math.floor((round - 1) / 2) };
  });
  expect(compare(samples, 'cost', ['a', 'b'], ratio)).toEqual({ median: 1.5, min: 1.5, max: 1.5 });
});

test('a spread lies within its values', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 }), (values) => {
      const { median, min, max } = toSpread(values);
      expect(min).toBe(Math.min(...values));
      expect(max).toBe(Math.max(...values));
      expect(median >= min && median <= max).toBe(true);
      const below = values.filter((value) => value <= median).length;
      expect(2 * below).toBeGreaterThanOrEqual(values.length);
    }),
  );
});
