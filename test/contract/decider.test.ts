// What every decider must hold, whatever its rule.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { aimd } from '../../sidecar/decide/aimd.ts';
import type { Decider } from '../../sidecar/decide/decider.ts';
import { createFixed } from '../../sidecar/decide/fixed.ts';
import { Gradient } from '../../sidecar/decide/gradient.ts';
import { Linear } from '../../sidecar/decide/linear.ts';
import { MODES, toBounds } from '../../src/core/policy.ts';
import { checkSettings, isSameSettings, START_SETTINGS } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import { toModelSnapshot, toPolicy, toQuantiles, toSamples } from '../support/model-snapshot.ts';

const deciders: readonly (() => Decider)[] = [
  () => createFixed({ ...START_SETTINGS, batchSize: 8 }),
  () => aimd,
  () => new Gradient(),
  () => new Linear(),
];

const anySnapshot = fc
  .record({
    batchSize: fc.integer({ min: 1, max: 64 }),
    batchDelayMs: fc.double({ min: 0, max: 75, noNaN: true }),
    concurrency: fc.integer({ min: 1, max: 64 }),
    generation: fc.integer({ min: 1, max: 4 }),
    source: fc.constantFrom('start', 'decider', 'reflex', 'user'),
    slaP99Ms: fc.option(fc.double({ min: 0.1, max: 1e5, noNaN: true })),
    arrivals: fc.integer({ min: 0, max: 100_000 }),
    p99Ms: fc.option(fc.double({ min: 0, max: 1e6, noNaN: true })),
    busyRatio: fc.double({ min: 0, max: 1, noNaN: true }),
    durationMs: fc.constantFrom(0, 1000, 10_000),
    calls: fc.integer({ min: 0, max: 60 }),
    items: fc.integer({ min: 1, max: 200 }),
    callMs: fc.double({ min: 0, max: 1e4, noNaN: true }),
    inflight: fc.integer({ min: 1, max: 16 }),
    full: fc.integer({ min: 0, max: 100 }),
    isChangePoint: fc.boolean(),
    lastMs: fc.double({ min: 0, max: 1e4, noNaN: true }),
  })
  .map((any): ModelSnapshot => {
    const latency = any.p99Ms === null ? null : toQuantiles(any.p99Ms / 2, any.p99Ms, any.arrivals);
    return toModelSnapshot({
      settings: { batchSize: any.batchSize, batchDelayMs: any.batchDelayMs, concurrency: any.concurrency },
      generation: any.generation,
      source: any.source,
      slaP99Ms: any.slaP99Ms,
      isChangePoint: any.isChangePoint,
      arrivals:
        any.arrivals === 0
          ? []
          : [
              [0, 1],
              [any.lastMs, any.items],
            ],
      samples: toSamples({
        count: any.calls,
        items: () => any.items,
        durationMs: () => any.callMs,
        inflight: any.inflight,
      }),
      window: {
        durationMs: any.durationMs,
        arrivals: any.arrivals,
        arrivedItems: any.arrivals * any.items,
        completions: any.arrivals,
        completedItems: any.arrivals * any.items,
        latency,
        queue: latency,
        upstream: latency,
        busyRatio: any.busyRatio,
        batches: any.calls,
        departures: { full: any.full, timeout: 0, natural: 1, single: 0, drain: 0 },
      },
    });
  });

describe.each(deciders.map((create) => ({ name: create().name, create })))('$name', ({ create }) => {
  test('answers any sequence of windows with a hold that says why, or with finite settings inside the bounds', () => {
    fc.assert(
      fc.property(fc.array(anySnapshot, { minLength: 1, maxLength: 6 }), fc.constantFrom(...MODES), (windows, mode) => {
        const decider = create();
        const policy = toPolicy({ mode });
        for (const [index, model] of windows.entries()) {
          const context = { nowMs: index * 10_000, policy, deviceBusyRatio: null, deviceSource: 'busy' };
          const decision = decider.decide(model, context);
          if (decision.kind === 'hold') {
            expect(decision).toMatchObject({ model: 'm', decider: decider.name });
            expect(decision.reason).not.toBe('');
            continue;
          }
          const { proposal } = decision;
          expect(proposal).toMatchObject({ model: 'm', decider: decider.name });
          expect(proposal.reason).not.toBe('');
          expect(isSameSettings(proposal.settings, model.version.settings)).toBe(false);
          expect(checkSettings(proposal.settings, toBounds(policy, model.sla))).toEqual([]);
          if (proposal.predicted !== null) expect(Number.isFinite(proposal.predicted.p99Ms)).toBe(true);
          expect(JSON.parse(JSON.stringify(proposal))).toEqual(proposal);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('models do not touch each other: what one is told changes nothing for another', () => {
    fc.assert(
      fc.property(fc.array(anySnapshot, { minLength: 1, maxLength: 4 }), (windows) => {
        const policy = toPolicy();
        const run = (decider: Decider, withNoise: boolean) =>
          windows.map((model, index) => {
            const context = { nowMs: index * 10_000, policy, deviceBusyRatio: null, deviceSource: 'busy' };
            if (withNoise) decider.decide({ ...windows.at(-1 - index)!, model: 'noisy' }, context);
            return decider.decide(model, context);
          });
        expect(run(create(), true)).toEqual(run(create(), false));
      }),
      { numRuns: 30 },
    );
  });

  test('holds a bounded memory however many models come', () => {
    const decider = create();
    const context = { nowMs: 0, policy: toPolicy(), deviceBusyRatio: null, deviceSource: 'busy' };
    for (let index = 0; index < 300; index++) decider.decide(toModelSnapshot({ model: `m${index}` }), context);
    decider.reset?.('m1');
    decider.settled?.('m2', START_SETTINGS, true);
    expect(decider.decide(toModelSnapshot({ model: 'm299' }), context)).toBeDefined();
  });
});
