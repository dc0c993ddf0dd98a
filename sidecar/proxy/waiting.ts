// The nouns between the sans-IO cores and whatever drives them: the proxy with real time, the lab with virtual time.
import type { DepartureReason, Ending } from '../../src/core/completion.ts';

/** A request as the cores see it. The proxy's exchange and the lab's arrival both implement it. */
export interface Waiting {
  /** Only equal keys share a batch. */
  readonly key: string;
  /** Items along the first dimension, >= 1. */
  readonly items: number;
  readonly isBatchable: boolean;
  readonly arrivedMs: number;
  /** Monotonic ms after which nobody waits for the answer; Infinity when there is none. */
  readonly deadlineMs: number;
  /** 0..3, 3 the most urgent, 1 the default. */
  readonly priority: number;
}

/** One upstream call to make. */
export interface Batch<R extends Waiting> {
  readonly members: readonly R[];
  readonly items: number;
  readonly reason: DepartureReason;
  readonly startedMs: number;
  /** Upstream calls of this model in flight when it left, itself included. */
  readonly inflight: number;
  /** Calls of all models in flight when it left, itself included. */
  readonly inflightAll: number;
  /** Generation of the settings read for it. */
  readonly generation: number;
}

export type ShedReason =
  /** its deadline had passed on arrival */
  | 'expired'
  /** it would end later than 2 x SLA (10 s while no SLA is known) or its deadline */
  | 'late'
  /** the queue's hard bound in requests */
  | 'full'
  /** the agent is stopping and no longer takes work */
  | 'draining';

export type Verdict =
  | { readonly kind: 'queued' }
  | { readonly kind: 'shed'; readonly reason: ShedReason; readonly retryAfterMs: number };

/** What to do next. Asked again until it says wait or idle. */
export type Step<R extends Waiting> =
  | { readonly kind: 'dispatch'; readonly batch: Batch<R> }
  /** these waited past their deadline: answer them, nothing was sent */
  | { readonly kind: 'expired'; readonly requests: readonly R[] }
  /** nothing to do before this time (or the next arrival, end or cancel) */
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'idle' };

/**
 * One model's admission, queue, batcher and limiter as one synchronous state machine. No timer, no promise:
 * time comes in, the next wake-up goes out.
 */
export interface Lane<R extends Waiting> {
  arrive(request: R, nowMs: number): Verdict;
  next(nowMs: number): Step<R>;
  /** The upstream call ended; frees its place and teaches admission. Exactly once per dispatched batch. */
  finish(batch: Batch<R>, ending: Ending, nowMs: number): void;
  /** The client left. True when the request was still waiting and is now gone. */
  cancel(request: R): boolean;
  /** From now on nothing waits for company. */
  drain(): void;
  readonly queuedRequests: number;
  readonly queuedItems: number;
  readonly inflight: number;
  /** Arrival of the oldest waiting request; null when none waits. */
  readonly oldestArrivedMs: number | null;
}
