// Admission: is this request worth taking in, given when it would end?
import type { Random } from '../../src/core/random.ts';
import type { Pace } from './pace.ts';
import type { ShedReason, Verdict, Waiting } from './waiting.ts';

/** The lane as a newcomer finds it. */
export interface Standing {
  /** Requests that wait. */
  readonly queuedRequests: number;
  /** Items that leave before it. */
  readonly aheadItems: number;
  /** A batch ready now would leave now. */
  readonly hasFreePlace: boolean;
  /** Start of the oldest call in flight; null when none is. */
  readonly oldestStartedMs: number | null;
  readonly limitItems: number;
  /** Since when the queue has not been empty; null when it is. */
  readonly standingMs: number | null;
}

export interface AdmissionOptions {
  /** p99 target of the model, ms; null while none is known. */
  readonly sla: () => number | null;
  /** Hard bound in requests, behind the bound in time. */
  readonly queueRequests: number;
  /** Spreads Retry-After, so that the shed do not come back together. */
  readonly random: Random;
}

/** Half of the 10 s that bound a wait while no SLA is known. */
const UNKNOWN_SLA_MS = 5000;
const BURST_RATIO = 2;
/** Under lasting overload: the rest is for the error of the estimate, which would land beyond the SLA. */
const OVERLOAD_RATIO = 0.85;
const RETRY_AFTER_LEAST_MAX_S = 15;

const QUEUED: Verdict = Object.freeze({ kind: 'queued' });

/**
 * With d the mean batch duration, e the age of the oldest call, f the items that a batch takes when more wait, r the
 * items served per ms under pressure (all from Pace), a the items ahead and n its own, a newcomer is expected to end at
 *
 *     now + |d - e| + d + max(0, a + n - f) / r
 *
 * |d - e| is what is left of the oldest call, or, once it is overdue by x, another x: a stall is noticed while it
 * lasts. It is shed if that is later than its deadline, or than `bound` after its arrival:
 *
 * - 2 x SLA (10 s while no SLA is known): a burst may use it up;
 * - 0.85 x SLA when the queue has not been empty for 2 x SLA: that is not a burst but lasting overload, and a queue
 *   kept at 2 x SLA would make every answer late, for ever. The one adaptive rule: first in, first out stays, since a
 *   queue bounded in time holds no work so old that newer work should overtake it (what LIFO is for), and dropping from
 *   the queue (CoDel) refuses late what can be refused at once. What a stall has aged is at most one bound of work;
 * - but at least 2 x the duration of a lone request: where that alone exceeds the SLA no shedding can meet it, and a
 *   target set too low must not turn into an outage.
 *
 * Before any batch has ended nothing is known but e, so d counts as 0: a newcomer is taken until the first call itself
 * is older than the bound. And whatever the estimate says, a request is taken that finds a free place: nothing that
 * could leave waits before it, and as a probe it corrects a wrong estimate, so pessimism cannot get stuck.
 */
export class Admission {
  readonly #sla: () => number | null;
  readonly #queueRequests: number;
  readonly #random: Random;
  readonly #pace: Pace;

  constructor(pace: Pace, options: AdmissionOptions) {
    this.#pace = pace;
    this.#sla = options.sla;
    this.#queueRequests = options.queueRequests;
    this.#random = options.random;
  }

  judge(request: Waiting, standing: Standing, nowMs: number): Verdict {
    if (request.deadlineMs <= nowMs) return this.shed('expired', 0);
    if (standing.queuedRequests >= this.#queueRequests)
      return this.shed('full', standing.aheadItems / this.#pace.itemsPerMs(standing.limitItems, nowMs));
    if (standing.hasFreePlace) return QUEUED;
    const waitMs = this.#expectedMs(request.items, standing, nowMs);
    const endMs = nowMs + waitMs;
    if (endMs <= request.deadlineMs && endMs <= request.arrivedMs + this.#boundMs(standing, nowMs)) return QUEUED;
    return this.shed('late', waitMs);
  }

  /** `drainMs`: when there may be room again; the answer is whole seconds between that (at least 1 s) and twice that plus 1 s. */
  shed(reason: ShedReason, drainMs: number): Verdict {
    const leastS = Math.min(RETRY_AFTER_LEAST_MAX_S, Math.max(1, drainMs / 1000));
    const retryAfterS = Math.floor(leastS + this.#random.next() * (leastS + 1));
    return { kind: 'shed', reason, retryAfterMs: 1000 * retryAfterS };
  }

  #expectedMs(items: number, standing: Standing, nowMs: number): number {
    const durationMs = this.#pace.durationMs ?? 0;
    // No call of this model in flight and yet no place: others hold them, and theirs are about as old as ours would be.
    const ageMs = standing.oldestStartedMs === null ? 0 : nowMs - standing.oldestStartedMs;
    const behindItems = standing.aheadItems + items - this.#pace.fillItems(standing.limitItems, nowMs);
    const queueMs = behindItems > 0 ? behindItems / this.#pace.itemsPerMs(standing.limitItems, nowMs) : 0;
    return Math.abs(durationMs - ageMs) + durationMs + queueMs;
  }

  #boundMs(standing: Standing, nowMs: number): number {
    const slaMs = this.#sla() ?? UNKNOWN_SLA_MS;
    const isLasting = standing.standingMs !== null && nowMs - standing.standingMs > BURST_RATIO * slaMs;
    return Math.max(slaMs * (isLasting ? OVERLOAD_RATIO : BURST_RATIO), 2 * (this.#pace.loneMs ?? 0));
  }
}
