import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createSwitchback } from '../../../sidecar/proxy/trial.ts';
import type { BatchCompletion, Completion, Ending } from '../../../src/core/completion.ts';
import type { Arm, SlicePlan, SlicePlayer } from '../../../src/core/trial.ts';

const PLAN: SlicePlan = { sliceMs: 100, trimMs: 10, graceMs: 200 };

function completion(arrivedMs: number, endedMs: number, ending: Ending = 'success'): Completion {
  return {
    model: 'm',
    protocol: 'v2',
    code: 200,
    outcome: 'ok',
    ending,
    arrivedMs,
    endedMs,
    queueMs: 0,
    upstreamMs: endedMs - arrivedMs,
    firstByteMs: null,
    items: 1,
    requestBytes: 0,
    responseBytes: 0,
    generation: 1,
  };
}

function batch(startedMs: number, durationMs: number): BatchCompletion {
  const counts = { requests: 1, items: 1, inflight: 1, inflightAll: 1, generation: 1 };
  return { model: 'm', reason: 'natural', ending: 'success', startedMs, durationMs, ...counts };
}

function serve(player: SlicePlayer, arrivedMs: number, endedMs: number, ending: Ending = 'success'): void {
  player.arrived('m', 1, 0, arrivedMs);
  player.completed(completion(arrivedMs, endedMs, ending));
}

describe('a switchback', () => {
  test('plays the arms one after the other, then the baseline', () => {
    const player = createSwitchback(0);
    player.play(PLAN, ['baseline', 'candidate', 'baseline', 'candidate'], 1000);
    expect([1000, 1099, 1100, 1199, 1200, 1399, 1400, 9999].map((atMs) => player.armAt(atMs))).toEqual([
      'baseline',
      'baseline',
      'candidate',
      'candidate',
      'baseline',
      'candidate',
      'baseline',
      'baseline',
    ]);
  });

  test('says when the next slice begins, so that what waits can be looked at under its settings', () => {
    const player = createSwitchback(0);
    player.play(PLAN, ['candidate'], 1000);
    player.armAt(1000);
    expect(player.nextChangeMs()).toBe(1100);
  });

  test('is back at the baseline at once when it is stopped', () => {
    const player = createSwitchback(0);
    player.play(PLAN, ['candidate', 'candidate'], 1000);
    expect(player.armAt(1050)).toBe('candidate');
    player.stop(1050);
    expect(player.armAt(1050)).toBe('baseline');
    expect(player.armAt(1150)).toBe('baseline');
  });

  test('counts a request in the slice in which it arrived, but not where the queue is the other arm’s', () => {
    const player = createSwitchback(0);
    player.play(PLAN, ['candidate'], 1000);
    player.armAt(1000);
    serve(player, 1005, 1050); // the trim: it met what the baseline had left
    serve(player, 1010, 1060);
    serve(player, 1089, 1140); // ended under the baseline, arrived under the candidate
    serve(player, 1095, 1150); // the trim: it would be served by what the baseline does
    const slice = player.take(1150).find(({ arm }) => arm === 'candidate');
    expect(slice).toMatchObject({ arrivals: 4, answers: 2, startMs: 1000, durationMs: 100, measuredMs: 80 });
    expect(slice?.latency.quantileMs(1)).toBeCloseTo(51, 0);
  });

  test('is not over before its requests are, and then only waits so long', () => {
    const player = createSwitchback(0);
    player.play(PLAN, ['candidate'], 1000);
    player.armAt(1000);
    player.arrived('m', 1, 0, 1020);
    player.arrived('m', 1, 0, 1030);
    expect(player.take(1150).some(({ arm }) => arm === 'candidate')).toBe(false);
    player.completed(completion(1020, 1160));
    expect(player.take(1160).some(({ arm }) => arm === 'candidate')).toBe(false);
    const slice = player.take(1300).find(({ arm }) => arm === 'candidate');
    // One is still out after 200 ms of grace: it counts as that old.
    expect(slice?.answers).toBe(2);
    expect(slice?.latency.quantileMs(1)).toBeGreaterThan(200);
  });

  test('loses count losses, hang-ups teach nothing', () => {
    const player = createSwitchback(0);
    player.play(PLAN, ['candidate'], 1000);
    player.armAt(1000);
    serve(player, 1020, 1030);
    serve(player, 1021, 1031, 'dropped');
    serve(player, 1022, 1032, 'ignored');
    expect(player.take(1101).at(-1)).toMatchObject({ answers: 2, lost: 1, arrivals: 3 });
  });

  test('adds up the time with a call in flight, to each slice its own part', () => {
    const player = createSwitchback(0);
    player.play(PLAN, ['baseline', 'candidate'], 1000);
    player.armAt(1000);
    player.batchStarted('m', 1050);
    player.batchStarted('m', 1060);
    player.batchCompleted(batch(1050, 30));
    player.batchCompleted(batch(1060, 65)); // to 1125: in flight over the change
    const [baseline, candidate] = player.take(1300).filter(({ isCut, startMs }) => !isCut && startMs >= 1000);
    expect(baseline).toMatchObject({ arm: 'baseline', busyMs: 40, batches: 2 });
    expect(candidate).toMatchObject({ arm: 'candidate', busyMs: 15, batches: 0 });
  });

  test('passes over silence while nothing is tried, but plays an idle trial to its end', () => {
    const player = createSwitchback(0);
    player.play(PLAN, [], 1000);
    player.take(1000);
    expect(player.take(60_000)).toEqual([]);
    player.play(PLAN, ['baseline', 'candidate'], 60_000);
    expect(
      player
        .take(60_250)
        .filter(({ isCut }) => !isCut)
        .map(({ arm }) => arm),
    ).toEqual(['baseline', 'candidate']);
  });

  test('an answer that comes after everything has been closed is nobody’s', () => {
    const player = createSwitchback(0);
    player.play(PLAN, ['candidate'], 1000);
    player.armAt(1000);
    player.arrived('m', 1, 0, 1020);
    player.take(2000);
    player.completed(completion(1020, 2001));
    expect(player.peek(2001).answers).toBe(0);
  });

  test('any schedule: slices lie back to back, and every request is counted at most once', () => {
    const step = fc.record({ waitMs: fc.integer({ min: 0, max: 60 }), lastsMs: fc.integer({ min: 0, max: 150 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 9 }), (steps, seed) => {
        const player = createSwitchback(0);
        const arms = Array.from<unknown, Arm>({ length: 12 }, (_, index) =>
          index % seed === 0 ? 'candidate' : 'baseline',
        );
        player.play(PLAN, arms, 0);
        let nowMs = 0;
        const events: { atMs: number; run: () => void }[] = [];
        for (const { waitMs, lastsMs } of steps) {
          nowMs += waitMs;
          const atMs = nowMs;
          events.push({ atMs, run: () => player.arrived('m', 1, 0, atMs) });
          events.push({ atMs: atMs + lastsMs, run: () => player.completed(completion(atMs, atMs + lastsMs)) });
        }
        events.sort((a, b) => a.atMs - b.atMs);
        const taken = events.flatMap(({ atMs, run }) => {
          run();
          return player.take(atMs);
        });
        taken.push(...player.take(nowMs + 10_000));
        for (const [index, slice] of taken.entries()) {
          const before = taken[index - 1];
          if (before !== undefined) expect(slice.startMs).toBeGreaterThanOrEqual(before.startMs + before.durationMs);
          expect(slice.busyMs).toBeLessThanOrEqual(slice.measuredMs);
        }
        expect(taken.reduce((sum, { arrivals }) => sum + arrivals, 0)).toBeLessThanOrEqual(steps.length);
        for (const { answers, arrivals } of taken) expect(answers).toBeLessThanOrEqual(arrivals);
      }),
    );
  });
});
