import { describe, expect, test } from 'vitest';
import { type Change, classifyChange } from '../../../sidecar/decide/classify-change.ts';
import { START_SETTINGS } from '../../../src/core/settings.ts';

describe('the class of a change', () => {
  const change: Change = {
    from: { ...START_SETTINGS, batchDelayMs: 20 },
    to: { ...START_SETTINGS, batchDelayMs: 20, batchSize: 32 },
    reach: { ratio: 2, seenBatchItems: 64, seenInflight: 1, slaP99Ms: 100 },
    isLoadJump: false,
    isProven: false,
    predictedP99Ms: 80,
    slaP99Ms: 100,
  };
  const to = (settings: Partial<Change['to']>): Change['to'] => ({ ...change.from, ...settings });

  test.each<[string, Partial<Change>, string]>([
    ['a notch with a good forecast', {}, 'step'],
    ['a notch with a forecast over the SLA', { predictedP99Ms: 120 }, 'leap'],
    ['more than a notch', { to: to({ batchSize: 8 }) }, 'leap'],
    ['more than a notch of delay', { to: to({ batchDelayMs: 60 }) }, 'leap'],
    ['a switch, however small', { to: to({ switches: { tensorrt: true } }) }, 'leap'],
    ['a person', { isUserPut: true }, 'leap'],
    [
      'a jump of the load, to a proven state far away',
      { isLoadJump: true, isProven: true, to: to({ batchSize: 2 }) },
      'reflex',
    ],
    ['a jump of the load, to less delay', { isLoadJump: true, to: to({ batchDelayMs: 0 }) }, 'reflex'],
    [
      'a jump of the load, to less delay and a larger batch',
      { isLoadJump: true, to: to({ batchDelayMs: 0, concurrency: 2 }) },
      'step',
    ],
    [
      'a jump of the load, with a switch',
      { isLoadJump: true, isProven: true, to: to({ switches: { x: true } }) },
      'leap',
    ],
    ['a jump of the load into the unseen', { isLoadJump: true, to: to({ concurrency: 8 }) }, 'leap'],
    ['no forecast, into the unseen', { predictedP99Ms: null, to: to({ concurrency: 2 }) }, 'leap'],
    ['no forecast, back to where traffic has been', { predictedP99Ms: null }, 'step'],
  ])('%s', (_, changed, expected) => {
    expect(classifyChange({ ...change, ...changed })).toBe(expected);
  });
});
