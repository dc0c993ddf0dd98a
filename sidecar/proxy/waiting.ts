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
  /**
   * The queue's own mark while the request waits. Declare it (`slot = -1`, not frozen) so that objects keep one
   * shape, and leave it alone.
   */
  slot?: number;
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
 * time comes in and never goes back, the next wake-up goes out.
 *
 * What a driver owes it, after each arrive, finish, cancel, resend, drain, wake-up or change of settings:
 *
 *     do step = lane.next(now), act on it; while it is dispatch or expired
 *     set the lane's one timer to step.untilMs (wait) or clear it (idle)
 *     while ((other = gate.pick()) !== null) the same for `other`      // a place may be free for another model
 */
export interface Lane<R extends Waiting> {
  arrive(request: R, nowMs: number): Verdict;
  next(nowMs: number): Step<R>;
  /** The upstream call ended; frees its place and teaches admission. Once per dispatched batch: a second time changes nothing. */
  finish(batch: Batch<R>, ending: Ending, nowMs: number): void;
  /** The client left. True when the request was still waiting and is now gone. */
  cancel(request: R): boolean;
  /**
   * A member of an ended batch to be sent once more, alone (reason `single`): past admission, ahead of what waits at
   * its priority. Call it after `finish` of that batch.
   */
  resend(request: R, nowMs: number): void;
  /** From now on nothing waits for company. Arrivals are still taken: the balancer has not heard of it yet. */
  drain(): void;
  /** From now on arrivals are shed as `draining`; what waits and runs still ends. */
  close(): void;
  readonly queuedRequests: number;
  readonly queuedItems: number;
  readonly inflight: number;
  /** Arrival of the oldest waiting request; null when none waits. */
  readonly oldestArrivedMs: number | null;
}
