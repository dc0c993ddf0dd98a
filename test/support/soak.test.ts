// The ruler of the soak: a slope that is there is found, and noise is not taken for one.
import { expect, test } from 'vitest';
import { createRandom } from '../../src/core/random.ts';
import { fitSlope } from './soak.ts';

test('a straight line has its slope, without error', () => {
  const { slope, error } = fitSlope([0, 1, 2, 3, 4].map((x) => [x, 7 + 3 * x] as const));
  expect(slope).toBeCloseTo(3, 12);
  expect(error).toBeLessThan(1e-9);
});

test('a slope in noise lies within three errors of the truth, and flat noise within three of none', () => {
  const random = createRandom(1);
  for (const truth of [0, 0.5, -2]) {
    const { slope, error } = fitSlope(
      Array.from({ length: 200 }, (_, x) => [x, truth * x + 10 * random.normal()] as const),
    );
    expect(Math.abs(slope - truth)).toBeLessThan(3 * error);
  }
});

test('two points say nothing', () => {
  expect(
    fitSlope([
      [0, 0],
      [1, 5],
    ]).error,
  ).toBe(Infinity);
});
