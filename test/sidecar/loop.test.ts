import { describe, expect, test } from 'vitest';
import { ControlLoop, type LoopParts } from '../../sidecar/loop.ts';
import type { Decision, Explanation, Proposal } from '../../src/core/proposal.ts';
import { START_SETTINGS } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import { toModelSnapshot, toSnapshot } from '../support/model-snapshot.ts';

function toProposal(model: string, decider = 'linear'): Proposal {
  return {
    model,
    settings: { ...START_SETTINGS, batchSize: 32 },
    class: 'step',
    decider,
    reason: 'test',
    predicted: null,
    evidence: {},
  };
}

function createLoop(changed: Partial<LoopParts> = {}) {
  const applied: Proposal[] = [];
  const explanations: Explanation[] = [];
  const failures: string[] = [];
  const loop = new ControlLoop({
    decide: [(model): Decision => ({ kind: 'propose', proposal: toProposal(model.model) })],
    guard: (proposal) => ({ kind: 'pass', proposal }),
    apply: (proposal) => applied.push(proposal) > 0,
    explained: (explanation) => explanations.push(explanation),
    failed: (model, message) => failures.push(`${model}: ${message}`),
    nowIso: () => '2026-01-01T00:00:00.000Z',
    ...changed,
  });
  return { loop, applied, explanations, failures };
}

const two = toSnapshot([toModelSnapshot({ model: 'a' }), toModelSnapshot({ model: 'b' })]);
const throwFor =
  (name: string, message: string) =>
  (model: ModelSnapshot): Decision => {
    if (model.model === name) throw new Error(message);
    return { kind: 'propose', proposal: toProposal(model.model) };
  };

describe('one period', () => {
  test('decides, guards and applies for each model, and explains each', () => {
    const { loop, applied, explanations } = createLoop();
    loop.tick(two);
    expect(applied.map(({ model }) => model)).toEqual(['a', 'b']);
    expect(explanations.map(({ result }) => result)).toEqual(['applied', 'applied']);
  });

  test('applies what the guard made of it, and nothing on a veto or a hold', () => {
    const { loop, applied, explanations } = createLoop({
      decide: [
        (model) =>
          model.model === 'a'
            ? { kind: 'propose', proposal: toProposal('a') }
            : { kind: 'hold', model: 'b', decider: 'linear', reason: 'calm' },
      ],
      guard: (proposal) => ({ kind: 'veto', proposal, rule: 'slo', reason: 'too slow' }),
    });
    loop.tick(two);
    expect(applied).toEqual([]);
    expect(explanations.map(({ result }) => result)).toEqual(['vetoed', 'held']);
  });

  test('paused, it still decides and explains but applies nothing', () => {
    const { loop, applied, explanations } = createLoop();
    loop.pause();
    loop.tick(two);
    expect(applied).toEqual([]);
    expect(explanations.map(({ result, guarded }) => [result, guarded?.kind])).toEqual([
      ['held', 'pass'],
      ['held', 'pass'],
    ]);
    loop.resume();
    loop.tick(two);
    expect(applied.length).toBe(2);
  });
});

describe('faults', () => {
  test("one model's throwing decider is counted and leaves the other untouched", () => {
    const { loop, applied, explanations, failures } = createLoop({ decide: [throwFor('a', 'NaN in the fit')] });
    loop.tick(two);
    expect(applied.map(({ model }) => model)).toEqual(['b']);
    expect(failures).toEqual(['a: NaN in the fit']);
    expect(loop.faults).toBe(1);
    expect(explanations[0]?.decision).toMatchObject({ kind: 'hold', decider: 'none' });
  });

  test('the next decider stands in for one that throws', () => {
    const { loop, applied } = createLoop({
      decide: [
        throwFor('a', 'policy broken'),
        (model) => ({ kind: 'propose', proposal: toProposal(model.model, 'fallback') }),
      ],
    });
    loop.tick(two);
    expect(applied.map(({ model, decider }) => `${model} ${decider}`)).toEqual(['a fallback', 'b linear']);
  });

  test('a guard or an explanation that throws stops that model only, an application that throws is a refusal', () => {
    const guarding = createLoop({
      guard: (proposal) => {
        if (proposal.model === 'a') throw new Error('guard');
        return { kind: 'pass', proposal };
      },
    });
    guarding.loop.tick(two);
    expect(guarding.applied.map(({ model }) => model)).toEqual(['b']);

    const applying = createLoop({
      apply: () => {
        throw new Error('pipe closed');
      },
    });
    applying.loop.tick(two);
    expect(applying.explanations.map(({ result }) => result)).toEqual(['refused', 'refused']);

    const explaining = createLoop({
      explained: () => {
        throw new Error('disk full');
      },
    });
    explaining.loop.tick(two);
    expect(explaining.applied.length).toBe(2);
    expect(explaining.loop.faults).toBe(2);
  });

  test('even a failing report of a failure does not stop it', () => {
    const { loop, applied } = createLoop({
      decide: [throwFor('a', 'first')],
      failed: () => {
        throw new Error('second');
      },
    });
    loop.tick(two);
    expect(applied.map(({ model }) => model)).toEqual(['b']);
  });
});
