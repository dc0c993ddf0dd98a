import { describe, expect, test } from 'vitest';
import { createBusy, toBusyRatio } from '../../../../src/telemetry/accelerator/busy.ts';
import { acceleratorContract } from '../../../contract/accelerator.ts';

acceleratorContract({
  source: 'busy',
  working: async () => ({ sampler: createBusy(() => 0.4), done: async () => undefined }),
  dead: async () => ({ sampler: createBusy(() => null), done: async () => undefined }),
  neverFails: 'an inferred figure is there or not',
});

const model = (busyRatio: number) => ({ window: { busyRatio } }) as Parameters<typeof toBusyRatio>[0][number];

describe('createBusy', () => {
  test('a ratio above 1 is 1, and what is no ratio is no device', () => {
    expect(createBusy(() => 1.2).devices()[0]!.utilizationRatio).toBe(1);
    expect(createBusy(() => Number.NaN).devices()).toEqual([]);
    expect(createBusy(() => -1).devices()).toEqual([]);
  });
});

describe('toBusyRatio', () => {
  test('one model is exact, two are joined as independent, none is unknown', () => {
    expect(toBusyRatio([model(0.3)])).toBeCloseTo(0.3);
    expect(toBusyRatio([model(0.5), model(0.5)])).toBeCloseTo(0.75);
    expect(toBusyRatio([])).toBeNull();
  });
});
