// Everything that is known of one model: its window, features, change tests, recent calls and arrivals.
import type { BatchCompletion, Completion } from '../../src/core/completion.ts';
import type { BatchSample, Features, WindowStats } from '../../src/core/snapshot.ts';
import { BatchOneLatency } from './batch-one.ts';
import { LOOK_MS, RateChangeTest } from './change-point.ts';
import { ModelFeatures } from './features.ts';
import { BLOCK_MS, LatencyChangeTest } from './latency-change.ts';
import { Recent } from './recent.ts';
import { ModelWindow } from './window.ts';

const SAMPLES = 512;
const ARRIVALS = 4096;
/** Popularity forgets half in five minutes. */
const POPULARITY_HALF_LIFE_MS = 5 * 60_000;
/** After a silence longer than this many looks (the tests' whole memory), the tests start anew. */
const MOST_LOOKS_AT_ONCE = 640;

/** One model's share of sense. Fed by the request path, read by `createSense`. */
export class ModelSense {
  readonly #window: ModelWindow;
  readonly #features: ModelFeatures;
  readonly #batchOne = new BatchOneLatency();
  readonly #samples = new Recent<BatchSample>(SAMPLES);
  readonly #arrivals = new Recent<readonly [atMs: number, items: number]>(ARRIVALS);
  #rateTest = new RateChangeTest();
  #latencyTest = new LatencyChangeTest();
  #lookEndsMs: number;
  #blockEndsMs: number;
  #lookCount = 0;
  #hasChanged = false;
  #isChangeTold = false;
  #slaMs = Number.POSITIVE_INFINITY;
  #popularityScore = 0;
  #scoredMs: number;
  #arrivedSinceScore = 0;

  constructor(nowMs: number) {
    this.#window = new ModelWindow(nowMs);
    this.#features = new ModelFeatures(nowMs);
    this.#lookEndsMs = nowMs + LOOK_MS;
    this.#blockEndsMs = nowMs + BLOCK_MS;
    this.#scoredMs = nowMs;
  }

  get batch1P99Ms(): number | null {
    return this.#batchOne.p99Ms;
  }

  /** True from the change until the snapshot that tells it has been made. */
  get hasChanged(): boolean {
    return this.#hasChanged;
  }

  arrived(items: number, requestBytes: number, atMs: number): void {
    if (atMs >= this.#lookEndsMs) this.#look(atMs);
    this.#lookCount += 1;
    this.#arrivedSinceScore += 1;
    this.#window.arrived(items);
    this.#features.arrived(items, requestBytes, atMs);
    this.#arrivals.push([atMs, items]);
  }

  completed(completion: Completion): void {
    this.#window.completed(completion, this.#slaMs);
    if (completion.ending !== 'success') return;
    if (completion.endedMs >= this.#blockEndsMs) this.#endBlock(completion.endedMs);
    this.#latencyTest.record(completion.endedMs - completion.arrivedMs);
  }

  batchStarted(atMs: number): void {
    this.#window.batchStarted(atMs);
  }

  batchCompleted(batch: BatchCompletion, batchSize: number): void {
    this.#window.batchCompleted(batch, batchSize);
    this.#batchOne.record(batch);
    if (batch.ending !== 'success') return;
    this.#samples.push({
      startedMs: batch.startedMs,
      durationMs: batch.durationMs,
      items: batch.items,
      inflight: batch.inflightAll,
    });
  }

  /** Lets the tests look at what has ended by now. True when a jump was seen since the last call. */
  advance(nowMs: number): boolean {
    if (nowMs >= this.#lookEndsMs) this.#look(nowMs);
    if (nowMs >= this.#blockEndsMs) this.#endBlock(nowMs);
    if (!this.#hasChanged || this.#isChangeTold) return false;
    this.#isChangeTold = true;
    return true;
  }

  /** The target that the open window counts against; Infinity while none is known. */
  setSla(slaMs: number): void {
    this.#slaMs = slaMs;
  }

  readWindow(nowMs: number): WindowStats {
    return this.#window.read(nowMs, this.#slaMs !== Number.POSITIVE_INFINITY);
  }

  readFeatures(nowMs: number, popularity: number): Features {
    return this.#features.read(nowMs, popularity);
  }

  /** Arrivals, older ones counting less: the numerator of popularity. */
  readPopularityScore(nowMs: number): number {
    const passedMs = nowMs - this.#scoredMs;
    this.#popularityScore =
      this.#popularityScore * 2 ** (-passedMs / POPULARITY_HALF_LIFE_MS) + this.#arrivedSinceScore;
    this.#scoredMs = nowMs;
    this.#arrivedSinceScore = 0;
    return this.#popularityScore;
  }

  readSamples(): BatchSample[] {
    return this.#samples.toArray();
  }

  readArrivals(): (readonly [number, number])[] {
    return this.#arrivals.toArray();
  }

  /** A new window from here. */
  restart(nowMs: number): void {
    this.#window.restart(nowMs);
    this.#samples.clear();
    this.#arrivals.clear();
    this.#hasChanged = false;
    this.#isChangeTold = false;
  }

  /** Counts go to the look in which they arrived, so a late tick neither hides nor invents a jump. */
  #look(nowMs: number): void {
    const passed = 1 + Math.floor((nowMs - this.#lookEndsMs) / LOOK_MS);
    this.#lookEndsMs += passed * LOOK_MS;
    if (passed > MOST_LOOKS_AT_ONCE) this.#rateTest = new RateChangeTest();
    const looks = Math.min(passed, MOST_LOOKS_AT_ONCE);
    for (let i = 0; i < looks; i++) {
      if (this.#rateTest.look(this.#lookCount) !== null) this.#markChange();
      this.#lookCount = 0;
    }
  }

  #endBlock(nowMs: number): void {
    this.#blockEndsMs += BLOCK_MS * (1 + Math.floor((nowMs - this.#blockEndsMs) / BLOCK_MS));
    if (this.#latencyTest.endBlock() !== null) this.#markChange();
  }

  #markChange(): void {
    this.#hasChanged = true;
    this.#isChangeTold = false;
  }
}
