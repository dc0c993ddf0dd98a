import { describe, expect, test } from 'vitest';
import { Proven } from '../../../sidecar/decide/proven.ts';
import { Reflex } from '../../../sidecar/decide/reflex.ts';
import { START_SETTINGS } from '../../../src/core/settings.ts';
import { toModelSnapshot, toQuantiles } from '../../support/model-snapshot.ts';

const bounds = { batchSize: [1, 64], batchDelayMs: [0, 75], concurrency: [1, 64], switches: ['tensorrt'] } as const;
const small = { ...START_SETTINGS, batchSize: 4, concurrency: 2 };
const look = { settings: small, bounds, slaP99Ms: 100, oldestWaitMs: 90 };

/** A window with a median upstream time of 15 ms. */
const calm = toModelSnapshot({ settings: small });

describe('the reflex', () => {
  test('flees to natural batching when the oldest request can no longer make the SLA, and says why', () => {
    const reflex = new Reflex();
    reflex.windowEnded(calm);
    expect(reflex.look({ ...look, oldestWaitMs: 84 }).kind).toBe('none');
    expect(reflex.look({ ...look, oldestWaitMs: 86 })).toEqual({
      kind: 'trip',
      settings: START_SETTINGS,
      reason: 'the oldest request has waited 86 ms and needs about 15 ms more, of 100 ms allowed',
    });
  });

  test('trips once an interval, and is armed again by its end', () => {
    const reflex = new Reflex();
    expect(reflex.look(look).kind).toBe('trip');
    expect(reflex.look({ ...look, oldestWaitMs: 500 }).kind).toBe('none');
    reflex.windowEnded(calm);
    expect(reflex.look(look).kind).toBe('trip');
    expect(reflex.trips).toBe(2);
  });

  test('takes a wanted delay for what it is, and nothing for too old while no SLA is known', () => {
    const reflex = new Reflex();
    reflex.windowEnded(calm);
    expect(reflex.look({ ...look, settings: { ...small, batchDelayMs: 86 }, oldestWaitMs: 87 }).kind).toBe('none');
    expect(reflex.look({ ...look, slaP99Ms: null, oldestWaitMs: 1e6 }).kind).toBe('none');
  });

  test('shedding trips it too: admission keeps the queue young, so age alone would not tell', () => {
    const reflex = new Reflex();
    reflex.windowEnded(calm);
    expect(reflex.look({ ...look, oldestWaitMs: 20 }).kind).toBe('none');
    const action = reflex.look({ ...look, oldestWaitMs: 20, isShedding: true });
    expect(action).toMatchObject({ kind: 'trip', settings: START_SETTINGS });
    expect(action.kind === 'trip' && action.reason).toMatch(/^requests are shed as late; the oldest/);
  });

  test('changes nothing when nothing safer is known: the device is full', () => {
    expect(new Reflex().look({ ...look, settings: START_SETTINGS })).toEqual({ kind: 'none' });
  });

  test('keeps the bounds of the policy and the switches as they are: a reload is nothing for an emergency', () => {
    const action = new Reflex().look({
      ...look,
      settings: { ...small, switches: { tensorrt: true } },
      bounds: { ...bounds, batchSize: [1, 16] },
    });
    expect(action).toMatchObject({ kind: 'trip', settings: { batchSize: 16, switches: { tensorrt: true } } });
  });

  test('does not flee to where it has fled from at the same load', () => {
    const reflex = new Reflex();
    reflex.windowEnded(toModelSnapshot());
    reflex.windowEnded(toModelSnapshot());
    // natural batching itself breaks
    reflex.look({ ...look, settings: START_SETTINGS });
    for (let window = 0; window < 2; window++)
      reflex.windowEnded(toModelSnapshot({ window: { latency: toQuantiles(50, 200) } }));
    for (let window = 0; window < 2; window++)
      reflex.windowEnded(toModelSnapshot({ settings: { batchSize: 16 }, generation: 2 }));
    expect(reflex.look(look)).toMatchObject({ kind: 'trip', settings: { batchSize: 16 } });
  });
});

describe('what is proven', () => {
  const twice = (proven: Proven, changes: Parameters<typeof toModelSnapshot>[0]): void => {
    proven.observe(toModelSnapshot(changes));
    proven.observe(toModelSnapshot(changes));
  };

  test('settings are proven by a whole window within the SLA, up to the load they served', () => {
    const proven = new Proven();
    proven.observe(toModelSnapshot());
    proven.observe(toModelSnapshot({ settings: small, generation: 2 }));
    expect(proven.isProven(small, 100)).toBe(false); // its first window ran partly under the old
    proven.observe(toModelSnapshot({ settings: small, generation: 2 }));
    expect(proven.isProven(small, 105)).toBe(true);
    expect(proven.isProven(small, 150)).toBe(false);
  });

  test('a broken window takes the proof away at that load, not at half of it', () => {
    const proven = new Proven();
    twice(proven, { settings: small });
    proven.observe(toModelSnapshot({ settings: small, window: { latency: toQuantiles(50, 150) } }));
    expect(proven.isProven(small, 100)).toBe(false);
    expect(proven.isProven(small, 50)).toBe(true);
  });

  test('losses break as latency does, and a handful of answers proves nothing', () => {
    const proven = new Proven();
    twice(proven, { settings: small, window: { errorRatio: 0.05 } });
    expect(proven.isProven(small, 100)).toBe(false);
    const thin = new Proven();
    const few = { latency: toQuantiles(20, 40, 30), completions: 30, arrivals: 30 };
    twice(thin, { settings: small, window: few });
    expect(thin.isProven(small, 100)).toBe(false);
    twice(thin, { settings: small, window: few }); // joined, four windows speak
    expect(thin.isProven(small, 3)).toBe(true);
  });

  test('of what holds a load the roomiest is the safest: large batch, no delay, few in flight', () => {
    const proven = new Proven();
    twice(proven, { settings: small });
    twice(proven, { settings: { batchSize: 32, batchDelayMs: 20 } });
    twice(proven, { settings: { batchSize: 32, concurrency: 4 } });
    expect(proven.safest(100, START_SETTINGS)).toMatchObject({ batchSize: 32, batchDelayMs: 0, concurrency: 4 });
    // nothing has held three times the load: natural batching has the most room
    expect(proven.safest(300, START_SETTINGS)).toEqual(START_SETTINGS);
  });
});
