import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Heap, type Ranked } from '../../../sidecar/proxy/heap.ts';

type Op = { readonly kind: 'push' | 'remove' | 'rerank'; readonly rank: number; readonly pick: number };

const op: fc.Arbitrary<Op> = fc.record({
  kind: fc.constantFrom('push', 'push', 'remove', 'rerank'),
  rank: fc.integer({ min: -50, max: 50 }),
  pick: fc.nat(1000),
});

test('the top is the smallest after any pushes, removals from the middle and changes of rank', () => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 80 }), (ops) => {
      const heap = new Heap<Ranked>();
      const held: Ranked[] = [];
      for (const { kind, rank, pick } of ops) {
        const at = held.length === 0 ? -1 : pick % held.length;
        if (kind === 'push' || at === -1) {
          const entry = { rank, heapIndex: -1 };
          held.push(entry);
          heap.push(entry);
        } else if (kind === 'remove') {
          const [entry] = held.splice(at, 1);
          heap.remove(entry!);
          expect(entry!.heapIndex).toBe(-1);
        } else heap.rerank(held[at]!, rank);
        expect(heap.size).toBe(held.length);
        expect(heap.top?.rank ?? null).toBe(held.length === 0 ? null : Math.min(...held.map((entry) => entry.rank)));
      }
      const drained: number[] = [];
      for (let top = heap.top; top !== null; top = heap.top) {
        drained.push(top.rank);
        heap.remove(top);
      }
      expect(drained).toEqual(held.map((entry) => entry.rank).sort((a, b) => a - b));
    }),
  );
});
