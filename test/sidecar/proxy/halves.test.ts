// How many calls a refused batch costs.
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { toSmallerGroups } from '../../../sidecar/proxy/halves.ts';

/** Sends a batch the way the driver does: a group with a bad member is refused and goes on in smaller groups. */
function send(isBad: readonly boolean[]): { calls: number; served: number[] } {
  const groups: (readonly number[])[] = [isBad.map((_, i) => i)];
  const served: number[] = [];
  let calls = 0;
  for (let group = groups.shift(); group !== undefined; group = groups.shift()) {
    calls += 1;
    if (group.length > 1 && group.some((i) => isBad[i])) groups.unshift(...toSmallerGroups(group));
    else served.push(...group);
  }
  return { calls, served };
}

test('everybody is answered once, in order, within the calls that are promised', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 128 }), (isBad) => {
      const n = isBad.length;
      const bad = isBad.filter(Boolean).length;
      const { calls, served } = send(isBad);
      expect(served).toEqual(isBad.map((_, i) => i));
      expect(calls).toBeLessThanOrEqual(Math.min(1 + 2 * bad * Math.ceil(Math.log2(n)), Math.max(1, 2 * n - 1)));
    }),
    { numRuns: 2000 },
  );
});

test.each([
  // all is well: one call
  [64, 0, 1],
  // one bad request of 64, wherever it stands, instead of 65 calls
  [64, 1, 13],
  [64, 64, 95],
  [2, 1, 3],
])('%i requests of which the first %i are bad take %i calls', (n, bad, calls) => {
  expect(send(Array.from({ length: n }, (_, i) => i < bad)).calls).toBe(calls);
});
