import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Guard } from '../../../sidecar/decide/guard.ts';
import { cutToNotch, isWithinNotch } from '../../../sidecar/decide/notch.ts';
import type { Proposal } from '../../../src/core/proposal.ts';
import { type Settings, START_SETTINGS } from '../../../src/core/settings.ts';
import type { TelemetryReading } from '../../../src/core/snapshot.ts';
import { toModelSnapshot, toPolicy, toQuantiles, toSamples, toSnapshot } from '../../support/model-snapshot.ts';

const policy = toPolicy();
const full = toSamples({ count: 100, items: () => 64 });

function toProposal(settings: Partial<Settings>, changed: Partial<Proposal> = {}): Proposal {
  return {
    model: 'm',
    settings: { ...START_SETTINGS, ...settings },
    class: 'step',
    decider: 'linear',
    reason: 'test',
    predicted: { p99Ms: 50, gpuSecondsPer1k: 1 },
    evidence: {},
    ...changed,
  };
}

function check(guard: Guard, proposal: Proposal, changes: Parameters<typeof toModelSnapshot>[0] = {}, atMs = 1e6) {
  const model = toModelSnapshot({ samples: full, ...changes });
  return guard.check(proposal, model, toSnapshot([model], atMs), policy);
}

describe('each rule on its own', () => {
  test('a small, predicted, bounded change passes untouched', () => {
    const proposal = toProposal({ batchSize: 32 });
    expect(check(new Guard(), proposal)).toEqual({ kind: 'pass', proposal });
  });

  test('bounds: what lies outside the policy is cut to it', () => {
    const guarded = check(new Guard(), toProposal({ batchSize: 100, batchDelayMs: 5 }));
    expect(guarded).toMatchObject({ kind: 'changed', rule: 'bounds', proposal: { settings: { batchSize: 64 } } });
  });

  test('max-step: no more than a notch, from where the traffic was', () => {
    expect(check(new Guard(), toProposal({ batchSize: 8 }))).toMatchObject({
      kind: 'changed',
      rule: 'max-step',
      proposal: { settings: { batchSize: 32 } },
    });
    // No batch held more than 5: to cut 64 to 3 is no leap.
    const small = toSamples({ count: 100, items: (index) => 1 + (index % 5) });
    expect(check(new Guard(), toProposal({ batchSize: 3 }), { samples: small }).kind).toBe('pass');
    expect(check(new Guard(), toProposal({ batchDelayMs: 60 }))).toMatchObject({
      proposal: { settings: { batchDelayMs: 10 } },
    });
    expect(check(new Guard(), toProposal({ concurrency: 8 }))).toMatchObject({
      proposal: { settings: { concurrency: 2 } },
    });
  });

  test('max-step does not hold back the way to settings proven at this load', () => {
    const guard = new Guard();
    const proven = { batchSize: 4, concurrency: 4 };
    for (let window = 0; window < 2; window++)
      guard.observe(toModelSnapshot({ settings: proven }), window * 1e4, policy);
    expect(check(guard, toProposal(proven)).kind).toBe('pass');
    // but not at twice the load
    expect(check(guard, toProposal(proven), { window: { ratePerS: 200 } }).kind).toBe('changed');
  });

  test('no-change: what is in force already is not proposed again', () => {
    expect(check(new Guard(), toProposal({}))).toMatchObject({ kind: 'veto', rule: 'no-change' });
  });

  test('cooldown: two windows lie between two changes; a reflex does not wait', () => {
    const guard = new Guard();
    guard.applied('m', START_SETTINGS, 1e6);
    const proposal = toProposal({ batchSize: 32 });
    expect(check(guard, proposal, {}, 1e6 + 10_000)).toMatchObject({ kind: 'veto', rule: 'cooldown' });
    expect(check(guard, { ...proposal, class: 'reflex' }, {}, 1e6 + 10_000).kind).toBe('pass');
    expect(check(guard, proposal, {}, 1e6 + 20_000).kind).toBe('pass');
  });

  test('cooldown: a broken SLA need not be borne when proven settings are at hand', () => {
    const guard = new Guard();
    for (let window = 0; window < 2; window++) guard.observe(toModelSnapshot(), window * 1e4, policy);
    guard.applied('m', { ...START_SETTINGS, batchSize: 32 }, 1e6);
    const broken = { settings: { batchSize: 32 }, window: { latency: toQuantiles(50, 150) } };
    expect(check(guard, toProposal({}), broken, 1e6 + 10_000).kind).toBe('pass');
    expect(check(guard, toProposal({ batchSize: 16 }), broken, 1e6 + 10_000)).toMatchObject({ rule: 'cooldown' });
  });

  test('slo: a predicted break is refused, unless it is better than the break at hand', () => {
    const proposal = toProposal({ batchSize: 32 }, { predicted: { p99Ms: 120, gpuSecondsPer1k: 1 } });
    expect(check(new Guard(), proposal)).toMatchObject({ kind: 'veto', rule: 'slo' });
    expect(check(new Guard(), proposal, { window: { latency: toQuantiles(50, 300) } }).kind).toBe('pass');
    expect(check(new Guard(), proposal, { slaP99Ms: null }).kind).toBe('pass');
  });

  test('barred: a rolled-back setting is out for barMinutes, doubling each time', () => {
    const guard = new Guard();
    const proposal = toProposal({ batchSize: 32 });
    const minutes = (count: number): number => count * 60_000;
    guard.rolledBack('m', proposal.settings, 100, 0, policy);
    expect(check(guard, proposal, {}, minutes(29))).toMatchObject({ kind: 'veto', rule: 'barred' });
    expect(check(guard, proposal, {}, minutes(31)).kind).toBe('pass');
    guard.rolledBack('m', proposal.settings, 100, minutes(31), policy);
    expect(check(guard, proposal, {}, minutes(31 + 59))).toMatchObject({ rule: 'barred' });
    expect(check(guard, proposal, {}, minutes(31 + 61)).kind).toBe('pass');
  });

  test('barred: what max-step makes of a proposal is held against the bars too', () => {
    const guard = new Guard();
    guard.rolledBack('m', { ...START_SETTINGS, batchSize: 32 }, 100, 0, policy);
    expect(check(guard, toProposal({ batchSize: 8 }), {}, 60_000)).toMatchObject({ kind: 'veto', rule: 'barred' });
  });

  test('stale-telemetry: a decision on a device reading waits until there is a fresh one', () => {
    const reading = (ageMs: number | null): TelemetryReading => ({
      devices: [],
      deviceSource: 'nvidia-smi',
      host: null,
      engine: null,
      health: [{ source: 'nvidia-smi', ageMs, errors: 0, lastError: null }],
    });
    const proposal = toProposal({ batchSize: 32 }, { evidence: { deviceSource: 'nvidia-smi' } });
    const model = toModelSnapshot({ samples: full });
    const ask = (telemetry: TelemetryReading | null) =>
      new Guard().check(proposal, model, toSnapshot([model], 1e6, telemetry), policy);
    expect(ask(reading(29_000)).kind).toBe('pass');
    for (const telemetry of [reading(31_000), reading(null), null])
      expect(ask(telemetry)).toMatchObject({ kind: 'veto', rule: 'stale-telemetry' });
    const onBusy = { ...proposal, evidence: { deviceSource: 'busy' } };
    expect(new Guard().check(onBusy, model, toSnapshot([model], 1e6), policy).kind).toBe('pass');
  });
});

describe('a change that the reflex had to flee from', () => {
  const young = { ...START_SETTINGS, batchSize: 32 };
  const fled = { source: 'reflex' as const, generation: 3 };

  test('is barred when it was young and the load had not jumped', () => {
    const guard = new Guard();
    guard.applied('m', young, 0);
    guard.observe(toModelSnapshot(fled), 10_000, policy);
    expect(check(guard, toProposal({ batchSize: 32 }), {}, 100_000)).toMatchObject({ rule: 'barred' });
  });

  test('is not barred when it was old, or when the load jumped', () => {
    const old = new Guard();
    old.applied('m', young, 0);
    old.observe(toModelSnapshot({ settings: young, generation: 2 }), 40_000, policy);
    old.observe(toModelSnapshot(fled), 50_000, policy);
    expect(check(old, toProposal({ batchSize: 32 }), {}, 100_000).kind).toBe('pass');

    const jumped = new Guard();
    jumped.applied('m', young, 0);
    // 1000 arrivals in 10 s, most of them in the last two seconds
    const arrivals = Array.from({ length: 1000 }, (_, k) => [k < 200 ? k * 40 : 8000 + (k - 200) * 2.5, 1] as const);
    jumped.observe(toModelSnapshot({ ...fled, isChangePoint: true, arrivals }), 10_000, policy);
    expect(check(jumped, toProposal({ batchSize: 32 }), {}, 100_000).kind).toBe('pass');
  });
});

test('one model is barred and cooling, another is not touched by it', () => {
  const guard = new Guard();
  guard.rolledBack('other', { ...START_SETTINGS, batchSize: 32 }, 100, 1e6, policy);
  expect(check(guard, toProposal({ batchSize: 32 })).kind).toBe('pass');
});

const anySettings = fc.record({
  batchSize: fc.integer({ min: 1, max: 64 }),
  batchDelayMs: fc.double({ min: 0, max: 75, noNaN: true }),
  concurrency: fc.integer({ min: 1, max: 64 }),
  switches: fc.constant({}),
});
const anyReach = fc.record({
  ratio: fc.double({ min: 1.1, max: 4, noNaN: true }),
  seenBatchItems: fc.option(fc.integer({ min: 1, max: 64 })),
  seenInflight: fc.option(fc.integer({ min: 1, max: 64 })),
  slaP99Ms: fc.option(fc.double({ min: 1, max: 1000, noNaN: true })),
});

test('whatever is proposed, what passes is in bounds and within a notch, and a cut is never past the wish', () => {
  fc.assert(
    fc.property(anySettings, anySettings, anyReach, (from, to, reach) => {
      const cut = cutToNotch(from, to, reach);
      expect(isWithinNotch(from, cut, reach)).toBe(true);
      for (const key of ['batchSize', 'concurrency'] as const) {
        expect(cut[key]).toBeGreaterThanOrEqual(1);
        if (to[key] >= from[key]) {
          expect(cut[key]).toBeLessThanOrEqual(to[key]);
          expect(cut[key]).toBeLessThanOrEqual(Math.max(from[key] + 1, from[key] * reach.ratio));
        } else expect(cut[key]).toBeGreaterThanOrEqual(to[key]);
        // A way of notches leads everywhere: every wish moves.
        if (to[key] !== from[key]) expect(cut[key]).not.toBe(from[key]);
      }
      expect(cut.batchDelayMs).toBeLessThanOrEqual(to.batchDelayMs);
    }),
  );
});
