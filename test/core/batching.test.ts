import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BatchingRule, type Departure, isFitting, toBatchLimit, toDeparture } from '../../src/core/batching.ts';

const natural: BatchingRule = { limitItems: 8, delayMs: 0, isDraining: false };
const delayed: BatchingRule = { limitItems: 8, delayMs: 10, isDraining: false };
const draining: BatchingRule = { limitItems: 8, delayMs: 10, isDraining: true };

interface Row {
  readonly name: string;
  readonly sizes: readonly number[];
  readonly rule: BatchingRule;
  readonly isBatchable?: boolean;
  readonly free?: number;
  readonly nowMs?: number;
  readonly expected: Departure;
}

// The oldest joined the queue at 100 ms; it is 104 ms unless a row says otherwise.
const rows: readonly Row[] = [
  {
    name: 'delay 0 leaves at once',
    sizes: [1, 1, 1],
    rule: natural,
    expected: { kind: 'leave', count: 3, items: 3, reason: 'natural' },
  },
  {
    name: 'the limit reached is full',
    sizes: [4, 4],
    rule: delayed,
    expected: { kind: 'leave', count: 2, items: 8, reason: 'full' },
  },
  {
    name: 'the next would not fit is full',
    sizes: [5, 4],
    rule: delayed,
    expected: { kind: 'leave', count: 1, items: 5, reason: 'full' },
  },
  {
    name: 'more than the limit leaves the rest',
    sizes: [3, 3, 3, 3],
    rule: natural,
    expected: { kind: 'leave', count: 2, items: 6, reason: 'full' },
  },
  {
    name: 'a delay holds even with every place free',
    sizes: [1, 1],
    rule: delayed,
    free: 9,
    expected: { kind: 'wait', untilMs: 110 },
  },
  {
    name: 'a delay ends',
    sizes: [1, 1],
    rule: delayed,
    nowMs: 110,
    expected: { kind: 'leave', count: 2, items: 2, reason: 'timeout' },
  },
  {
    name: 'a drain flushes',
    sizes: [1, 1],
    rule: draining,
    expected: { kind: 'leave', count: 2, items: 2, reason: 'drain' },
  },
  {
    name: 'a drain of a full batch is full',
    sizes: [8],
    rule: draining,
    expected: { kind: 'leave', count: 1, items: 8, reason: 'full' },
  },
  {
    name: 'larger than the limit goes alone and unsplit',
    sizes: [20, 1],
    rule: delayed,
    expected: { kind: 'leave', count: 1, items: 20, reason: 'single' },
  },
  {
    name: 'a large one behind makes the first full',
    sizes: [1, 20],
    rule: delayed,
    expected: { kind: 'leave', count: 1, items: 1, reason: 'full' },
  },
  {
    name: 'unbatchable goes alone, at once',
    sizes: [1, 1],
    rule: delayed,
    isBatchable: false,
    expected: { kind: 'leave', count: 1, items: 1, reason: 'single' },
  },
  {
    name: 'nothing leaves without a place',
    sizes: [8],
    rule: natural,
    free: 0,
    expected: { kind: 'wait', untilMs: Infinity },
  },
  {
    name: 'nothing leaves where nothing waits',
    sizes: [],
    rule: natural,
    expected: { kind: 'wait', untilMs: Infinity },
  },
];

test.each(rows)('$name', ({ sizes, rule, isBatchable = true, free = 1, nowMs = 104, expected }) => {
  expect(toDeparture({ sizes, from: 0, to: sizes.length, oldestMs: 100, isBatchable }, rule, free, nowMs)).toEqual(
    expected,
  );
});

test('a window into the sizes is read without copying', () => {
  const key = { sizes: [9, 9, 2, 3, 9], from: 2, to: 4, oldestMs: 0, isBatchable: true };
  expect(toDeparture(key, natural, 1, 0)).toEqual({ kind: 'leave', count: 2, items: 5, reason: 'natural' });
});

describe('the limit', () => {
  test.each([
    [64, Infinity, 64],
    [64, 16, 16],
    [8, 16, 8],
    [64, 0, 1],
    [0, Infinity, 1],
  ])('batchSize %d on an engine that takes %d is %d', (batchSize, engineMax, limit) => {
    expect(toBatchLimit(batchSize, engineMax)).toBe(limit);
  });
});

describe('whatever waits', () => {
  const key = fc.record({
    sizes: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 20 }),
    limitItems: fc.integer({ min: 1, max: 10 }),
    delayMs: fc.integer({ min: 0, max: 20 }),
    ageMs: fc.integer({ min: 0, max: 30 }),
    isDraining: fc.boolean(),
    isBatchable: fc.boolean(),
  });

  test('a batch keeps the limit or is a single request, and takes all that fits', () => {
    fc.assert(
      fc.property(key, ({ sizes, limitItems, delayMs, ageMs, isDraining, isBatchable }) => {
        const rule = { limitItems, delayMs, isDraining };
        const departure = toDeparture({ sizes, from: 0, to: sizes.length, oldestMs: 0, isBatchable }, rule, 1, ageMs);
        if (departure.kind === 'wait') {
          if (sizes.length === 0) expect(departure.untilMs).toBe(Infinity);
          else {
            // Only a delay that still runs holds a batch, and only one that could still grow.
            expect(departure.untilMs).toBe(delayMs);
            expect(delayMs).toBeGreaterThan(ageMs);
            expect(isDraining || !isBatchable).toBe(false);
            expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(limitItems);
          }
          return;
        }
        expect(departure.items).toBe(sizes.slice(0, departure.count).reduce((sum, size) => sum + size, 0));
        expect(departure.count === 1 || departure.items <= limitItems).toBe(true);
        const next = sizes[departure.count];
        if (next !== undefined)
          expect(isFitting(departure.count, departure.items, next, isBatchable, limitItems)).toBe(false);
        if (departure.reason === 'single') expect(departure.count).toBe(1);
      }),
    );
  });

  test('waiting as told leads to a departure, never to another wait', () => {
    fc.assert(
      fc.property(key, ({ sizes, limitItems, delayMs, ageMs, isDraining, isBatchable }) => {
        fc.pre(sizes.length > 0);
        const waiting = { sizes, from: 0, to: sizes.length, oldestMs: 0, isBatchable };
        const rule = { limitItems, delayMs, isDraining };
        const first = toDeparture(waiting, rule, 1, ageMs);
        if (first.kind === 'wait') expect(toDeparture(waiting, rule, 1, first.untilMs).kind).toBe('leave');
      }),
    );
  });
});
