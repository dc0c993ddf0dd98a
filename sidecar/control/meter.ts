// Counts what the request path reports. Plain arrays, no label objects: rendering is paid for by the scrape.
import {
  type BatchCompletion,
  type Completion,
  type CompletionSink,
  DEPARTURE_REASONS,
  type Outcome,
  OUTCOMES,
  type Protocol,
} from '../../src/core/completion.ts';
import { Log2Histogram } from './histogram.ts';
import type { BoundedNames } from './labels.ts';

export const PROTOCOLS: readonly Protocol[] = ['v1', 'v2', 'openai', 'other'];

/** 1 ms, 2 ms ... 65.536 s. */
const DURATION_BOUNDS = 17;
/** 1, 2 ... 256 items. */
const BATCH_BOUNDS = 9;
/** Statuses 0..599; anything else counts as 0. */
const CODES = 600;

const PROTOCOL_INDEX: Readonly<Record<Protocol, number>> = { v1: 0, v2: 1, openai: 2, other: 3 };
/** Places in OUTCOMES; spelt out to spare every record a search of the list. */
const OUTCOME_INDEX: Readonly<Record<Outcome, number>> = {
  ok: 0,
  upstream_error: 1,
  shed: 2,
  timeout: 3,
  cancelled: 4,
  bad_request: 5,
  bypass: 6,
};

/** Everything counted for one label value of `model`. */
export interface ModelMeter {
  readonly label: string;
  /** By protocol x outcome, made when first needed: requests by status. */
  readonly requests: (Float64Array | undefined)[];
  /** By protocol: whole time in the agent of successes, ms. */
  readonly durations: (Log2Histogram | undefined)[];
  readonly queue: Log2Histogram;
  readonly upstream: Log2Histogram;
  readonly batchItems: Log2Histogram;
}

export interface RequestCount {
  readonly model: string;
  readonly protocol: string;
  readonly code: number;
  readonly outcome: string;
  readonly count: number;
}

/**
 * The request path's counters. Latency histograms hold successes only: a shed request is answered in microseconds
 * and would make the page look faster the more is lost.
 */
export class RequestMeter implements CompletionSink {
  readonly #names: BoundedNames;
  readonly #byModel = new Map<string, ModelMeter>();
  readonly #byLabel = new Map<string, ModelMeter>();
  readonly #batches = new Float64Array(DEPARTURE_REASONS.length);
  #slaMs: number | null = null;
  #last: ModelMeter | null = null;
  #lastModel: string | null = null;

  constructor(names: BoundedNames) {
    this.#names = names;
  }

  arrived(): void {
    // Queue depth is read off the lanes at the scrape; arrivals are requests_total once they have ended.
  }

  completed(completion: Completion): void {
    const meter = this.#meterOf(completion.model);
    const protocol = PROTOCOL_INDEX[completion.protocol];
    const row = protocol * OUTCOMES.length + OUTCOME_INDEX[completion.outcome];
    const counts = (meter.requests[row] ??= new Float64Array(CODES));
    const code = completion.code >= 0 && completion.code < CODES ? completion.code : 0;
    counts[code] = (counts[code] ?? 0) + 1;
    if (completion.ending !== 'success') return;
    const durations = (meter.durations[protocol] ??= new Log2Histogram(DURATION_BOUNDS, this.#slaMs));
    durations.record(completion.endedMs - completion.arrivedMs);
    meter.queue.record(completion.queueMs);
    if (completion.upstreamMs !== null) meter.upstream.record(completion.upstreamMs);
  }

  batchCompleted(batch: BatchCompletion): void {
    this.#meterOf(batch.model).batchItems.record(batch.items);
    const reason = DEPARTURE_REASONS.indexOf(batch.reason);
    this.#batches[reason] = (this.#batches[reason] ?? 0) + 1;
  }

  /**
   * Moves the SLA's bucket. Counts already made cannot be split anew, so durations start again at 0, which
   * Prometheus treats as a restart; the SLA is changed by people, rarely.
   */
  setSla(slaMs: number | null): void {
    if (slaMs === this.#slaMs) return;
    this.#slaMs = slaMs;
    for (const meter of this.#byLabel.values()) meter.durations.fill(undefined);
  }

  meters(): ModelMeter[] {
    return [...this.#byLabel.values()];
  }

  requests(): RequestCount[] {
    return this.meters().flatMap((meter) =>
      meter.requests.flatMap((counts, row) => {
        const protocol = PROTOCOLS[Math.floor(row / OUTCOMES.length)] ?? 'other';
        const outcome = OUTCOMES[row % OUTCOMES.length] ?? 'ok';
        return [...(counts ?? []).entries()]
          .filter(([, count]) => count > 0)
          .map(([code, count]) => ({ model: meter.label, protocol, code, outcome, count }));
      }),
    );
  }

  batchesByReason(): (readonly [reason: string, count: number])[] {
    return DEPARTURE_REASONS.map((reason, index) => [reason, this.#batches[index] ?? 0]);
  }

  #meterOf(model: string): ModelMeter {
    // Most often the same model as the last time, and then even the map is spared.
    if (model === this.#lastModel && this.#last !== null) return this.#last;
    let meter = this.#byModel.get(model);
    if (meter === undefined) {
      const label = this.#names.toLabel(model);
      meter = this.#byLabel.get(label) ?? createModelMeter(label);
      this.#byLabel.set(label, meter);
      // Names without a place are looked up each time, else this map would grow with what callers make up.
      if (label === model) this.#byModel.set(model, meter);
    }
    this.#last = meter;
    this.#lastModel = model;
    return meter;
  }
}

function createModelMeter(label: string): ModelMeter {
  return {
    label,
    requests: Array.from({ length: PROTOCOLS.length * OUTCOMES.length }, () => undefined),
    durations: PROTOCOLS.map(() => undefined),
    queue: new Log2Histogram(DURATION_BOUNDS),
    upstream: new Log2Histogram(DURATION_BOUNDS),
    batchItems: new Log2Histogram(BATCH_BOUNDS),
  };
}
