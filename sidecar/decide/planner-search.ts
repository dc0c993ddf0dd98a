// The best of many settings under a believed engine: replays that grow longer as fewer settings are left.
import { createRandom } from '../../src/core/random.ts';
import type { Settings } from '../../src/core/settings.ts';
import { type EngineModel, toDemand, toLatencyMs } from '../../src/model/engine-model.ts';
import { selectQuantile } from '../../src/model/quantile.ts';
import { Replay } from '../../src/model/replay.ts';
import type { PlannedTraffic } from './planner-arrivals.ts';

/** What a replay says of a setting. */
export interface Outlook {
  readonly settings: Settings;
  readonly p99Ms: number;
  /** The p99 of an unlucky interval: a quantile further out, which hardly differs where a delay bounds the wait and much where a queue does. */
  readonly unluckyP99Ms: number;
  /** Busy device ms per request. */
  readonly busyPerRequestMs: number;
  readonly meanBatchItems: number;
}

/** Arrivals of the rounds: all, then the best `ROUND_KEPT` of each round in the next. 275 x 250 + 24 x 1,000 + 6 x 2,500 = 108,000 requests. */
export const ROUND_ARRIVALS: readonly number[] = [250, 1000, 2500];
const ROUND_KEPT: readonly number[] = [24, 6];
/** Load over capacity with all calls in flight, above which a setting is not replayed: a short replay would not show the queue that grows. */
const UTILIZATION_MAX = 0.97;
/** p99 of some 300 answers lies below this quantile of all in 9 of 10 cases; of a short replay so far out as three answers allow. */
const UNLUCKY_QUANTILE = 0.996;
const UNLUCKY_ANSWERS = 3;
const NOISE_DRAWS = 4096;

/** Replays settings; arrays are made once. One per planner. */
export class PlannerSearch {
  readonly #replay = new Replay();
  readonly #scratch = new Float64Array(ROUND_ARRIVALS.at(-1)!);
  readonly #normals: Float64Array;

  constructor() {
    const random = createRandom(7);
    this.#normals = Float64Array.from({ length: NOISE_DRAWS }, () => random.normal());
  }

  /** One setting over the first `count` arrivals. The noise is always the same, so settings differ by themselves alone. */
  outlook(
    settings: Settings,
    engine: EngineModel,
    noiseRatio: number,
    traffic: PlannedTraffic,
    count: number,
  ): Outlook {
    const arrivalsMs = traffic.arrivalsMs.subarray(0, count);
    let drawn = 0;
    this.#replay.load(arrivalsMs, traffic.sizes);
    this.#replay.reset({
      engine,
      noise: () => Math.max(0.5, 1 + noiseRatio * this.#normals[drawn++ & (NOISE_DRAWS - 1)]!),
    });
    this.#replay.run(settings, Infinity);
    this.#scratch.set(this.#replay.latenciesMs.subarray(0, arrivalsMs.length));
    const unlucky = Math.min(UNLUCKY_QUANTILE, 1 - UNLUCKY_ANSWERS / arrivalsMs.length);
    return {
      settings,
      p99Ms: selectQuantile(this.#scratch, 0.99, 0, arrivalsMs.length),
      unluckyP99Ms: selectQuantile(this.#scratch, unlucky, 0, arrivalsMs.length),
      busyPerRequestMs: this.#replay.busyMs / arrivalsMs.length,
      meanBatchItems: this.#replay.servedItems / Math.max(1, this.#replay.batches),
    };
  }

  /** The few best by `toValue` (smaller is better), best first, replayed over every arrival; empty when nothing can hold the load. */
  best(
    candidates: readonly Settings[],
    engine: EngineModel,
    noiseRatio: number,
    traffic: PlannedTraffic,
    toValue: (outlook: Outlook) => number,
  ): readonly Outlook[] {
    let left: readonly Settings[] = candidates.filter(
      (settings) => toUtilization(settings, engine, traffic.itemsPerMs) <= UTILIZATION_MAX,
    );
    for (const [round, count] of ROUND_ARRIVALS.entries()) {
      const outlooks = left.map((settings) => this.outlook(settings, engine, noiseRatio, traffic, count));
      const ranked = outlooks
        .map((outlook) => ({ outlook, value: toValue(outlook) }))
        .sort((a, b) => a.value - b.value)
        .map(({ outlook }) => outlook);
      const kept = ROUND_KEPT[round];
      if (kept === undefined) return ranked;
      left = ranked.slice(0, kept).map(({ settings }) => settings);
    }
    return [];
  }
}

/** Load over the capacity of full batches, all allowed calls in flight. */
export function toUtilization({ batchSize, concurrency }: Settings, engine: EngineModel, itemsPerMs: number): number {
  const shared = Math.max(1, concurrency * toDemand(engine, batchSize), 1 + engine.interference * (concurrency - 1));
  return (itemsPerMs * toLatencyMs(engine, batchSize) * shared) / (concurrency * batchSize);
}
