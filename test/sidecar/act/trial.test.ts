import { describe, expect, test } from 'vitest';
import { DEFAULT_POLICY, type Policy } from '../../../src/core/policy.ts';
import type { ChangeClass, Proposal } from '../../../src/core/proposal.ts';
import type { Settings } from '../../../src/core/settings.ts';
import { createCurve } from '../../../sidecar/lab/profiles.ts';
import { TrialRig, type TrialRigOptions } from '../../support/trial-rig.ts';

// 4 ms a batch and 0.5 ms an item: 100 requests a second are a light load, whose slices differ little.
const curve = createCurve([
  { items: 1, latencyMs: 4.5 },
  { items: 64, latencyMs: 36 },
]);
const START: Settings = { batchSize: 64, batchDelayMs: 0, concurrency: 1, switches: {} };
const SAME: Settings = { ...START, batchSize: 60 };
const SLOW: Settings = { ...START, batchDelayMs: 40 };
const POLICY: Policy = { ...DEFAULT_POLICY, mode: 'performance', sla: { errorRate: 0.01, p99Ms: 100 } };

function rigOf(options: Partial<TrialRigOptions> = {}): TrialRig {
  return new TrialRig({ curve, ratePerS: 100, policy: POLICY, start: START, seed: 1, ...options }).run(30_000);
}

function proposalOf(settings: Settings, of: ChangeClass): Proposal {
  const predicted = { p99Ms: 9, gpuSecondsPer1k: 4 };
  return { model: 'm', settings, class: of, decider: 'test', reason: 'try', predicted, evidence: {} };
}

const results = (rig: TrialRig): string[] => rig.entries.map(({ result }) => result);
const isOver = (rig: TrialRig) => () => rig.last('rolled_back', 'withdrawn', 'proven') !== null;

describe('a step', () => {
  test('is in force after one stage and proven after two windows; until then the old settings are what is kept', () => {
    const rig = rigOf();
    expect(rig.applier.propose(proposalOf(SAME, 'step'), null, rig.nowMs)).toMatchObject({
      kind: 'trial',
      version: { settings: START },
    });
    expect(rig.status()).toMatchObject({ candidate: SAME, stage: 1, stages: 1, share: 0.1, blocks: 0 });
    rig.run(45_000);
    // What a kill -9 would find.
    expect(rig.applier.standings()[0]).toMatchObject({ inForce: START, lastGood: START, isForced: false });
    rig.run(200_000, isOver(rig));
    expect(results(rig)).toEqual(['trial', 'applied', 'proven']);
    expect(rig.version).toMatchObject({ settings: SAME, source: 'decider', generation: 2 });
  });

  test('tells in its history which stage, how many blocks, and what was measured beside what was promised', () => {
    const rig = rigOf();
    rig.applier.propose(proposalOf(SAME, 'step'), null, rig.nowMs);
    rig.run(200_000, isOver(rig));
    const applied = rig.last('applied');
    expect(applied?.predicted).toEqual({ p99Ms: 9, gpuSecondsPer1k: 4 });
    expect(applied?.trial).toMatchObject({ stage: 1, stages: 1, share: 0.1 });
    expect(applied?.trial?.blocks).toBeGreaterThanOrEqual(2);
    expect(applied?.measured?.p99Ms).toBeGreaterThan(5);
    expect((applied?.measured?.p99Ms ?? 0) / (applied?.trial?.baseline?.p99Ms ?? 1)).toBeCloseTo(1, 0);
    expect(applied?.reason).toMatch(/^try, passed its trial: p99 .* against .*, objective .*, \d+ blocks$/);
  });
});

describe('a leap', () => {
  test('of a person goes through all stages: a tenth of the time, half of it, all of it', () => {
    const rig = rigOf();
    expect(rig.put(SAME)).toMatchObject({ kind: 'trial', version: { settings: START } });
    rig.run(400_000, isOver(rig));
    expect(results(rig)).toEqual(['trial', 'trial', 'applied', 'proven']);
    expect(rig.entries.map(({ trial }) => trial?.share)).toEqual([0.1, 0.1, 0.5, undefined]);
    expect(rig.version).toMatchObject({ settings: SAME, source: 'user' });
    expect(rig.status()).toBeNull();
  });

  test('that makes things worse never comes into force, and touches at most its share of the requests', () => {
    const rig = rigOf();
    rig.put(SLOW);
    const before = rig.arrived;
    rig.run(400_000, isOver(rig));
    const blockEndMs = 40_000;
    expect(rig.last('rolled_back')).toMatchObject({ source: 'rollback', class: 'leap', from: SLOW, to: START });
    expect(rig.nowMs).toBeLessThan(blockEndMs);
    expect(rig.version).toMatchObject({ settings: START, generation: 1 });
    rig.run(blockEndMs);
    expect(rig.touched / (rig.arrived - before)).toBeLessThan(0.11);
    expect(rig.touched).toBeGreaterThan(0);
  });

  test('whose requests fail is stopped inside its first slice', () => {
    const rig = rigOf({ candidateLoss: 0.7 });
    rig.put(SAME);
    rig.run(400_000, isOver(rig));
    expect(rig.last('rolled_back')?.reason).toMatch(/lost/);
    expect(rig.nowMs).toBeLessThan(41_000);
  });

  test('with `immediate` is in force at once, and ends a trial', () => {
    const rig = rigOf();
    rig.put(SAME);
    rig.run(35_000);
    expect(rig.put({ ...START, batchSize: 32 }, true).kind).toBe('applied');
    expect(results(rig)).toEqual(['trial', 'withdrawn', 'applied']);
    expect(rig.status()).toBeNull();
  });
});

describe('one trial at a time', () => {
  test('a decider waits for the verdict, a person does not', () => {
    const rig = rigOf();
    rig.applier.propose(proposalOf(SAME, 'step'), null, rig.nowMs);
    rig.run(33_000);
    const other = { ...START, batchSize: 40 };
    expect(rig.applier.propose(proposalOf(other, 'step'), null, rig.nowMs).kind).toBe('unchanged');
    expect(results(rig)).toEqual(['trial']);
    expect(rig.put(other).kind).toBe('trial');
    expect(results(rig)).toEqual(['trial', 'withdrawn', 'trial']);
    expect(rig.status()?.candidate).toEqual(other);
  });

  test('a decider also waits until what came into force is proven, but not for ever', () => {
    const rig = rigOf();
    rig.applier.propose(proposalOf(SAME, 'step'), null, rig.nowMs);
    rig.run(200_000, () => rig.last('applied') !== null);
    const other = proposalOf({ ...START, batchSize: 40 }, 'step');
    expect(rig.applier.propose(other, null, rig.nowMs).kind).toBe('unchanged');
    expect(rig.applier.propose(other, null, rig.nowMs + 301_000).kind).toBe('trial');
  });

  test('is ended by a rollback that a person asks for, and counts against the candidate', () => {
    const rig = rigOf();
    rig.put(SAME);
    rig.run(33_000);
    expect(rig.applier.rollBack('m', 'asked for', rig.nowMs).kind).toBe('applied');
    expect(rig.last('rolled_back')).toMatchObject({ from: SAME, to: START });
    expect(rig.trials.running).toBe(0);
  });

  test('is ended by the reflex: its settings come into force, unless the candidate is what it fled from', () => {
    const safe = { ...START, batchSize: 50 };
    const calm = rigOf();
    calm.put(SAME);
    calm.run(31_000); // the first slices are the baseline's
    calm.applier.propose(proposalOf(safe, 'reflex'), null, calm.nowMs);
    expect(results(calm)).toEqual(['trial', 'withdrawn', 'applied']);
    expect(calm.version).toMatchObject({ settings: safe, source: 'reflex' });

    const felt = rigOf();
    felt.put(SAME);
    felt.run(60_000, () => felt.trials.versionAt('m', felt.nowMs) !== null);
    felt.applier.propose(proposalOf(safe, 'reflex'), null, felt.nowMs);
    expect(results(felt)).toEqual(['trial', 'rolled_back']);
    expect(felt.version.settings).toEqual(START);
  });

  test('is ended without a verdict when nothing may be tried any more', () => {
    const rig = rigOf();
    rig.put(SAME);
    expect(rig.applier.endTrial('m', 'paused', rig.nowMs)).toBe(true);
    expect(rig.last('withdrawn')?.reason).toBe('paused');
    expect(rig.applier.endTrial('m', 'paused', rig.nowMs)).toBe(false);
  });
});

describe('silence', () => {
  test('never passes: it is held until the longest wait, then withdrawn, and counts against nobody', () => {
    const rig = rigOf({ ratePerS: (atMs) => (atMs < 30_000 ? 100 : 1e-9), ratePerSMax: 100 });
    rig.put(SAME);
    rig.run(329_000);
    expect(rig.status()).not.toBeNull();
    rig.run(340_000);
    expect(results(rig)).toEqual(['trial', 'withdrawn']);
    expect(rig.last('withdrawn')?.reason).toMatch(/too little traffic/);
  });
});

describe('what cannot be tried in slices', () => {
  test('is in force at once and watched: the policy has no stage below everything, or a switch is turned', () => {
    const whole = rigOf({ policy: { ...POLICY, trial: { ...POLICY.trial, stages: [1] } } });
    expect(whole.put(SAME).kind).toBe('applied');
    const withSwitch = { ...POLICY, bounds: { ...POLICY.bounds, switches: ['tensorrt'] } };
    const switched = rigOf({ policy: withSwitch });
    expect(switched.put({ ...START, switches: { tensorrt: true } }).kind).toBe('applied');
    expect(switched.applier.isWatching('m')).toBe(true);
  });
});

describe('many trials', () => {
  test('of harmless candidates at a light load: all come into force and stay', () => {
    for (let seed = 1; seed <= 12; seed++) {
      const rig = rigOf({ seed });
      rig.put(SAME);
      rig.run(600_000, isOver(rig));
      expect([seed, rig.last('rolled_back', 'withdrawn', 'proven')?.result]).toEqual([seed, 'proven']);
    }
  });

  test('of bad candidates: none comes into force', () => {
    const bad: Settings[] = [
      SLOW,
      { ...START, batchDelayMs: 70 },
      { ...START, batchSize: 1, batchDelayMs: 30 },
      { ...START, batchDelayMs: 15 },
    ];
    for (const [index, candidate] of bad.entries()) {
      for (let seed = 1; seed <= 3; seed++) {
        const rig = rigOf({ seed });
        rig.put(candidate);
        rig.run(600_000, isOver(rig));
        expect([index, seed, ...results(rig)]).toEqual([index, seed, 'trial', 'rolled_back']);
      }
    }
  });
});
