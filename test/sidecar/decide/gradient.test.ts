import { describe, expect, test } from 'vitest';
import { Gradient } from '../../../sidecar/decide/gradient.ts';
import type { BatchSample } from '../../../src/core/snapshot.ts';
import { toModelSnapshot, toPolicy, toSamples } from '../../support/model-snapshot.ts';

const context = { nowMs: 0, policy: toPolicy(), deviceBusyRatio: null, deviceSource: 'busy' };

/** Runs the rule on calls that `samplesAt` makes for the limit in force; the limits it set. */
function run(
  decider: Gradient,
  windows: number,
  samplesAt: (limit: number, window: number) => readonly BatchSample[],
  start = 1,
): number[] {
  let concurrency = start;
  let generation = 1;
  const limits: number[] = [];
  for (let window = 0; window < windows; window++) {
    const samples = samplesAt(concurrency, window);
    const decision = decider.decide(toModelSnapshot({ settings: { concurrency }, generation, samples }), context);
    if (decision.kind === 'propose') {
      concurrency = decision.proposal.settings.concurrency;
      generation++;
    }
    limits.push(concurrency);
  }
  return limits;
}

/** One call in `aloneOf` ran alone at 10 ms, the rest at `durationMs` with the whole limit in flight. */
function mixed(limit: number, durationMs: number, aloneOf = 10): readonly BatchSample[] {
  return toSamples({ count: 100, durationMs: () => durationMs }).map((sample, index) => ({
    ...sample,
    inflight: index % aloneOf === 0 ? 1 : limit,
    durationMs: index % aloneOf === 0 ? 10 : durationMs,
  }));
}

describe('known faults of Gradient2 do not come back', () => {
  test('concurrency-limits PR#134: a steady gradient of 0.8 ends at headroom / (1 - 0.8), not at the bound', () => {
    // time = 1.5 / 0.8 of the no-load time, for ever
    const limits = run(new Gradient(), 2000, (limit) => mixed(limit, (10 * 1.5) / 0.8), 20);
    expect(limits.at(-1)).toBe(5);
    expect(Math.max(...limits)).toBeLessThanOrEqual(20);
  });

  test('concurrency-limits#88, envoy#38338: a sustained slowness of shared calls never becomes the baseline', () => {
    const decider = new Gradient();
    run(decider, 20, (limit) => mixed(limit, 12), 8);
    const limits = run(decider, 1000, (limit) => mixed(limit, 40), 8);
    expect(limits.at(-1)).toBeLessThanOrEqual(2);
    expect(limits.slice(100).every((limit) => limit <= 2)).toBe(true);
  });

  test('an idle service does not grow its limit: no growth with less than half of it in flight', () => {
    const limits = run(new Gradient(), 500, () => mixed(3, 10), 8);
    expect(Math.max(...limits)).toBe(8);
  });

  test('envoy#8337: nothing is pinned to measure a baseline; a calm service keeps its limit steady', () => {
    const limits = run(new Gradient(), 500, (limit) => mixed(limit, limit <= 6 ? 10 : 40), 6);
    expect(Math.min(...limits)).toBeGreaterThanOrEqual(5);
    expect(Math.max(...limits.slice(50)) - Math.min(...limits.slice(50))).toBeLessThanOrEqual(2);
  });

  test('without a lull there is no baseline, and it waits for one', () => {
    const decider = new Gradient();
    const samples = toSamples({ count: 100, inflight: 4 });
    const decision = decider.decide(toModelSnapshot({ settings: { concurrency: 4 }, samples }), context);
    expect(decision).toMatchObject({ kind: 'hold', reason: expect.stringContaining('no call has run alone') });
  });

  test('large batches after small ones are not taken for a slow engine', () => {
    const decider = new Gradient();
    const sized = (items: number) => (limit: number) =>
      mixed(limit, 10 + items).map((sample) => ({ ...sample, items, durationMs: 10 + items }));
    run(decider, 10, sized(1), 4);
    // no baseline for this size yet but from its own calls: the gradient stays 1
    const limits = run(decider, 10, sized(64), 4);
    expect(Math.min(...limits)).toBeGreaterThanOrEqual(4);
  });
});

test('takes up what somebody else put in force', () => {
  const decider = new Gradient();
  run(decider, 10, (limit) => mixed(limit, 10), 4);
  const limits = run(decider, 1, (limit) => mixed(limit, 10), 2);
  expect(limits[0]).toBeLessThanOrEqual(3);
});
