import { describe, expect, test } from 'vitest';
import type { BatchingRule } from '../../../src/core/batching.ts';
import { Batcher } from '../../../sidecar/proxy/batch.ts';
import type { Waiting } from '../../../sidecar/proxy/waiting.ts';

const natural: BatchingRule = { limitItems: 4, delayMs: 0, isDraining: false };
const delayed: BatchingRule = { limitItems: 4, delayMs: 10, isDraining: false };

function toRequest(key: string, fields: Partial<Waiting> = {}): Waiting {
  return { key, items: 1, isBatchable: true, arrivedMs: 0, deadlineMs: Infinity, priority: 1, slot: -1, ...fields };
}

/** Every batch that may leave now, as the keys and priorities of its members. */
function leave(batcher: Batcher<Waiting>, rule: BatchingRule, nowMs: number, leadMs = 0): string[] {
  const batches: string[] = [];
  for (let queue = batcher.ready(rule, leadMs, nowMs); queue !== null; queue = batcher.ready(rule, leadMs, nowMs)) {
    const { members, reason } = batcher.take(queue, rule);
    batches.push(`${reason} ${members.map((request) => `${request.key}${request.priority}`).join('+')}`);
  }
  return batches;
}

describe('the order among keys', () => {
  test('only equal keys share a batch, and the oldest head goes first', () => {
    const batcher = new Batcher<Waiting>();
    for (const key of ['a', 'b', 'a', 'c', 'b']) batcher.add(toRequest(key), 0);
    expect(leave(batcher, natural, 0)).toEqual(['natural a1+a1', 'natural b1+b1', 'natural c1']);
  });

  test('the more urgent goes first, and equal keys of another priority do not join', () => {
    const batcher = new Batcher<Waiting>();
    for (const priority of [0, 1, 3, 1, 2]) batcher.add(toRequest('a', { priority }), 0);
    expect(leave(batcher, natural, 0)).toEqual(['natural a3', 'natural a2', 'natural a1+a1', 'natural a0']);
  });

  test('a key that was served goes behind the others: one that floods starves none', () => {
    const batcher = new Batcher<Waiting>();
    for (let at = 0; at < 8; at++) batcher.add(toRequest('flood'), 0);
    batcher.add(toRequest('quiet'), 0);
    for (let at = 0; at < 8; at++) batcher.add(toRequest('flood'), 0);
    const order = leave(batcher, natural, 0).map((batch) => batch.includes('quiet'));
    expect(order.indexOf(true)).toBe(2);
  });

  test('a full batch overtakes an older one that still waits for company', () => {
    const batcher = new Batcher<Waiting>();
    batcher.add(toRequest('slow'), 0);
    for (let at = 0; at < 4; at++) batcher.add(toRequest('full'), 5);
    expect(leave(batcher, delayed, 6)).toEqual(['full full1+full1+full1+full1']);
    expect(batcher.dueMs(delayed, 0)).toBe(10);
    expect(leave(batcher, delayed, 10)).toEqual(['timeout slow1']);
  });

  test('a priority from a hostile header is brought into range', () => {
    const batcher = new Batcher<Waiting>();
    for (const priority of [NaN, -5, 1.5, 99, Infinity]) batcher.add(toRequest('a', { priority }), 0);
    expect(leave(batcher, natural, 0).flatMap((batch) => batch.split('+'))).toHaveLength(5);
    expect(batcher.requests).toBe(0);
  });
});

describe('a changed limit', () => {
  test('lowered, it makes full what was growing; raised, it lets it grow again', () => {
    const batcher = new Batcher<Waiting>();
    for (let at = 0; at < 3; at++) batcher.add(toRequest('a'), 0);
    expect(batcher.ready(delayed, 0, 1)).toBeNull();
    expect(batcher.ready({ ...delayed, limitItems: 2 }, 0, 1)).not.toBeNull();
    expect(batcher.ready(delayed, 0, 1)).toBeNull();
    expect(leave(batcher, { ...delayed, limitItems: 2 }, 1)).toEqual(['full a1+a1']);
  });
});

describe('deadlines', () => {
  test('what expired is taken out, earliest first, from anywhere in the queue', () => {
    const batcher = new Batcher<Waiting>();
    const deadlines = [50, Infinity, 20, 30, 90];
    for (const deadlineMs of deadlines) batcher.add(toRequest('a', { deadlineMs }), 0);
    expect(batcher.nextDeadlineMs).toBe(20);
    expect(batcher.expire(50).map((request) => request.deadlineMs)).toEqual([20, 30, 50]);
    expect(batcher.nextDeadlineMs).toBe(90);
    expect(leave(batcher, natural, 50)).toEqual(['natural a1+a1']);
    expect(batcher.nextDeadlineMs).toBe(Infinity);
  });

  test('a delay never costs a deadline: the batch leaves early enough to meet it', () => {
    const batcher = new Batcher<Waiting>();
    batcher.add(toRequest('a'), 0);
    batcher.add(toRequest('a', { deadlineMs: 8 }), 0);
    expect(batcher.dueMs(delayed, 3)).toBe(5);
    expect(leave(batcher, delayed, 4, 3)).toEqual([]);
    expect(leave(batcher, delayed, 5, 3)).toEqual(['timeout a1+a1']);
  });

  test('the hurry ends with the request that was in it', () => {
    const batcher = new Batcher<Waiting>();
    const hurried = toRequest('a', { deadlineMs: 8 });
    batcher.add(toRequest('a'), 0);
    batcher.add(hurried, 0);
    expect(batcher.ready(delayed, 3, 5)).not.toBeNull();
    batcher.remove(hurried);
    expect(batcher.ready(delayed, 3, 5)).toBeNull();
  });
});

describe('leaving the queue', () => {
  test('a cancelled request is gone once, from the head, the middle and the tail', () => {
    const batcher = new Batcher<Waiting>();
    const requests = Array.from({ length: 4 }, (_, at) => toRequest('a', { arrivedMs: at }));
    for (const request of requests) batcher.add(request, request.arrivedMs);
    for (const at of [0, 2, 3])
      expect([batcher.remove(requests[at]!), batcher.remove(requests[at]!)]).toEqual([true, false]);
    expect(batcher.oldestArrivedMs).toBe(1);
    expect(leave(batcher, natural, 4)).toEqual(['natural a1']);
    expect(batcher.remove(requests[1]!)).toBe(false);
    expect(batcher.oldestArrivedMs).toBeNull();
  });

  test("another batcher's slot numbers are not believed", () => {
    const mine = new Batcher<Waiting>();
    const theirs = new Batcher<Waiting>();
    const request = toRequest('a');
    theirs.add(request, 0);
    mine.add(toRequest('a'), 0);
    expect(mine.remove(request)).toBe(false);
    expect(mine.requests).toBe(1);
  });

  test('what is sent again goes alone, before everything of its priority and behind what is more urgent', () => {
    const batcher = new Batcher<Waiting>();
    batcher.add(toRequest('x'), 0);
    batcher.add(toRequest('y', { priority: 3 }), 0);
    for (const key of ['p', 'q', 'p']) batcher.addAgain(toRequest(key), 1);
    expect(leave(batcher, natural, 1)).toEqual(['natural y3', 'single p1', 'single q1', 'single p1', 'natural x1']);
  });
});

test('a million distinct keys leave nothing behind', () => {
  const batcher = new Batcher<Waiting>();
  for (let at = 0; at < 1_000_000; at++) {
    batcher.add(toRequest(`key-${at}`, { priority: at & 3 }), at);
    if (at % 1000 === 999) expect(leave(batcher, natural, at)).toHaveLength(1000);
  }
  expect([batcher.requests, batcher.items]).toEqual([0, 0]);
  expect(batcher.keys).toBeLessThanOrEqual(1);
});
