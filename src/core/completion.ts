// One request as it ended: the noun that the proxy hands to sense.

/** How the agent classes an answer; the `outcome` label of `morphling_requests_total`. */
export type Outcome = 'ok' | 'upstream_error' | 'shed' | 'timeout' | 'cancelled' | 'bad_request' | 'bypass';
export const OUTCOMES: readonly Outcome[] = [
  'ok',
  'upstream_error',
  'shed',
  'timeout',
  'cancelled',
  'bad_request',
  'bypass',
];

/**
 * What an ending teaches: a success's latency counts; an ignored one teaches nothing (the client hung up, or
 * its request was wrong); a dropped one counts as loss.
 */
export type Ending = 'success' | 'ignored' | 'dropped';

/** Why a batch left; the `reason` label of `morphling_batches_total`. */
export type DepartureReason =
  /** it holds batchSize items, or the next request would not fit */
  | 'full'
  /** its oldest item has waited batchDelayMs > 0 */
  | 'timeout'
  /** the delay is 0: at once */
  | 'natural'
  /** it may not be batched, is larger than batchSize, or is sent again alone */
  | 'single'
  /** the agent is stopping: no waiting */
  | 'drain';
export const DEPARTURE_REASONS: readonly DepartureReason[] = ['full', 'timeout', 'natural', 'single', 'drain'];

export type Protocol = 'v1' | 'v2' | 'openai' | 'other';

/** Built once when a request is settled. Times are monotonic ms of the data process. */
export interface Completion {
  readonly model: string;
  readonly protocol: Protocol;
  /** HTTP status sent to the caller; 0 when it left before one was sent. */
  readonly code: number;
  readonly outcome: Outcome;
  readonly ending: Ending;
  readonly arrivedMs: number;
  readonly endedMs: number;
  /** Waiting before the upstream call, ms. */
  readonly queueMs: number;
  /** The upstream call that answered it, ms; null when none was made. */
  readonly upstreamMs: number | null;
  /** First byte of the answer after arrival, ms; null when there was none. Streams: time to first token. */
  readonly firstByteMs: number | null;
  /** Items in this request (its first dimension), >= 1. */
  readonly items: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** Generation of the settings it was served under. */
  readonly generation: number;
}

/** One upstream call as it ended: what the latency curve is fitted to. */
export interface BatchCompletion {
  readonly model: string;
  readonly reason: DepartureReason;
  readonly ending: Ending;
  readonly startedMs: number;
  readonly durationMs: number;
  readonly requests: number;
  readonly items: number;
  /** Upstream calls of this model in flight when it left, itself included. */
  readonly inflight: number;
  /** Upstream calls of all models in flight when it left, itself included. */
  readonly inflightAll: number;
  readonly generation: number;
}

/** Where the proxy reports to; sense implements it. Synchronous and cheap: it is on the request path. */
export interface CompletionSink {
  arrived(model: string, items: number, requestBytes: number, atMs: number): void;
  completed(completion: Completion): void;
  /** An upstream call left. Without it busy time is inferred at its end, so a call longer than a window counts late. */
  batchStarted?(model: string, atMs: number): void;
  batchCompleted(batch: BatchCompletion): void;
}
