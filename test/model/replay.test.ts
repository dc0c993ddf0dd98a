import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toDeparture } from '../../src/core/batching.ts';
import { createRandom } from '../../src/core/random.ts';
import type { Settings } from '../../src/core/settings.ts';
import { type EngineModel, toEngineModel, toLatencyMs } from '../../src/model/engine-model.ts';
import { selectQuantile } from '../../src/model/quantile.ts';
import { Replay } from '../../src/model/replay.ts';

const ONE_BY_ONE: Settings = { batchSize: 1, batchDelayMs: 0, concurrency: 1, switches: {} };

function toPoisson(count: number, meanGapMs: number, seed: number): Float64Array {
  const random = createRandom(seed);
  const arrivalsMs = new Float64Array(count);
  let atMs = 0;
  for (let index = 0; index < count; index++) arrivalsMs[index] = atMs += random.exponential(meanGapMs);
  return arrivalsMs;
}

function play(arrivalsMs: Float64Array, engine: EngineModel, settings: Settings, noise?: () => number): Replay {
  const replay = new Replay();
  replay.load(arrivalsMs);
  replay.reset(noise === undefined ? { engine } : { engine, noise });
  replay.run(settings, Infinity);
  return replay;
}

/** P(wait <= t) of M/D/1 (Erlang 1909): (1 - rho) sum over k <= t/D of (-u)^k e^u / k!, u = lambda (t - k D). */
function waitShareMd1(t: number, rho: number): number {
  let sum = 0;
  for (let k = 0; k <= Math.floor(t); k++) {
    const u = rho * (t - k);
    let factorial = 1;
    for (let i = 2; i <= k; i++) factorial *= i;
    sum += ((-u) ** k / factorial) * Math.exp(u);
  }
  return (1 - rho) * sum;
}

function invert(share: number, rho: number): number {
  let low = 0;
  let high = 15;
  for (let turn = 0; turn < 60; turn++) {
    const middle = (low + high) / 2;
    if (waitShareMd1(middle, rho) < share) low = middle;
    else high = middle;
  }
  return low;
}

describe('closed forms', () => {
  const requests = 3_000_000;

  test('M/D/1 at 60 %: p50 and p99 of the time in the system within 2 %', () => {
    const serviceMs = 10;
    const rho = 0.6;
    const engine = toEngineModel(() => serviceMs, 0.7);
    const { latenciesMs } = play(toPoisson(requests, serviceMs / rho, 1), engine, ONE_BY_ONE);
    for (const q of [0.5, 0.99]) {
      const exact = serviceMs * (1 + invert(q, rho));
      expect(Math.abs(selectQuantile(latenciesMs, q) / exact - 1), `p${100 * q}`).toBeLessThan(0.02);
    }
  });

  test('M/M/1 at 60 %: time in the system is exponential, p50 and p99 within 2 %', () => {
    const serviceMs = 10;
    const rho = 0.6;
    const random = createRandom(2);
    const engine = toEngineModel(() => serviceMs, 0.7);
    const arrivals = toPoisson(requests, serviceMs / rho, 3);
    const { latenciesMs } = play(arrivals, engine, ONE_BY_ONE, () => random.exponential(1));
    const meanMs = serviceMs / (1 - rho);
    for (const q of [0.5, 0.99]) {
      const exact = -Math.log(1 - q) * meanMs;
      expect(Math.abs(selectQuantile(latenciesMs, q) / exact - 1), `p${100 * q}`).toBeLessThan(0.02);
    }
  });

  test('perfect sharing of a device that one call fills is M/G/1 processor sharing: mean time 1 / (1 - rho) of the work, whatever its law', () => {
    const serviceMs = 10;
    const rho = 0.5;
    const engine = toEngineModel((items) => serviceMs * items, 0);
    const random = createRandom(4);
    const arrivals = toPoisson(1_000_000, serviceMs / rho, 5);
    const { latenciesMs } = play(arrivals, engine, { ...ONE_BY_ONE, concurrency: 256 }, () => random.exponential(1));
    const meanMs = latenciesMs.reduce((sum, ms) => sum + ms, 0) / latenciesMs.length;
    expect(meanMs / (serviceMs / (1 - rho))).toBeCloseTo(1, 1);
  });
});

const settings = fc.record({
  batchSize: fc.constantFrom(1, 3, 8, 64),
  batchDelayMs: fc.constantFrom(0, 5, 50),
  concurrency: fc.constantFrom(1, 2, 4),
  switches: fc.constant({}),
});

describe('conservation', () => {
  test("Little's law: presence integrated over time is the sum of all latencies", () => {
    fc.assert(
      fc.property(settings, fc.constantFrom(1, 3, 9), fc.integer({ min: 1, max: 99 }), (each, gapMs, seed) => {
        const engine = toEngineModel((items) => 4 + items / 2, 0.5);
        const replay = play(toPoisson(2000, gapMs, seed), engine, each);
        const sumMs = replay.latenciesMs.reduce((sum, ms) => sum + ms, 0);
        expect(replay.areaMs / sumMs).toBeCloseTo(1, 9);
        expect(replay.servedItems).toBe(2000);
      }),
      { numRuns: 40 },
    );
  });

  test('one call at a time: the device is busy for exactly the work it was given, and never idle while somebody waits without a delay', () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 3, 64), fc.integer({ min: 1, max: 99 }), (batchSize, seed) => {
        const engine = toEngineModel((items) => 4 + items / 2, 0.5);
        const arrivalsMs = toPoisson(1000, 3, seed);
        const replay = play(arrivalsMs, engine, { ...ONE_BY_ONE, batchSize });
        // Batches are told apart by their end; each is one L(n) of work.
        const ends = Map.groupBy(arrivalsMs.keys(), (index) =>
          (arrivalsMs[index]! + replay.latenciesMs[index]!).toFixed(6),
        );
        const workMs = [...ends.values()].reduce((sum, members) => sum + toLatencyMs(engine, members.length), 0);
        expect(replay.busyMs).toBeCloseTo(workMs, 6);
        let freeMs = 0;
        for (const members of ends.values()) {
          const firstMs = arrivalsMs[members[0]!]!;
          const endMs = firstMs + replay.latenciesMs[members[0]!]!;
          const startMs = endMs - toLatencyMs(engine, members.length);
          expect(startMs).toBeCloseTo(Math.max(freeMs, firstMs), 6);
          freeMs = endMs;
        }
      }),
      { numRuns: 30 },
    );
  });

  test('requests of several items leave as the rule of core says', () => {
    const random = createRandom(6);
    const sizes = Float64Array.from({ length: 300 }, () => 1 + random.int(6));
    const arrivalsMs = toPoisson(300, 4, 7);
    const engine = toEngineModel((items) => 5 + items, 0.7);
    const replay = new Replay();
    replay.load(arrivalsMs, sizes);
    replay.reset({ engine });
    replay.run({ batchSize: 8, batchDelayMs: 10, concurrency: 1, switches: {} }, Infinity);
    const rule = { limitItems: 8, delayMs: 10, isDraining: false };
    let head = 0;
    let freeMs = 0;
    while (head < sizes.length) {
      // The plain form: look at every moment at which something may change.
      let nowMs = Math.max(freeMs, arrivalsMs[head]!);
      for (;;) {
        let to = head;
        while (to < sizes.length && arrivalsMs[to]! <= nowMs) to++;
        const key = { sizes, from: head, to, oldestMs: arrivalsMs[head]!, isBatchable: true };
        const departure = toDeparture(key, rule, 1, nowMs);
        if (departure.kind === 'leave') {
          freeMs = nowMs + toLatencyMs(engine, departure.items);
          for (let at = head; at < head + departure.count; at++)
            expect(replay.latenciesMs[at]).toBeCloseTo(freeMs - arrivalsMs[at]!, 9);
          head += departure.count;
          break;
        }
        nowMs = Math.min(departure.untilMs, arrivalsMs[to] ?? Infinity);
      }
    }
  });
});

test('a quantile by selection is the one by sorting', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ noNaN: true }), { minLength: 1, maxLength: 200 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, q) => {
        const sorted = Float64Array.from(values).sort();
        const expected = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!;
        expect(selectQuantile(Float64Array.from(values), q) === expected).toBe(true);
      },
    ),
  );
});
