import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BusyTime } from '../../../sidecar/sense/busy.ts';

interface Call {
  readonly startMs: number;
  readonly endMs: number;
}

/** Brute force at 1 ms: is any call running in this millisecond, and how many. */
function bruteForce(calls: readonly Call[], fromMs: number, toMs: number): { busyRatio: number; meanInflight: number } {
  let busy = 0;
  let area = 0;
  for (let ms = fromMs; ms < toMs; ms++) {
    const running = calls.filter((call) => call.startMs <= ms && ms < call.endMs).length;
    if (running > 0) busy += 1;
    area += running;
  }
  return { busyRatio: busy / (toMs - fromMs), meanInflight: area / (toMs - fromMs) };
}

const calls = fc.array(
  fc.record({ startMs: fc.nat(900), lengthMs: fc.integer({ min: 1, max: 200 }) }).map(({ startMs, lengthMs }) => ({
    startMs,
    endMs: startMs + lengthMs,
  })),
  { maxLength: 20 },
);

describe('BusyTime', () => {
  test('with starts reported, busy share and mean in flight equal brute force, over two windows', () => {
    fc.assert(
      fc.property(calls, (drawn) => {
        const events = drawn
          .flatMap((call) => [
            { atMs: call.startMs, call, isStart: true },
            { atMs: call.endMs, call, isStart: false },
          ])
          .toSorted((a, b) => a.atMs - b.atMs);
        const busy = new BusyTime(0);
        let isTurned = false;
        const turn = (): void => {
          isTurned = true;
          if (drawn.every((call) => call.startMs >= 600)) return;
          const got = busy.read(600);
          const want = bruteForce(drawn, 0, 600);
          expect(got.busyRatio).toBeCloseTo(want.busyRatio, 9);
          expect(got.meanInflight).toBeCloseTo(want.meanInflight, 9);
        };
        for (const { atMs, call, isStart } of events) {
          if (!isTurned && atMs >= 600) {
            turn();
            busy.restart(600);
          }
          if (isStart) busy.started(atMs);
          else busy.ended(call.startMs, atMs);
        }
        if (!isTurned) busy.restart(600);
        const got = busy.read(1200);
        const want = bruteForce(drawn, 600, 1200);
        expect(got.busyRatio).toBeCloseTo(want.busyRatio, 9);
        expect(got.meanInflight).toBeCloseTo(want.meanInflight, 9);
      }),
    );
  });

  test('with ends only, calls one after another are exact and overlapping ones never exceed 1', () => {
    const busy = new BusyTime(0);
    busy.ended(0, 100);
    busy.ended(200, 300);
    expect(busy.read(400)).toEqual({ busyRatio: 0.5, meanInflight: 0.5 });
    const overlapping = new BusyTime(0);
    overlapping.ended(0, 100);
    overlapping.ended(50, 150);
    overlapping.ended(60, 200);
    expect(overlapping.read(200).busyRatio).toBe(1);
    expect(overlapping.read(200).meanInflight).toBeCloseTo(340 / 200);
  });

  test('an end without its start does not make the count negative', () => {
    const busy = new BusyTime(0);
    busy.started(10);
    busy.ended(10, 20);
    busy.ended(5, 30);
    expect(busy.inflight).toBe(0);
    busy.started(40);
    expect(busy.inflight).toBe(1);
  });
});
