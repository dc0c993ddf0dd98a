import { describe, expect, test } from 'vitest';
import { findIneffective } from '../../../sidecar/decide/actuator.ts';
import { toModelSnapshot, toQuantiles, toSamples } from '../../support/model-snapshot.ts';

describe('a setting without effect is found and said', () => {
  const waiting = { queue: toQuantiles(20, 40), upstream: toQuantiles(15, 30) };

  test('concurrency that is never reached although requests wait: something else holds them back', () => {
    const samples = toSamples({ count: 100, inflight: 1 });
    expect(findIneffective(toModelSnapshot({ settings: { concurrency: 4 }, samples, window: waiting }))).toEqual([
      {
        setting: 'concurrency',
        kind: 'blocked',
        sentence:
          'concurrency 4 has no effect: never more than 1 in flight, although requests were waiting; something else holds them back',
      },
    ]);
  });

  test('concurrency that the load does not need', () => {
    const calm = { queue: toQuantiles(0, 0) };
    expect(findIneffective(toModelSnapshot({ settings: { concurrency: 4 }, window: calm }))).toMatchObject([
      { setting: 'concurrency', kind: 'unneeded' },
    ]);
  });

  test('a batch size under which no request ever has company, though they queue', () => {
    const samples = toSamples({ count: 100, items: () => 1 });
    expect(findIneffective(toModelSnapshot({ samples, window: waiting }))).toMatchObject([{ setting: 'batchSize' }]);
  });

  test('a delay that brings no company', () => {
    const window = { meanBatchRequests: 1.05, departures: { full: 0, timeout: 95, natural: 0, single: 5, drain: 0 } };
    expect(findIneffective(toModelSnapshot({ settings: { batchDelayMs: 10 }, window }))).toMatchObject([
      { setting: 'batchDelayMs', kind: 'blocked' },
    ]);
  });

  test('nothing to say where all is well, or where too little left to tell', () => {
    expect(findIneffective(toModelSnapshot())).toEqual([]);
    expect(findIneffective(toModelSnapshot({ settings: { concurrency: 4 }, window: { batches: 3 } }))).toEqual([]);
  });
});
