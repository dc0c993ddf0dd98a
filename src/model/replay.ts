// Arrivals through settings and an engine model, fast: typed arrays, no object per request or batch.
import { isAtOnce, isFitting, toBatchLimit, toDueMs } from '../core/batching.ts';
import type { Settings } from '../core/settings.ts';
import { type EngineModel, toDemand, toLatencyMs } from './engine-model.ts';
import { PLACES_MAX, SharedDevice } from './shared-device.ts';

/** Who may refuse a request. The planner has none; the lab plugs in the agent's admission. */
export interface Gatekeeper {
  /** Asked for every arrival, before it is queued. `headIndex`: the oldest that waits, -1 when none does. */
  admits(replay: Replay, index: number, headIndex: number, nowMs: number): boolean;
  /** A batch left. `isFull`: it could not get better company. */
  started(isFull: boolean, leftOthers: boolean, nowMs: number): void;
  ended(batch: EndedReplayBatch, running: number, nowMs: number): void;
}

/** One object, filled anew for every batch: read it, do not keep it. */
export interface EndedReplayBatch {
  readonly startedMs: number;
  readonly requests: number;
  readonly items: number;
  /** It was full, or left others waiting. */
  readonly isLimited: boolean;
}

export interface ReplayOptions {
  readonly engine: EngineModel;
  /** Factor on the work of the next batch, drawn as it starts; absent: 1. */
  readonly noise?: () => number;
  readonly gatekeeper?: Gatekeeper;
}

/**
 * One model, one key: arrivals through core's batching rule and a shared device. `run` plays up to a moment under one
 * setting; call it again to go on under another, the backlog stays. At one instant the order is: a batch ends, a
 * request arrives, batches leave. The lab runs whole days through it; a test holds it equal to the agent's own lane.
 */
export class Replay {
  /** Of each arrival, ms; NaN until it has ended, and for ever where it was refused. Valid up to the loaded count. */
  latenciesMs: Float64Array<ArrayBuffer> = new Float64Array(0);
  #arrivalsMs: Float64Array = new Float64Array(0);
  #sizes: ArrayLike<number> | null = null;
  /** Indices of the admitted, in order; those from #head to #tail wait. */
  #admitted: Int32Array = new Int32Array(0);
  #engine: EngineModel | null = null;
  #demandOf: Float64Array = new Float64Array(0);
  #noise: (() => number) | null = null;
  #gatekeeper: Gatekeeper | null = null;
  readonly #device = new SharedDevice();

  #next = 0;
  #head = 0;
  #tail = 0;
  #waitingItems = 0;
  #limitItems = 1;
  #delayMs = 0;
  #concurrency = 1;
  #nowMs = 0;
  #wakeMs = Infinity;

  // Batches in flight, by place.
  readonly #from = new Int32Array(PLACES_MAX);
  readonly #to = new Int32Array(PLACES_MAX);
  readonly #items = new Int32Array(PLACES_MAX);
  readonly #isLimited = new Uint8Array(PLACES_MAX);
  readonly #startedMs = new Float64Array(PLACES_MAX);
  readonly #ended = { startedMs: 0, requests: 0, items: 0, isLimited: false };

  #batches = 0;
  #servedItems = 0;
  #refused = 0;
  #inSystem = 0;
  #areaMs = 0;
  #areaAtMs = 0;

  /** Arrivals in ms, never falling; `sizes` null: one item each. Kept, not copied. */
  load(arrivalsMs: Float64Array, sizes: ArrayLike<number> | null = null): void {
    this.#arrivalsMs = arrivalsMs;
    this.#sizes = sizes;
    if (this.#admitted.length >= arrivalsMs.length) return;
    this.#admitted = new Int32Array(arrivalsMs.length);
    this.latenciesMs = new Float64Array(arrivalsMs.length);
  }

  /** Back to the first arrival, with an empty queue and an idle device. */
  reset({ engine, noise, gatekeeper }: ReplayOptions): void {
    if (engine !== this.#engine) {
      this.#engine = engine;
      this.#demandOf = Float64Array.from(engine.latencyMs, (_, items) => (items === 0 ? 0 : toDemand(engine, items)));
    }
    this.#noise = noise ?? null;
    this.#gatekeeper = gatekeeper ?? null;
    this.#device.reset(engine.interference);
    this.latenciesMs.fill(Number.NaN, 0, this.#arrivalsMs.length);
    this.#next = this.#head = this.#tail = this.#waitingItems = this.#nowMs = 0;
    this.#batches = this.#servedItems = this.#refused = this.#inSystem = this.#areaMs = this.#areaAtMs = 0;
    this.#wakeMs = Infinity;
  }

  /** Time with at least one batch running, ms. */
  get busyMs(): number {
    return this.#device.busyMs;
  }

  /** Batches that have left. */
  get batches(): number {
    return this.#batches;
  }

  /** Items of ended batches. */
  get servedItems(): number {
    return this.#servedItems;
  }

  get refused(): number {
    return this.#refused;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Integral over time of the requests in the system, ms: by Little's law the sum of all latencies once all have ended. */
  get areaMs(): number {
    return this.#areaMs;
  }

  get queuedRequests(): number {
    return this.#tail - this.#head;
  }

  get queuedItems(): number {
    return this.#waitingItems;
  }

  get limitItems(): number {
    return this.#limitItems;
  }

  get hasFreePlace(): boolean {
    return this.#device.running < this.#concurrency;
  }

  /** Start of the batch longest in flight; null when none is. */
  get oldestStartedMs(): number | null {
    const { oldest } = this.#device;
    return oldest < 0 ? null : this.#startedMs[oldest]!;
  }

  arrivalMs(index: number): number {
    return this.#arrivalsMs[index]!;
  }

  sizeOf(index: number): number {
    return this.#sizes === null ? 1 : (this.#sizes[index] ?? 1);
  }

  /** Every batch takes `ratio` times as long from now (the last `untilMs`) on. */
  setSlowdown(ratio: number): void {
    this.#device.setSlowdown(ratio, this.#nowMs);
  }

  /** Plays all that happens before `untilMs`; Infinity: to the last answer. */
  run(settings: Settings, untilMs: number): void {
    this.#limitItems = toBatchLimit(settings.batchSize, Infinity);
    this.#delayMs = settings.batchDelayMs;
    this.#concurrency = Math.min(PLACES_MAX, Math.max(1, settings.concurrency));
    const count = this.#arrivalsMs.length;
    this.#leave();
    for (;;) {
      const arrivalMs = this.#next < count ? this.#arrivalsMs[this.#next]! : Infinity;
      const endMs = this.#device.nextEndMs;
      const atMs = Math.min(arrivalMs, endMs, this.#wakeMs);
      if (atMs >= untilMs) break;
      this.#pass(atMs);
      if (endMs <= atMs) this.#end();
      if (arrivalMs <= atMs) this.#arrive();
      this.#leave();
    }
    if (untilMs === Infinity) return;
    this.#pass(untilMs);
    this.#device.advance(untilMs);
  }

  #pass(toMs: number): void {
    this.#areaMs += this.#inSystem * (toMs - this.#areaAtMs);
    this.#areaAtMs = toMs;
    this.#nowMs = toMs;
  }

  #arrive(): void {
    const index = this.#next++;
    if (this.#gatekeeper !== null) {
      const headIndex = this.#head === this.#tail ? -1 : this.#admitted[this.#head]!;
      if (!this.#gatekeeper.admits(this, index, headIndex, this.#nowMs)) {
        this.#refused++;
        return;
      }
    }
    this.#admitted[this.#tail++] = index;
    this.#waitingItems += this.sizeOf(index);
    this.#inSystem++;
  }

  /** Lets batches leave until none may, and sets the next wake-up. */
  #leave(): void {
    this.#wakeMs = Infinity;
    while (this.#head < this.#tail && this.#device.running < this.#concurrency) {
      const isFull = isAtOnce(true, this.#waitingItems, this.#limitItems);
      if (!isFull) {
        const dueMs = toDueMs(this.#arrivalsMs[this.#admitted[this.#head]!]!, this.#delayMs, false);
        if (dueMs > this.#nowMs) {
          this.#wakeMs = dueMs;
          return;
        }
      }
      this.#start(isFull);
    }
  }

  #start(isFull: boolean): void {
    const engine = this.#engine!;
    const from = this.#head;
    const isSingle = this.#sizes !== null && this.sizeOf(this.#admitted[from]!) > this.#limitItems;
    let to = from;
    let items = 0;
    if (this.#sizes === null) {
      to = Math.min(this.#tail, from + Math.floor(this.#limitItems));
      items = to - from;
    } else {
      for (; to < this.#tail; to++) {
        const size = this.sizeOf(this.#admitted[to]!);
        if (!isFitting(to - from, items, size, true, this.#limitItems)) break;
        items += size;
      }
    }
    this.#head = to;
    this.#waitingItems -= items;
    const leftOthers = to < this.#tail;
    if (this.#gatekeeper !== null) this.#gatekeeper.started(isFull, leftOthers, this.#nowMs);
    const isTabled = items < engine.latencyMs.length;
    const latencyMs = isTabled ? engine.latencyMs[items]! : toLatencyMs(engine, items);
    const workMs = this.#noise === null ? latencyMs : latencyMs * this.#noise();
    const place = this.#device.start(workMs, isTabled ? this.#demandOf[items]! : toDemand(engine, items), this.#nowMs);
    this.#from[place] = from;
    this.#to[place] = to;
    this.#items[place] = items;
    this.#isLimited[place] = leftOthers || (isFull && !isSingle) ? 1 : 0;
    this.#startedMs[place] = this.#nowMs;
    this.#batches++;
  }

  #end(): void {
    const endedMs = this.#device.nextEndMs;
    const place = this.#device.end();
    const from = this.#from[place]!;
    const to = this.#to[place]!;
    for (let at = from; at < to; at++) {
      const index = this.#admitted[at]!;
      this.latenciesMs[index] = endedMs - this.#arrivalsMs[index]!;
    }
    this.#inSystem -= to - from;
    this.#servedItems += this.#items[place]!;
    if (this.#gatekeeper === null) return;
    this.#ended.startedMs = this.#startedMs[place]!;
    this.#ended.requests = to - from;
    this.#ended.items = this.#items[place]!;
    this.#ended.isLimited = this.#isLimited[place] === 1;
    this.#gatekeeper.ended(this.#ended, this.#device.running, endedMs);
  }
}
