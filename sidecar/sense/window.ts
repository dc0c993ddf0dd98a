// What one model did since the window opened: counts, quantiles, outcomes, batches, busy time.
import type { BatchCompletion, Completion, DepartureReason, Outcome } from '../../src/core/completion.ts';
import type { Quantiles, WindowStats } from '../../src/core/snapshot.ts';
import { BusyTime } from './busy.ts';
import { Sketch } from './sketch.ts';

/** One model's open window. Reading does not close it; `restart` does. */
export class ModelWindow {
  readonly #busy: BusyTime;
  readonly #latency = new Sketch();
  readonly #queue = new Sketch();
  readonly #upstream = new Sketch();
  readonly #outcomes = { ...NO_OUTCOMES };
  readonly #departures = { ...NO_DEPARTURES };
  #startedMs: number;
  #arrivals = 0;
  #arrivedItems = 0;
  #completions = 0;
  #completedItems = 0;
  #successes = 0;
  #dropped = 0;
  #withinSla = 0;
  #batches = 0;
  #batchItems = 0;
  #batchRequests = 0;
  #fillSum = 0;

  constructor(nowMs: number) {
    this.#startedMs = nowMs;
    this.#busy = new BusyTime(nowMs);
  }

  arrived(items: number): void {
    this.#arrivals += 1;
    this.#arrivedItems += items;
  }

  /** `slaMs` is the target in force, Infinity while none is known. */
  completed(completion: Completion, slaMs: number): void {
    this.#outcomes[completion.outcome] += 1;
    this.#completions += 1;
    this.#completedItems += completion.items;
    if (completion.ending === 'ignored') return;
    if (completion.ending === 'dropped') {
      this.#dropped += 1;
      return;
    }
    const latencyMs = completion.endedMs - completion.arrivedMs;
    this.#successes += 1;
    this.#latency.record(latencyMs);
    this.#queue.record(completion.queueMs);
    if (completion.upstreamMs !== null) this.#upstream.record(completion.upstreamMs);
    if (latencyMs <= slaMs) this.#withinSla += 1;
  }

  batchStarted(atMs: number): void {
    this.#busy.started(atMs);
  }

  /** `batchSize` is the setting in force, to say how full the batch was. */
  batchCompleted(batch: BatchCompletion, batchSize: number): void {
    this.#busy.ended(batch.startedMs, batch.startedMs + batch.durationMs);
    this.#departures[batch.reason] += 1;
    this.#batches += 1;
    this.#batchItems += batch.items;
    this.#batchRequests += batch.requests;
    // A request larger than batchSize goes alone and is no more than full.
    this.#fillSum += Math.min(1, batch.items / Math.max(1, batchSize));
  }

  read(nowMs: number, isSlaKnown: boolean): WindowStats {
    const durationMs = Math.max(0, nowMs - this.#startedMs);
    const counted = this.#successes + this.#dropped;
    const perCompletion = (count: number): number => (this.#completions === 0 ? 0 : count / this.#completions);
    const perBatch = (sum: number): number => (this.#batches === 0 ? 0 : sum / this.#batches);
    return {
      durationMs,
      arrivals: this.#arrivals,
      arrivedItems: this.#arrivedItems,
      completions: this.#completions,
      completedItems: this.#completedItems,
      ratePerS: durationMs === 0 ? 0 : (1000 * this.#arrivals) / durationMs,
      outcomes: { ...this.#outcomes },
      errorRatio: counted === 0 ? 0 : this.#dropped / counted,
      shedRatio: perCompletion(this.#outcomes.shed),
      cancelRatio: perCompletion(this.#outcomes.cancelled),
      latency: toQuantiles(this.#latency),
      queue: toQuantiles(this.#queue),
      upstream: toQuantiles(this.#upstream),
      sloAttainment: isSlaKnown && counted > 0 ? this.#withinSla / counted : null,
      batches: this.#batches,
      meanBatchItems: perBatch(this.#batchItems),
      meanBatchRequests: perBatch(this.#batchRequests),
      fillRatio: perBatch(this.#fillSum),
      departures: { ...this.#departures },
      ...this.#busy.read(nowMs),
    };
  }

  /** A new window from here; calls in flight stay in flight. */
  restart(nowMs: number): void {
    this.#startedMs = nowMs;
    this.#busy.restart(nowMs);
    for (const sketch of [this.#latency, this.#queue, this.#upstream]) if (sketch.count > 0) sketch.reset();
    Object.assign(this.#outcomes, NO_OUTCOMES);
    Object.assign(this.#departures, NO_DEPARTURES);
    this.#arrivals = 0;
    this.#arrivedItems = 0;
    this.#completions = 0;
    this.#completedItems = 0;
    this.#successes = 0;
    this.#dropped = 0;
    this.#withinSla = 0;
    this.#batches = 0;
    this.#batchItems = 0;
    this.#batchRequests = 0;
    this.#fillSum = 0;
  }
}

/** Null when nothing was counted. */
function toQuantiles(sketch: Sketch): Quantiles | null {
  if (sketch.count === 0) return null;
  const [p50Ms, p90Ms, p95Ms, p99Ms, p999Ms] = sketch.quantiles([0.5, 0.9, 0.95, 0.99, 0.999]);
  return {
    count: sketch.count,
    meanMs: sketch.mean,
    p50Ms: p50Ms!,
    p90Ms: p90Ms!,
    p95Ms: p95Ms!,
    p99Ms: p99Ms!,
    p999Ms: p999Ms!,
    maxMs: sketch.max,
  };
}

const NO_OUTCOMES: Readonly<Record<Outcome, number>> = {
  ok: 0,
  upstream_error: 0,
  shed: 0,
  timeout: 0,
  cancelled: 0,
  bad_request: 0,
  bypass: 0,
};

const NO_DEPARTURES: Readonly<Record<DepartureReason, number>> = {
  full: 0,
  timeout: 0,
  natural: 0,
  single: 0,
  drain: 0,
};
