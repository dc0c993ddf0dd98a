import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../../../src/core/random.ts';
import { Engine } from '../../../sidecar/lab/engine.ts';
import { createCurve } from '../../../sidecar/lab/profiles.ts';

const proportional = createCurve([
  { items: 1, latencyMs: 10 },
  { items: 64, latencyMs: 640 },
]);
const flat = createCurve([
  { items: 1, latencyMs: 10 },
  { items: 64, latencyMs: 10 },
]);

function createEngine(curve = flat, interference = 0, noiseRatio = 0, seed = 1): Engine {
  return new Engine({ curve, interference, noiseRatio, random: createRandom(seed) });
}

/** Runs to the end; [ticket, endedMs] in order. */
function drain(engine: Engine): [number, number][] {
  const ends: [number, number][] = [];
  while (engine.nextEndMs < Infinity) {
    const ended = engine.end(engine.nextEndMs);
    if (ended === null) throw new Error('an end was announced and did not come');
    ends.push([ended.ticket, ended.endedMs]);
  }
  return ends;
}

describe('closed forms', () => {
  test('a single batch takes L(b)', () => {
    const engine = createEngine(proportional);
    engine.start(3, 100);
    expect(engine.nextEndMs).toBeCloseTo(130, 9);
    expect(drain(engine)).toEqual([[0, expect.closeTo(130, 9)]]);
    expect(engine.busyMs).toBeCloseTo(30, 9);
    expect(engine.servedItems).toBe(3);
  });

  // Two equal batches started together end together after L * max(1, 2d, 1 + kappa).
  test.each([
    { name: 'small share', curve: flat, items: 1, kappa: 0, stretch: 1 }, // d = 1/64
    { name: 'small share', curve: flat, items: 1, kappa: 0.7, stretch: 1.7 },
    { name: 'small share', curve: flat, items: 1, kappa: 1, stretch: 2 },
    { name: 'whole share', curve: proportional, items: 4, kappa: 0, stretch: 2 }, // d = 1
    { name: 'whole share', curve: proportional, items: 4, kappa: 0.7, stretch: 2 },
    { name: 'whole share', curve: proportional, items: 4, kappa: 1, stretch: 2 },
    { name: '0.75 share', curve: flat, items: 48, kappa: 0, stretch: 1.5 },
    { name: '0.75 share', curve: flat, items: 48, kappa: 0.7, stretch: 1.7 },
  ])('two equal batches, $name, kappa $kappa: $stretch times as long', ({ curve, items, kappa, stretch }) => {
    const engine = createEngine(curve, kappa);
    engine.start(items, 0);
    engine.start(items, 0);
    const endMs = curve.latencyMs(items) * stretch;
    expect(drain(engine)).toEqual([
      [0, expect.closeTo(endMs, 9)],
      [1, expect.closeTo(endMs, 9)],
    ]);
    expect(engine.busyMs).toBeCloseTo(endMs, 9);
  });

  test('rates are piecewise: a second batch half way slows the first from there on only', () => {
    const engine = createEngine(flat, 1);
    engine.start(1, 0);
    expect(engine.end(5)).toBeNull();
    engine.start(1, 5);
    // first: 5 ms left at rate 1/2 -> 15; second: 5 ms done by then, 5 left alone -> 20
    expect(drain(engine)).toEqual([
      [0, expect.closeTo(15, 9)],
      [1, expect.closeTo(20, 9)],
    ]);
    expect(engine.busyMs).toBeCloseTo(20, 9);
  });

  test('three batches under kappa 0.7 run at 1/2.4', () => {
    const engine = createEngine(flat, 0.7);
    for (let k = 0; k < 3; k++) engine.start(1, 0);
    expect(drain(engine).map(([, endedMs]) => endedMs)).toEqual([24, 24, 24].map((ms) => expect.closeTo(ms, 9)));
  });

  test('an end asked for late still has its exact time, and frees the device from then on', () => {
    const engine = createEngine(flat, 1);
    engine.start(1, 0);
    engine.start(1, 5);
    expect(engine.end(1000)?.endedMs).toBeCloseTo(15, 9);
    expect(engine.end(1000)?.endedMs).toBeCloseTo(20, 9);
    expect(engine.end(1000)).toBeNull();
    expect(engine.busyMs).toBeCloseTo(20, 9);
  });
});

describe('disturbances', () => {
  test('a reload stalls what runs and is not counted busy; later batches follow the new curve', () => {
    const engine = createEngine(flat);
    engine.start(1, 0);
    engine.end(4);
    engine.switchCurve(proportional, 4, 2000);
    expect(drain(engine)).toEqual([[0, expect.closeTo(2010, 9)]]);
    expect(engine.busyMs).toBeCloseTo(10, 9);
    engine.start(2, 3000);
    expect(engine.nextEndMs).toBeCloseTo(3020, 9);
  });

  test('a neighbour that takes half the device doubles what is left', () => {
    const engine = createEngine(flat);
    engine.start(1, 0);
    engine.end(4);
    engine.setSlowdown(2, 4);
    expect(engine.nextEndMs).toBeCloseTo(16, 9);
  });

  test('driving the clock past an end is a fault of the caller, and said', () => {
    const engine = createEngine(flat);
    engine.start(1, 0);
    expect(() => engine.start(1, 11)).toThrow(/driven past an end/);
  });
});

describe('noise', () => {
  test('has mean 1, deviation 0.05, floor 0.5, and the same seed gives the same ends', () => {
    const run = (noiseRatio: number): number[] => {
      const engine = createEngine(flat, 0, noiseRatio, 7);
      const durations: number[] = [];
      for (let nowMs = 0, k = 0; k < 20_000; k++) {
        engine.start(1, nowMs);
        durations.push(engine.nextEndMs - nowMs);
        nowMs = engine.nextEndMs;
        engine.end(nowMs);
      }
      return durations;
    };
    const durations = run(0.05);
    const mean = durations.reduce((sum, value) => sum + value, 0) / durations.length;
    const deviation = Math.sqrt(durations.reduce((sum, value) => sum + (value - mean) ** 2, 0) / durations.length);
    expect(mean / 10).toBeCloseTo(1, 2);
    expect(deviation / 10).toBeCloseTo(0.05, 2);
    expect(run(0.05)).toEqual(durations);
    expect(Math.min(...run(2))).toBeCloseTo(5, 6);
  });
});

describe('conservation', () => {
  const starts = fc.array(
    fc.record({ gapMs: fc.double({ min: 0, max: 30, noNaN: true }), items: fc.integer({ min: 1, max: 64 }) }),
    { minLength: 1, maxLength: 40 },
  );

  test('at kappa 0 with whole shares the device does exactly the work it was given, no faster and no slower', () => {
    fc.assert(
      fc.property(starts, (batches) => {
        const engine = createEngine(proportional);
        let nowMs = 0;
        let workMs = 0;
        for (const { gapMs, items } of batches) {
          nowMs += gapMs;
          while (engine.end(nowMs) !== null);
          engine.start(items, nowMs);
          workMs += proportional.latencyMs(items);
        }
        drain(engine);
        expect(engine.busyMs).toBeCloseTo(workMs, 5);
      }),
    );
  });

  test('every batch ends once, never before L(b), in order of its end, whatever kappa and curve', () => {
    fc.assert(
      fc.property(starts, fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean(), (batches, kappa, isFlat) => {
        const curve = isFlat ? flat : proportional;
        const engine = createEngine(curve, kappa);
        const ended: { ticket: number; items: number; startedMs: number; endedMs: number }[] = [];
        let nowMs = 0;
        for (const { gapMs, items } of batches) {
          nowMs += gapMs;
          for (let batch = engine.end(nowMs); batch !== null; batch = engine.end(nowMs)) ended.push(batch);
          engine.start(items, nowMs);
        }
        for (let batch = engine.end(1e9); batch !== null; batch = engine.end(1e9)) ended.push(batch);
        expect(ended.map(({ ticket }) => ticket).toSorted((a, b) => a - b)).toEqual(batches.map((_, index) => index));
        for (const { items, startedMs, endedMs } of ended)
          expect(endedMs - startedMs).toBeGreaterThanOrEqual(curve.latencyMs(items) - 1e-6);
        const ends = ended.map(({ endedMs }) => endedMs);
        expect(ends).toEqual(ends.toSorted((a, b) => a - b));
        expect(engine.running).toBe(0);
      }),
    );
  });
});
