import { describe, expect, test } from 'vitest';
import { aimd } from '../../../sidecar/decide/aimd.ts';
import { toModelSnapshot, toPolicy, toQuantiles, type SnapshotChanges } from '../../support/model-snapshot.ts';

const full = { full: 90, timeout: 0, natural: 10, single: 0, drain: 0 };

function decide(changes: SnapshotChanges) {
  const context = { nowMs: 0, policy: toPolicy(), deviceBusyRatio: 0.5, deviceSource: 'busy' };
  const decision = aimd.decide(toModelSnapshot(changes), context);
  return decision.kind === 'propose' ? decision.proposal.settings.batchSize : decision.reason;
}

describe('additive increase, multiplicative decrease', () => {
  test.each([
    // within the SLA and batches fill: two more
    { batchSize: 8, window: { departures: full }, expected: 10 },
    // within the SLA, but nothing fills: a larger limit would not be felt
    { batchSize: 8, window: {}, expected: 'batches do not fill' },
    // over the SLA: a tenth less
    { batchSize: 40, window: { latency: toQuantiles(60, 130) }, expected: 36 },
    { batchSize: 1, window: { latency: toQuantiles(60, 130) }, expected: 'over the SLA: 10 % smaller, at the bound' },
    // a p99 of few answers is none
    { batchSize: 8, window: { latency: toQuantiles(60, 130, 20) }, expected: 'too few answers for a p99' },
    { batchSize: 8, window: { latency: null }, expected: 'too few answers for a p99' },
  ])('at batch $batchSize: $expected', ({ batchSize, window, expected }) => {
    expect(decide({ settings: { batchSize }, window })).toBe(expected);
  });

  test('does not starve: full batches with a queue need more capacity, not less', () => {
    const window = {
      latency: toQuantiles(90, 400),
      queue: toQuantiles(80, 380),
      upstream: toQuantiles(10, 20),
      departures: full,
    };
    expect(decide({ settings: { batchSize: 4 }, window })).toBe(6);
  });
});
