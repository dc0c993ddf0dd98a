import { describe, expect, test } from 'vitest';
import { toSentences } from '../../../sidecar/decide/explain.ts';
import type { Explanation, Proposal } from '../../../src/core/proposal.ts';
import { START_SETTINGS } from '../../../src/core/settings.ts';

describe('decisions in words', () => {
  const proposal: Proposal = {
    model: 'ranker',
    settings: { ...START_SETTINGS, batchSize: 32 },
    class: 'step',
    decider: 'linear',
    reason: 'on the way to 16 / 0 ms / 1, 12 % better by forecast',
    predicted: { p99Ms: 41.237, gpuSecondsPer1k: 0.5251 },
    evidence: {},
  };
  const explanation: Explanation = {
    at: '2026-01-01T00:00:00.000Z',
    model: 'ranker',
    decision: { kind: 'propose', proposal },
    guarded: { kind: 'pass', proposal },
    result: 'applied',
  };

  test('a proposal that passed', () => {
    expect(toSentences(explanation)).toEqual([
      'linear wants 32 / 0 ms / 1 (batch / delay / in flight) for ranker, a step: on the way to 16 / 0 ms / 1, 12 % better by forecast.',
      'It expects a p99 of 41.2 ms and 0.525 device seconds per 1,000 answers.',
      '32 / 0 ms / 1 goes to trial or into force.',
    ]);
  });

  test('a veto, a cut, a pause and a hold', () => {
    const veto = { kind: 'veto', proposal, rule: 'slo', reason: 'a p99 of 120 ms is expected' } as const;
    expect(toSentences({ ...explanation, guarded: veto, result: 'vetoed' }).slice(2)).toEqual([
      'The guard refused it by rule slo: a p99 of 120 ms is expected.',
      'Nothing changes.',
    ]);
    const changed = {
      kind: 'changed',
      proposal: { ...proposal, settings: START_SETTINGS },
      rule: 'max-step',
      reason: 'cut',
    } as const;
    expect(toSentences({ ...explanation, guarded: changed }).slice(2)).toEqual([
      'The guard changed it by rule max-step: cut.',
      '64 / 0 ms / 1 goes to trial or into force.',
    ]);
    expect(toSentences({ ...explanation, result: 'held' }).at(-1)).toBe('The loop is paused, so nothing changes.');
    expect(
      toSentences({
        ...explanation,
        decision: { kind: 'hold', model: 'ranker', decider: 'linear', reason: 'too little traffic' },
        guarded: null,
        result: 'held',
      }),
    ).toEqual(['linear leaves ranker as it is: too little traffic.']);
  });
});
