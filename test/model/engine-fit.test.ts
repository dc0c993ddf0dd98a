import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRandom, type Random } from '../../src/core/random.ts';
import type { BatchSample } from '../../src/core/snapshot.ts';
import { toAloneWork } from '../../src/model/alone-work.ts';
import { EngineFit } from '../../src/model/engine-fit.ts';
import { toDemand, toEngineModel, toLatencyMs, type EngineModel } from '../../src/model/engine-model.ts';
import { KnotFilter } from '../../src/model/knot-filter.ts';
import { SharedDevice } from '../../src/model/shared-device.ts';

/** Calls of random sizes on a device, up to `most` at once; what a window would show of them. */
function playCalls(
  engine: EngineModel,
  random: Random,
  options: {
    count: number;
    most: number;
    sizes: readonly number[];
    noise?: number;
    fromMs?: number;
    slowdown?: number;
  },
): BatchSample[] {
  const { count, most, sizes, noise = 0, fromMs = 0, slowdown = 1 } = options;
  const device = new SharedDevice();
  device.reset(engine.interference);
  device.setSlowdown(slowdown, 0);
  const open = new Map<number, BatchSample>();
  const ended: BatchSample[] = [];
  let started = 0;
  let nextMs = 0;
  while (ended.length < count) {
    if (started < count && device.running < most && nextMs <= device.nextEndMs) {
      const items = sizes[random.int(sizes.length)]!;
      const work = toLatencyMs(engine, items) * Math.max(0.5, 1 + noise * random.normal());
      const place = device.start(work, toDemand(engine, items), nextMs);
      open.set(place, { startedMs: fromMs + nextMs, durationMs: 0, items, inflight: device.running });
      started++;
      nextMs += random.exponential(toLatencyMs(engine, 8) / most);
      continue;
    }
    const endMs = device.nextEndMs;
    const place = device.end();
    const sample = open.get(place)!;
    open.delete(place);
    ended.push({ ...sample, durationMs: fromMs + endMs - sample.startedMs });
    nextMs = Math.max(nextMs, endMs);
  }
  return ended;
}

const engineOf = (interference: number): EngineModel => toEngineModel((items) => 5 + 0.4 * items, interference);
const endOf = (samples: readonly BatchSample[]): number =>
  Math.max(...samples.map((sample) => sample.startedMs + sample.durationMs));

describe('durations freed of congestion', () => {
  test('under the true law every call gets back exactly its time alone, however calls overlapped', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.constantFrom(1, 2, 5),
        fc.constantFrom(0, 0.4, 1),
        (seed, most, interference) => {
          const engine = engineOf(interference);
          const samples = playCalls(engine, createRandom(seed), { count: 60, most, sizes: [1, 3, 16, 64] }).sort(
            (a, b) => a.startedMs - b.startedMs,
          );
          const law = { interference, demand: (items: number) => toDemand(engine, items) };
          const work = toAloneWork(samples, [law, { ...law, interference: interference + 0.5 }]);
          for (const [at, { items }] of samples.entries())
            expect(work[2 * at]).toBeCloseTo(toLatencyMs(engine, items), 6);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('calls of other models, known by number alone, count while the call runs', () => {
    const law = { interference: 1, demand: () => 0.1 };
    const alone = { startedMs: 0, durationMs: 10, items: 1, inflight: 1 };
    expect(toAloneWork([alone, { ...alone, startedMs: 20, inflight: 3 }], [law])[1]).toBeCloseTo(10 / 3, 9);
  });
});

describe('the curve', () => {
  test('before anything is seen has the shape of its family and no level', () => {
    const filter = new KnotFilter();
    expect(Math.sqrt(filter.variance(8))).toBeGreaterThan(5);
    filter.observe(8, Math.log(10), 0.01 ** 2);
    expect(Math.exp(filter.logLatency(8))).toBeCloseTo(10, 1);
    // Larger batches take longer, and the further from what was seen the wider the doubt.
    expect(filter.logLatency(64)).toBeGreaterThan(filter.logLatency(8) + 0.5);
    expect(filter.variance(64)).toBeGreaterThan(filter.variance(16));
    expect(filter.variance(16)).toBeGreaterThan(filter.variance(8));
  });

  test('never believes itself worse after an observation', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 64 }), fc.double({ min: 0, max: 6, noNaN: true })), {
          minLength: 1,
          maxLength: 30,
        }),
        (seen) => {
          const filter = new KnotFilter();
          for (const [items, log] of seen) {
            const before = [1, 2, 8, 40, 64].map((size) => filter.variance(size));
            filter.observe(items, log, 0.1 ** 2);
            for (const [index, size] of [1, 2, 8, 40, 64].entries()) {
              expect(filter.variance(size)).toBeLessThanOrEqual(before[index]! + 1e-6);
              expect(filter.variance(size)).toBeGreaterThan(0);
            }
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('the fit', () => {
  const sizes = [1, 2, 4, 8, 12];

  test.each([0, 0.3, 0.7, 1])('finds kappa %d and the curve from calls alone and together', (interference) => {
    const engine = engineOf(interference);
    const random = createRandom(3);
    const fit = new EngineFit();
    const alone = playCalls(engine, random, { count: 80, most: 1, sizes, noise: 0.05 });
    fit.observe(alone, 0, endOf(alone));
    const before = fit.belief()!;
    expect(before.interferenceDeviation).toBeGreaterThan(0.2);
    let fromMs = endOf(alone) + 100;
    for (let window = 0; window < 3; window++) {
      const together = playCalls(engine, random, { count: 150, most: 3, sizes, noise: 0.05, fromMs });
      fromMs = endOf(together) + 100;
      fit.observe(together, 0, fromMs);
    }
    const belief = fit.belief()!;
    expect(Math.abs(belief.model.interference - interference)).toBeLessThan(0.12);
    expect(belief.interferenceDeviation).toBeLessThan(0.15);
    for (const items of sizes)
      expect(Math.abs(belief.model.latencyMs[items]! / toLatencyMs(engine, items) - 1), `${items}`).toBeLessThan(0.07);
    // What was never seen is guessed, and known to be.
    expect(belief.errorRatio(64)).toBeGreaterThan(3 * belief.errorRatio(8));
    expect(fit.shifts).toBe(0);
  });

  test('the first overlap is no shift, and an engine half as fast again is one, learnt within a window', () => {
    const engine = engineOf(0.3);
    const random = createRandom(8);
    const fit = new EngineFit();
    let fromMs = 0;
    for (const [most, slowdown] of [
      [1, 1],
      [1, 1],
      [2, 1],
      [2, 1],
      [2, 1.5],
    ] as const) {
      const samples = playCalls(engine, random, { count: 120, most, sizes, noise: 0.05, fromMs, slowdown });
      fromMs = endOf(samples) + 100;
      fit.observe(samples, 0, fromMs);
      expect(fit.shifts).toBe(slowdown > 1 ? 1 : 0);
    }
    expect(fit.belief()!.model.latencyMs[4]! / toLatencyMs(engine, 4)).toBeCloseTo(1.5, 1);
  });

  test('says nothing before the first call, and garbage does not break it', () => {
    const fit = new EngineFit();
    fit.observe([], 0, 0);
    expect(fit.belief()).toBeNull();
    fit.observe([{ startedMs: 0, durationMs: 0, items: 1, inflight: 1 }], 0, 10);
    expect(fit.belief()).toBeNull();
    fit.observe([{ startedMs: 0, durationMs: 1e-9, items: 500, inflight: 40 }], 3, 1e6);
    expect(Number.isFinite(fit.belief()!.model.latencyMs[64]!)).toBe(true);
  });
});
