import { describe, expect, test } from 'vitest';
import { createSense, MOST_MODELS, OTHER_MODEL, type Sense } from '../../../sidecar/sense/sense.ts';
import { DEFAULT_POLICY, type Policy } from '../../../src/core/policy.ts';
import { createRandom, type Random } from '../../../src/core/random.ts';
import { START_SETTINGS } from '../../../src/core/settings.ts';
import type { Snapshot } from '../../../src/core/snapshot.ts';
import { batch, completion } from './fixtures.ts';

const VERSION = { settings: START_SETTINGS, generation: 1, source: 'start' } as const;

function senseWith(policy: Partial<Policy> = {}): Sense {
  return createSense({
    startMs: 0,
    policy: () => ({ ...DEFAULT_POLICY, ...policy }),
    version: () => VERSION,
    load: () => ({ queueDepth: 3, oldestWaitMs: 7, inflight: 2 }),
  });
}

/** Poisson arrivals with an answer 10 ms later, ticking whenever sense asks for it. */
class Drive {
  readonly snapshots: Snapshot[] = [];
  readonly #sense: Sense;
  readonly #random: Random;
  #nextArrivalMs: number;

  constructor(sense: Sense, random: Random) {
    this.#sense = sense;
    this.#random = random;
    this.#nextArrivalMs = 0;
  }

  until(endMs: number, ratePerS: number, model = 'm'): void {
    while (true) {
      const tickMs = this.#sense.nextTickMs();
      if (Math.min(tickMs, this.#nextArrivalMs) > endMs) return;
      if (tickMs <= this.#nextArrivalMs) {
        const snapshot = this.#sense.tick(tickMs);
        if (snapshot !== null) this.snapshots.push(snapshot);
        continue;
      }
      const atMs = this.#nextArrivalMs;
      this.#sense.arrived(model, 1, 100, atMs);
      this.#sense.completed(
        completion({ model, arrivedMs: atMs, endedMs: atMs + 10 * Math.exp(0.3 * this.#random.normal()) }),
      );
      this.#nextArrivalMs = atMs + this.#random.exponential(1000 / ratePerS);
    }
  }
}

describe('createSense', () => {
  test('closes a window every 10 s in calm traffic, with its true rate', () => {
    const drive = new Drive(senseWith(), createRandom(1));
    drive.until(100_000, 50);
    expect(drive.snapshots.map((snapshot) => snapshot.atMs)).toEqual(
      Array.from({ length: 10 }, (_, i) => 10_000 * (i + 1)),
    );
    for (const { models, isBurst } of drive.snapshots) {
      expect(isBurst).toBe(false);
      expect(Math.abs(models[0]!.window.ratePerS - 50)).toBeLessThan(12);
      expect(models[0]).toMatchObject({ queueDepth: 3, oldestWaitMs: 7, inflight: 2, isChangePoint: false });
    }
  });

  test('a 3x step switches to 1 s within 2 s, says so once, and a minute of calm switches back', () => {
    for (let seed = 0; seed < 10; seed++) {
      const drive = new Drive(senseWith(), createRandom(seed));
      drive.until(123_456, 40);
      const before = drive.snapshots.length;
      drive.until(300_000, 120);
      const after = drive.snapshots.slice(before);
      const told = after.filter((snapshot) => snapshot.models[0]!.isChangePoint);
      expect(told).toHaveLength(1);
      expect(told[0]!.atMs).toBeLessThanOrEqual(123_456 + 2000);
      const gaps = after.slice(1).map((snapshot, i) => snapshot.atMs - after[i]!.atMs);
      expect(gaps.filter((gap) => gap === 1000).length).toBeGreaterThanOrEqual(55);
      expect(gaps.at(-1)).toBe(10_000);
      const slowAgain = after.find((snapshot) => !snapshot.isBurst && snapshot.atMs > told[0]!.atMs)!;
      expect(slowAgain.atMs - told[0]!.atMs).toBeLessThanOrEqual(71_000);
    }
  });

  test.each([1, 20, 200])('Poisson arrivals at %d/s switch falsely at most once an hour', (ratePerS) => {
    const hours = ratePerS === 1 ? 20 : 1;
    const drive = new Drive(senseWith(), createRandom(ratePerS));
    drive.until(hours * 3600_000, ratePerS);
    expect(
      drive.snapshots.filter((snapshot) => snapshot.models.some((m) => m.isChangePoint)).length,
    ).toBeLessThanOrEqual(hours);
  });

  test('a latency that triples at a steady rate switches sampling too', () => {
    const sense = senseWith();
    const random = createRandom(3);
    let sawMs = 0;
    for (let ms = 0; ms < 120_000 && sawMs === 0; ms += 20) {
      sense.arrived('m', 1, 100, ms);
      const latencyMs = (ms < 90_000 ? 10 : 30) * Math.exp(0.2 * random.normal());
      sense.completed(completion({ arrivedMs: ms - latencyMs, endedMs: ms }));
      sense.tick(ms);
      if (sense.intervalS() === 1) sawMs = ms;
    }
    expect(sawMs).toBeGreaterThan(90_000);
    expect(sawMs).toBeLessThanOrEqual(94_000);
  });

  test('a late tick neither invents a jump nor shortens the window it closes', () => {
    const sense = senseWith();
    for (let ms = 0; ms < 60_000; ms += 10) {
      sense.arrived('m', 1, 100, ms);
      if (ms < 30_000) sense.tick(ms);
    }
    const snapshot = sense.tick(60_000)!;
    expect(snapshot.isBurst).toBe(false);
    expect(snapshot.models[0]!.window.ratePerS).toBeCloseTo(100, 0);
  });

  test('a hundred models have windows of their own, the rest share one, and nothing is lost', () => {
    const sense = senseWith();
    for (let i = 0; i < 1000; i++) {
      sense.arrived(`model-${i}`, 1, 100, 1);
      sense.completed(completion({ model: `model-${i}`, arrivedMs: 1, endedMs: 2 }));
      sense.batchStarted(`model-${i}`, 1);
      sense.batchCompleted(batch({ model: `model-${i}`, startedMs: 1, durationMs: 1 }));
    }
    const { models } = sense.tick(10_000)!;
    expect(models).toHaveLength(MOST_MODELS + 1);
    expect(models.find((m) => m.model === OTHER_MODEL)!.window).toMatchObject({
      arrivals: 900,
      completions: 900,
      batches: 900,
    });
    expect(models.reduce((sum, m) => sum + m.features.popularity, 0)).toBeCloseTo(1);
  });

  test('popularity is the share of arrivals', () => {
    const sense = senseWith();
    for (let i = 0; i < 400; i++) sense.arrived(i % 4 === 0 ? 'rare' : 'often', 1, 100, i);
    const { models } = sense.tick(10_000)!;
    expect(Object.fromEntries(models.map((m) => [m.model, m.features.popularity]))).toEqual({
      rare: 0.25,
      often: 0.75,
    });
  });

  test('samples and arrivals are since the last snapshot, newest last, and bounded', () => {
    const sense = senseWith();
    for (let i = 0; i < 5000; i++) {
      sense.arrived('m', 2, 100, i);
      sense.batchCompleted(batch({ startedMs: i, durationMs: 1, items: 2, inflightAll: 3 }));
    }
    const first = sense.tick(10_000)!.models[0]!;
    expect(first.arrivals).toHaveLength(4096);
    expect(first.arrivals.at(-1)).toEqual([4999, 2]);
    expect(first.samples).toHaveLength(512);
    expect(first.samples.at(-1)).toEqual({ startedMs: 4999, durationMs: 1, items: 2, inflight: 3 });
    sense.arrived('m', 1, 100, 10_001);
    expect(sense.tick(20_000)!.models[0]).toMatchObject({ arrivals: [[10_001, 1]], samples: [] });
  });

  test('looking at the open window closes nothing', () => {
    const sense = senseWith();
    sense.arrived('m', 1, 100, 5);
    expect(sense.snapshot(1000).models[0]!.window.arrivals).toBe(1);
    expect(sense.windows().size).toBe(0);
    expect(sense.tick(10_000)!.models[0]!.window.arrivals).toBe(1);
    expect(sense.windows().get('m')!.arrivals).toBe(1);
    expect(sense.lastSnapshot()!.atMs).toBe(10_000);
  });

  test('without an SLA the target is 3 x the measured lone p99 and says that it is assumed', () => {
    const sense = senseWith();
    for (let i = 0; i < 205; i++) sense.batchCompleted(batch({ durationMs: 20 }));
    expect(sense.sla('m').isAssumed).toBe(true);
    expect(sense.sla('m').p99Ms).toBeCloseTo(60, -0.5);
    expect(sense.sla('unseen')).toEqual({ p99Ms: null, isAssumed: true });
    const given = senseWith({ sla: { p99Ms: 85, errorRate: 0.01 } });
    given.arrived('m', 1, 1, 0);
    given.completed(completion({ endedMs: 86 }));
    given.completed(completion({ endedMs: 85 }));
    expect(given.tick(10_000)!.models[0]).toMatchObject({
      sla: { p99Ms: 85, isAssumed: false },
      window: { sloAttainment: 0.5 },
    });
  });

  test('a snapshot is plain JSON: it crosses processes unharmed', () => {
    const sense = senseWith();
    sense.arrived('m', 1, 100, 5);
    sense.completed(completion());
    const snapshot = sense.tick(10_000)!;
    expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
  });

  test('with no traffic at all the snapshots are empty but regular', () => {
    const sense = senseWith();
    expect(sense.nextTickMs()).toBeLessThanOrEqual(250);
    expect(sense.tick(10_000)).toEqual({ atMs: 10_000, isBurst: false, models: [], telemetry: null });
  });
});
