import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../../../src/core/random.ts';
import { Admission, type Standing } from '../../../sidecar/proxy/admit.ts';
import { type EndedBatch, Pace } from '../../../sidecar/proxy/pace.ts';
import type { Waiting } from '../../../sidecar/proxy/waiting.ts';

const idle: Standing = {
  queuedRequests: 0,
  aheadItems: 0,
  aheadKeys: 0,
  oldestArrivedMs: null,
  hasFreePlace: true,
  oldestStartedMs: null,
  limitItems: 10,
};
/** One call under way since 1,000 ms, no place free. */
const busy: Standing = { ...idle, hasFreePlace: false, oldestStartedMs: 1000 };

function toRequest(fields: Partial<Waiting> = {}): Waiting {
  return { key: 'a', items: 1, isBatchable: true, arrivedMs: 1000, deadlineMs: Infinity, priority: 1, ...fields };
}

function toBatch(startedMs: number, items: number, isLimited = true): EndedBatch {
  return { startedMs, requests: items, items, isLimited };
}

/** A pace of one batch of 10 items each 50 ms, as seen up to 1,000 ms. */
function steadyPace(): Pace {
  const pace = new Pace();
  for (let endMs = 50; endMs <= 1000; endMs += 50) pace.finished(toBatch(endMs - 50, 10), 'success', 0, endMs);
  return pace;
}

function createAdmission(pace: Pace, slaMs: number | null = 100, queueRequests = 1000): Admission {
  return new Admission(pace, { sla: () => slaMs, queueRequests, random: createRandom(1) });
}

describe('lone departures', () => {
  const lone = (startedMs: number): EndedBatch => ({ ...toBatch(startedMs, 1), isSingle: true });

  test('teach the capacity of a model of which nothing else is known', () => {
    const pace = new Pace();
    for (let endMs = 50; endMs <= 500; endMs += 50) pace.finished(lone(endMs - 50), 'success', 0, endMs);
    expect([pace.fillItems(64, 500), pace.intervalMs(64, 500)]).toEqual([1, 50]);
  });

  test('teach nothing about the batches of a model that batches, and no longer hold from its first batch on', () => {
    const pace = new Pace();
    for (let endMs = 50; endMs <= 500; endMs += 50) pace.finished(lone(endMs - 50), 'success', 0, endMs);
    pace.finished(toBatch(500, 12, false), 'success', 0, 560);
    expect(pace.fillItems(64, 560)).toBe(64);
    pace.finished(toBatch(560, 20), 'success', 0, 620);
    for (let endMs = 670; endMs <= 1000; endMs += 50) {
      pace.finished(lone(endMs - 50), 'success', 0, endMs);
      pace.saturated(endMs, true);
    }
    expect([pace.fillItems(64, 1000), pace.intervalMs(64, 1000), pace.saturatedForMs(1000)]).toEqual([20, 60, 0]);
  });
});

test('a burst of many keys before any capacity is known is not taken for as many full batches', () => {
  // One lone call of 20 ms is all that is known: a full batch of 64 is guessed at 650 ms, and 30 keys at 20 s.
  const pace = new Pace();
  pace.finished(toBatch(980, 1, false), 'success', 0, 1000);
  const many = { ...busy, limitItems: 64, aheadItems: 30, queuedRequests: 30, aheadKeys: 30 };
  expect(createAdmission(pace, null).judge(toRequest(), many, 1000)).toEqual({ kind: 'queued' });
  expect(createAdmission(pace, 500).judge(toRequest(), many, 1000)).toEqual({ kind: 'queued' });
  // As many full ones it does take for what they are.
  const full = { ...many, aheadItems: 30 * 64, queuedRequests: 900 };
  expect(createAdmission(pace, null).judge(toRequest(), full, 1000)).toMatchObject({ kind: 'shed', reason: 'late' });
});

describe('what is known decides', () => {
  // One batch takes 50 ms; the one under way has just left; the bound is 200 ms: 3 batches end at 200 ms.
  test.each([
    { name: 'the next batch', standing: busy, expected: 'queued' },
    {
      name: 'the third turn ends exactly at 2 x SLA',
      standing: { ...busy, aheadItems: 29, queuedRequests: 29 },
      expected: 'queued',
    },
    { name: 'the fourth turn is later', standing: { ...busy, aheadItems: 30, queuedRequests: 30 }, expected: 'late' },
    {
      name: 'three other keys go first',
      standing: { ...busy, aheadItems: 3, queuedRequests: 3, aheadKeys: 3 },
      expected: 'late',
    },
    { name: 'the hard bound', standing: { ...busy, aheadItems: 1, queuedRequests: 1000 }, expected: 'full' },
    {
      name: 'a free place, whatever the estimate',
      standing: { ...idle, aheadItems: 500, queuedRequests: 500 },
      expected: 'queued',
    },
  ])('$name: $expected', ({ standing, expected }) => {
    const verdict = createAdmission(steadyPace()).judge(toRequest(), standing, 1000);
    expect(verdict.kind === 'shed' ? verdict.reason : verdict.kind).toBe(expected);
  });

  test('a deadline binds where it is sooner, and one that has passed is refused even by an idle engine', () => {
    const admission = createAdmission(steadyPace());
    // It makes ten, a batch of 50 ms after the 50 ms of the one under way.
    const nine = { ...busy, aheadItems: 9, queuedRequests: 9 };
    expect(admission.judge(toRequest({ deadlineMs: 1100 }), nine, 1000).kind).toBe('queued');
    expect(admission.judge(toRequest({ deadlineMs: 1099 }), nine, 1000)).toMatchObject({
      kind: 'shed',
      reason: 'late',
    });
    expect(admission.judge(toRequest({ deadlineMs: 1000 }), idle, 1000)).toMatchObject({
      kind: 'shed',
      reason: 'expired',
    });
  });

  test('time spent before the queue counts: a slow body has used up its share', () => {
    const standing = { ...busy, aheadItems: 20, queuedRequests: 20 };
    const admission = createAdmission(steadyPace());
    expect(admission.judge(toRequest(), standing, 1000).kind).toBe('queued');
    expect(admission.judge(toRequest({ arrivedMs: 900 }), standing, 1000).kind).toBe('shed');
  });

  test('10 s bound the wait while no SLA is known', () => {
    const admission = createAdmission(steadyPace(), null);
    expect(admission.judge(toRequest(), { ...busy, aheadItems: 1900, queuedRequests: 900 }, 1000).kind).toBe('queued');
    expect(admission.judge(toRequest(), { ...busy, aheadItems: 2000, queuedRequests: 900 }, 1000).kind).toBe('shed');
  });
});

describe('where nothing is known', () => {
  test('all is taken, until the first call itself is older than the bound', () => {
    const admission = createAdmission(new Pace());
    const standing = { ...busy, aheadItems: 900, queuedRequests: 900 };
    expect(admission.judge(toRequest(), standing, 1000).kind).toBe('queued');
    expect(admission.judge(toRequest({ arrivedMs: 1200 }), standing, 1200).kind).toBe('queued');
    expect(admission.judge(toRequest({ arrivedMs: 1201 }), standing, 1201).kind).toBe('shed');
  });

  test('a capacity last seen long ago is no longer believed', () => {
    const admission = createAdmission(steadyPace());
    const standing = { ...busy, oldestStartedMs: 60_000, limitItems: 40, aheadItems: 35, queuedRequests: 35 };
    const late = { ...standing, oldestStartedMs: 1000 };
    expect(admission.judge(toRequest(), late, 1000).kind).toBe('shed');
    expect(admission.judge(toRequest({ arrivedMs: 60_000 }), standing, 60_000).kind).toBe('queued');
  });
});

describe('pace', () => {
  test('a failed call that was quick teaches nothing; a slow one does', () => {
    const pace = steadyPace();
    pace.finished(toBatch(1000, 10), 'dropped', 0, 1001);
    expect(pace.durationMs).toBe(50);
    pace.finished(toBatch(1000, 10), 'dropped', 0, 1450);
    expect(pace.durationMs).toBe(100);
  });

  test('the duration by size is learnt from sizes that differ, within proportional', () => {
    const pace = new Pace();
    const random = createRandom(7);
    for (let batch = 0; batch < 300; batch++) {
      const items = 1 + random.int(64);
      pace.finished(toBatch(0, items), 'success', 0, 10 + 0.5 * items);
    }
    for (const items of [8, 32, 64]) expect(pace.durationOfMs(items)).toBeCloseTo(10 + 0.5 * items, -0.5);
  });

  test('no batches, however odd, give an estimate that is not a number, negative or without end', () => {
    const batch = fc.record({
      items: fc.integer({ min: 1, max: 200 }),
      durationMs: fc.double({ min: 0, max: 1e4, noNaN: true }),
      isLimited: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(batch, { maxLength: 40 }), fc.integer({ min: 1, max: 300 }), (batches, items) => {
        const pace = new Pace();
        let nowMs = 0;
        for (const { items: size, durationMs, isLimited } of batches) {
          const startedMs = nowMs;
          nowMs += durationMs;
          pace.finished(toBatch(startedMs, size, isLimited), 'success', startedMs, nowMs);
        }
        for (const value of [pace.durationOfMs(items), pace.intervalMs(64, nowMs)]) {
          expect(Number.isFinite(value)).toBe(true);
          expect(value).toBeGreaterThanOrEqual(-1e-6);
        }
        expect(pace.fillItems(64, nowMs)).toBeGreaterThanOrEqual(1);
      }),
    );
  });
});

test('Retry-After is whole seconds from 1 to 31, at least the time to drain up to 15 s', () => {
  const admission = createAdmission(new Pace());
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e7, noNaN: true }), (drainMs) => {
      const verdict = admission.shed('late', drainMs);
      const seconds = verdict.kind === 'shed' ? verdict.retryAfterMs / 1000 : NaN;
      expect(Number.isInteger(seconds)).toBe(true);
      expect(seconds).toBeGreaterThanOrEqual(Math.max(1, Math.floor(Math.min(15, drainMs / 1000))));
      expect(seconds).toBeLessThanOrEqual(31);
    }),
  );
});
