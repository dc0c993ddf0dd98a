import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { editDistance, nearestWord } from '../../src/core/nearest.ts';

describe('nearest word', () => {
  test.each([
    ['upstrem', 'upstream'], // a letter lost
    ['lisetn', 'listen'], // neighbours swapped
    ['STATEDIR', 'stateDir'], // case does not count
    ['zebra', null], // nothing near
    ['', null],
  ])('%s means %s', (typed, meant) => {
    expect(nearestWord(typed, ['listen', 'upstream', 'stateDir'])).toBe(meant);
  });

  test('the distance is symmetric, zero only for equal words, and at most the longer length', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        const distance = editDistance(a, b);
        expect(distance).toBe(editDistance(b, a));
        expect(distance === 0).toBe(a === b);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });
});
