import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../../src/core/random.ts';
import { createSizes, meanSize, parseSizes, type Sizes } from '../../src/traffic/sizes.ts';

function read(text: string): Sizes {
  const sizes = parseSizes(text);
  if ('expected' in sizes) throw new Error(sizes.expected);
  return sizes;
}

describe('sizes', () => {
  test.each(['0', '-1', '1.5', '', 'uniform:5..2', 'uniform:0..2', 'lognormal:10/5', 'lognormal:0/5', 'pareto:1'])(
    '%j is refused with the forms there are',
    (text) => {
      expect(parseSizes(text)).toMatchObject({ field: 'sizes', expected: expect.stringContaining('uniform:MIN..MAX') });
    },
  );

  test('a uniform size reaches both ends and nothing else', () => {
    const draw = createSizes(read('uniform:2..4'), createRandom(1));
    expect(new Set(Array.from({ length: 1000 }, draw))).toEqual(new Set([2, 3, 4]));
  });

  test('a lognormal size has the median and the p99 it was given', () => {
    const draw = createSizes(read('lognormal:500/8000'), createRandom(2));
    const sorted = Float64Array.from({ length: 20_000 }, draw).sort();
    expect(sorted[10_000]).toBeGreaterThan(480);
    expect(sorted[10_000]).toBeLessThan(520);
    expect(sorted[19_800]).toBeGreaterThan(7200);
    expect(sorted[19_800]).toBeLessThan(8800);
  });

  test('every size is a whole number from 1 up, near its mean, the same for a seed', () => {
    const texts = fc.constantFrom('7', 'uniform:1..9', 'lognormal:3/9', 'lognormal:1/1');
    fc.assert(
      fc.property(texts, fc.integer(), (text, seed) => {
        const sizes = read(text);
        const draws = Array.from({ length: 400 }, createSizes(sizes, createRandom(seed)));
        expect(Array.from({ length: 400 }, createSizes(sizes, createRandom(seed)))).toEqual(draws);
        expect(draws.every((size) => Number.isInteger(size) && size >= 1)).toBe(true);
        const mean = draws.reduce((a, b) => a + b, 0) / draws.length;
        expect(Math.abs(mean / meanSize(sizes) - 1)).toBeLessThan(0.25);
      }),
      { numRuns: 50 },
    );
  });
});
