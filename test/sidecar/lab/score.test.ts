import { describe, expect, test } from 'vitest';
import { Scorer, toObjective, toRunScore } from '../../../sidecar/lab/score.ts';
import type { Piece } from '../../../sidecar/lab/timeline.ts';

const PIECES: readonly Piece[] = [
  { fromMs: 0, toMs: 10, stretch: 0, kind: 'warm-up' },
  { fromMs: 10, toMs: 20, stretch: 0, kind: 'scored' },
  { fromMs: 20, toMs: 22, stretch: 1, kind: 'excused' },
  { fromMs: 22, toMs: Infinity, stretch: 1, kind: 'scored' },
];
const ARRIVALS = Float64Array.of(1, 11, 12, 13, 14, 21, 23, 24);
const TRACE = {
  latenciesMs: Float64Array.of(90, 5, 6, 7, 30, 99, 8, Number.NaN),
  busyAtCutsMs: [9, 17, 19, 25],
  batches: 5,
  endMs: 32,
};
const scorer = new Scorer(ARRIVALS, PIECES, 10);

describe('scores', () => {
  test('of a stretch: its own requests, its own busy time, an answer past the SLA is not good', () => {
    expect(scorer.score(TRACE, 0, 'scored')).toEqual({
      requests: 4,
      completed: 4,
      lost: 0,
      good: 3,
      p50Ms: 6,
      p99Ms: 30,
      busyMs: 8,
      spanMs: 10,
      gpuSecondsPer1k: 8 / 3,
      isFeasible: false,
    });
  });

  test('a loss above 1 % makes a stretch infeasible, however fast the rest', () => {
    const score = scorer.score(TRACE, 1, 'scored');
    expect([score.requests, score.lost, score.p99Ms, score.isFeasible]).toEqual([2, 1, 8, false]);
  });

  test('warm-up and excused intervals are counted apart, and the whole holds them all', () => {
    expect(scorer.score(TRACE, undefined, 'warm-up')).toMatchObject({ requests: 1, p99Ms: 90, busyMs: 9 });
    expect(scorer.score(TRACE, undefined, 'excused')).toMatchObject({ requests: 1, p99Ms: 99, busyMs: 2 });
    expect(scorer.score(TRACE)).toMatchObject({ requests: 8, completed: 7, lost: 1, busyMs: 25, spanMs: 32 });
  });

  test('requests between two moments', () => {
    expect(scorer.tail(TRACE, 12, 23)).toEqual({ requests: 4, lost: 0, p99Ms: 99, good: 2 });
    expect(scorer.tail(TRACE, 50, 60)).toMatchObject({ requests: 0, p99Ms: 0 });
  });
});

describe('the objective', () => {
  const score = { ...scorer.score(TRACE, 0, 'scored'), isFeasible: true };

  test('is one product for all modes', () => {
    expect(toObjective(score, { performance: 1, cost: 0 })).toBe(30);
    expect(toObjective(score, { performance: 0, cost: 1 })).toBeCloseTo(8 / 3, 12);
    expect(toObjective(score, { performance: 0.7, cost: 0.3 })).toBeCloseTo(30 ** 0.7 * (8 / 3) ** 0.3, 12);
    expect(toObjective({ ...score, good: 0 }, { performance: 1, cost: 0 })).toBe(Infinity);
  });

  test('of a run is the mean over stretches by requests; one infeasible stretch spoils it, an empty one does not count', () => {
    const other = { ...score, requests: 12, p99Ms: 10 };
    const weights = { performance: 1, cost: 0 };
    expect(toRunScore([score, other], weights)).toEqual({ objective: (4 * 30 + 12 * 10) / 16, isFeasible: true });
    expect(toRunScore([score, { ...other, isFeasible: false }], weights).isFeasible).toBe(false);
    expect(toRunScore([score, { ...other, requests: 0, isFeasible: false }], weights)).toEqual({
      objective: 30,
      isFeasible: true,
    });
    expect(toRunScore([], weights)).toEqual({ objective: Infinity, isFeasible: false });
  });
});
