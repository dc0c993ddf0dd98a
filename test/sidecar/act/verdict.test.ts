import { describe, expect, test } from 'vitest';
import { toFigures } from '../../../sidecar/act/trial-figures.ts';
import { TrialJudge, type TrialRule, type TrialVerdict } from '../../../sidecar/act/verdict.ts';
import { LatencyTally } from '../../../src/core/latency-tally.ts';
import { createRandom } from '../../../src/core/random.ts';
import type { Arm, Slice } from '../../../src/core/trial.ts';

const RULE: TrialRule = {
  weights: { performance: 1, cost: 0 },
  slaP99Ms: null,
  errorRate: 0.01,
  threshold: 0.1,
  alpha: 0.01,
  minBatches: 20,
};
const COST = { performance: 0, cost: 1 };

/** What a slice of an arm is like: ratios to the baseline's. */
interface Kind {
  readonly slow?: number;
  readonly busy?: number;
  readonly lost?: number;
  readonly answers?: number;
  readonly batches?: number;
  /** Load / what its full batches can serve. */
  readonly load?: number;
}

/** Slices of 1 s with 100 answers around 10 ms, whose level differs by 10 %. */
function createSlices(seed: number) {
  const random = createRandom(seed);
  return (arm: Arm, { slow = 1, busy = 1, lost = 0, answers = 100, batches = 40, load = 0 }: Kind = {}): Slice => {
    const latency = new LatencyTally();
    const level = slow * Math.exp(0.1 * random.normal());
    const losses = Math.round(lost * answers);
    for (let index = 0; index < answers - losses; index++) latency.record(10 * level * Math.exp(0.3 * random.normal()));
    const busyMs = 400 * busy * Math.exp(0.05 * random.normal());
    const counts = { arrivals: answers, answers, lost: losses, batches, arrivedItems: answers, busyMs };
    // 100 items a second: at a load of 1 full batches serve one in 10 ms.
    const full = { items: load === 0 ? 0 : 100, durationMs: 1000 * load };
    return { arm, startMs: 0, durationMs: 1000, measuredMs: 980, ...counts, full, latency, isCut: false };
  };
}

/** Blocks of ten until there is a verdict. */
function run(rule: TrialRule, candidate: Kind, baseline: Kind = {}, seed = 1, blocksMax = 30) {
  const judge = new TrialJudge(rule);
  const slice = createSlices(seed);
  const random = createRandom(seed + 1);
  judge.learn(
    Array.from({ length: 20 }, () => toFigures(slice('baseline', baseline), rule.slaP99Ms)).filter(
      (one) => one !== null,
    ),
  );
  judge.beginStage(0.1, 300);
  let verdict: TrialVerdict = { kind: 'continue', reason: '' };
  for (let blocks = 0; blocks < blocksMax && verdict.kind === 'continue'; blocks++) {
    const drawn = random.int(10);
    const slices = Array.from({ length: 10 }, (_, index) =>
      index === drawn ? slice('candidate', candidate) : slice('baseline', baseline),
    );
    verdict = judge.judge(
      slices,
      slices.map(() => true),
    );
  }
  return { verdict, judge };
}

describe('the verdict on a candidate', () => {
  test('that changes nothing is better, with the figures of both', () => {
    const { verdict, judge } = run(RULE, {});
    expect(verdict.kind).toBe('better');
    expect(judge.measured.candidate?.p99Ms).toBeGreaterThan(10);
    expect(Math.abs(judge.shift ?? 1)).toBeLessThan(0.2);
    expect(verdict.reason).toMatch(/p99 .* ms against .* ms, objective [+-].* %, \d+ blocks/);
  });

  test.each([
    // what it is, its rule, how its slices differ, the cause that is named
    ['half as slow again', {}, { slow: 1.5 }, 'objective'],
    ['as fast but twice as dear, where cost counts', { weights: COST }, { busy: 2 }, 'objective'],
    ['that loses 5 % of the requests', {}, { lost: 0.05 }, 'errors'],
    ['cheaper, but beyond the SLA', { weights: COST, slaP99Ms: 26 }, { busy: 0.9, slow: 1.5 }, 'sla'],
  ] as const)('%s is worse', (_, rule, candidate, cause) => {
    expect(run({ ...RULE, ...rule }, candidate).verdict).toMatchObject({ kind: 'worse', cause });
  });

  test.each([
    ['twice as fast', {}, { slow: 0.5 }],
    ['slower within the SLA, where only cost counts', { weights: COST, slaP99Ms: 100 }, { slow: 1.5, busy: 0.8 }],
    ['no later than a baseline that misses the SLA itself', { slaP99Ms: 5 }, {}],
  ] as const)('%s is better', (_, rule, candidate) => {
    expect(run({ ...RULE, ...rule }, candidate).verdict.kind).toBe('better');
  });

  test('is not given without answers, however long it takes', () => {
    const { verdict, judge } = run(RULE, { answers: 0, batches: 0 }, { answers: 0, batches: 0 });
    expect(verdict.kind).toBe('continue');
    expect([judge.blocks, judge.shift, judge.candidateAnswers]).toEqual([0, null, 0]);
  });

  test('is not "better" near the limit of what it can serve, however good its slices look', () => {
    const atLimit = { slow: 0.8, load: 0.97 };
    const { verdict } = run(RULE, atLimit);
    expect(verdict).toMatchObject({ kind: 'continue' });
    expect(verdict.reason).toMatch(/at 97.0 % of what it can serve/);
    expect(run(RULE, atLimit, { load: 0.98 }).verdict.kind).toBe('better');
  });

  test('is not "better" on fewer batches than the policy asks for', () => {
    const rule = { ...RULE, minBatches: 1000 };
    expect(run(rule, {}, {}, 1, 8).verdict.kind).toBe('continue');
  });

  test('of 300 harmless ones is "worse" for at most three, of 100 that are 30 % slower for all but a few', () => {
    let alarms = 0;
    for (let seed = 1; seed <= 300; seed++) alarms += Number(run(RULE, {}, {}, seed).verdict.kind === 'worse');
    expect(alarms).toBeLessThanOrEqual(3);
    let caught = 0;
    for (let seed = 1; seed <= 100; seed++)
      caught += Number(run(RULE, { slow: 1.3 }, {}, seed).verdict.kind === 'worse');
    expect(caught).toBeGreaterThanOrEqual(97);
  });

  test('what was found against it in one stage still counts in the next, what spoke for it does not', () => {
    const { judge } = run(RULE, { slow: 1.15 }, {}, 3, 2);
    judge.beginStage(0.5, 300);
    expect([judge.blocks, judge.shift, judge.measured.candidate]).toEqual([0, null, null]);
  });
});

describe('a look at one slice', () => {
  const judgeOf = (rule: TrialRule, seed = 1) => {
    const judge = new TrialJudge(rule);
    const slice = createSlices(seed);
    judge.learn(Array.from({ length: 20 }, () => toFigures(slice('baseline'), rule.slaP99Ms)!));
    judge.beginStage(0.1, 300);
    return { judge, slice };
  };

  test('ends it when its tail is far longer, when it loses, and when it misses the SLA', () => {
    const { judge, slice } = judgeOf({ ...RULE, slaP99Ms: 40 });
    expect(judge.look(slice('candidate', { slow: 2.5 }), 1)).toMatchObject({ kind: 'worse', cause: 'objective' });
    expect(judge.look(slice('candidate', { lost: 0.6 }), 1)).toMatchObject({ kind: 'worse', cause: 'errors' });
    expect(judge.look(slice('candidate', { slow: 6 }), 0.5)).toMatchObject({ kind: 'worse', cause: 'sla' });
  });

  test('leaves it alone otherwise, and where there is too little to see', () => {
    const { judge, slice } = judgeOf(RULE);
    expect(judge.look(slice('candidate', { slow: 1.2 }), 1).kind).toBe('continue');
    expect(judge.look(slice('candidate', { slow: 9, batches: 2 }), 0.25).kind).toBe('continue');
    expect(judge.look(slice('candidate', { answers: 0 }), 1).kind).toBe('continue');
    expect(new TrialJudge(RULE).look(slice('candidate', { slow: 9 }), 1).kind).toBe('continue');
  });

  test('takes at most one harmless slice of 1,000 for gross harm', () => {
    const alarms = Array.from({ length: 1000 }, (_, seed) => {
      const { judge, slice } = judgeOf(RULE, seed);
      return Number(judge.look(slice('candidate'), 1).kind === 'worse');
    });
    expect(alarms.reduce((sum, alarm) => sum + alarm, 0)).toBeLessThanOrEqual(1);
  });

  test('in cost mode lets a slower slice be, as long as the SLA holds', () => {
    const { judge, slice } = judgeOf({ ...RULE, weights: COST, slaP99Ms: 1000 });
    expect(judge.look(slice('candidate', { slow: 3 }), 0.5).kind).toBe('continue');
  });
});
