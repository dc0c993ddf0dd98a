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
  /** Batches of other keys that leave before its own, estimated. */
  readonly aheadKeys: number;
  /** Arrival of the head of the queue it joins; null when none of its key waits. */
  readonly oldestArrivedMs: number | null;
  /** A batch ready now would leave now. */
  readonly hasFreePlace: boolean;
  /** Start of the oldest call in flight; null when none is. */
  readonly oldestStartedMs: number | null;
  readonly limitItems: number;
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
/** Of a time that must hold; the rest is for the error of the estimate, which would land beyond it. */
const MARGIN_RATIO = 0.85;
const RETRY_AFTER_LEAST_MAX_S = 15;

const QUEUED: Verdict = Object.freeze({ kind: 'queued' });

/**
 * A newcomer of n items that finds a items and k keys ahead is expected to end at
 *
 *     now + |d - e| + (j - 1) i + D,   j = ceil(max((a + n) / f, k + 1)),   D = D(min(f, a + n))
 *
 * d: mean batch duration, D(.): duration by size, f: items a batch takes when more wait, i: time between departures
 * under pressure, D(a / (j - 1)) while unknown (all from Pace); e: age of the oldest call in flight. |d - e| is what is left of that call, or, once it
 * is overdue by x, another x: a stall is noticed while it lasts. It is shed if that is later than its deadline, or later
 * than `bound` after its arrival, or (j = 1) after the arrival of the oldest in the batch that it would make longer:
 *
 * - 2 x SLA (10 s while no SLA is known): a burst may use it up;
 * - 0.85 x SLA (or of its deadline, if sooner) when for 2 x SLA batches have left full with more behind them: that is
 *   not a burst but lasting overload, larger batches cannot help any more, and a queue kept at 2 x SLA would make every
 *   answer late, for ever. But never less than full batches need, (i + D(f)) / 0.85: smaller ones only slow the engine.
 *   This is the one adaptive rule. First in, first out stays, since a queue bounded in time holds no work so old that
 *   newer work should overtake it (what LIFO is for), and dropping from the queue (CoDel) refuses late what can be
 *   refused at once. What a stall has aged is at most one bound of work;
 * - where a lone request alone takes longer than the SLA, no shedding can meet it, and a target set too low must not turn
 *   into an outage: then the bound is what full batches need, and at least two lone requests.
 *
 * Before any batch has ended nothing is known but e, so d and D count as 0: a newcomer is taken until the first call
 * itself is older than the bound. And whatever the estimate says, a request is taken that finds a free place: nothing
 * that could leave waits before it, and as a probe it corrects a wrong estimate, so pessimism cannot get stuck.
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
    const isFull = standing.queuedRequests >= this.#queueRequests;
    if (standing.hasFreePlace && !isFull) return QUEUED;

    const { limitItems } = standing;
    const fillItems = this.#pace.fillItems(limitItems, nowMs);
    const turn = Math.ceil(Math.max((standing.aheadItems + request.items) / fillItems, standing.aheadKeys + 1));
    const ownItems = Math.min(fillItems, standing.aheadItems + request.items);
    // Where no capacity is known yet the batches ahead are guessed by what they can hold, which is no more than what
    // waits: sixteen callers of sixteen keys are sixteen small batches and not sixteen full ones.
    const turnItems = Math.min(limitItems, Math.max(1, standing.aheadItems / Math.max(1, turn - 1)));
    // No call of this model in flight and yet no place: others hold them, and theirs are about as old as ours would be.
    const ageMs = standing.oldestStartedMs === null ? 0 : nowMs - standing.oldestStartedMs;
    const waitMs =
      Math.abs((this.#pace.durationMs ?? 0) - ageMs) + (turn - 1) * this.#pace.intervalMs(turnItems, nowMs);
    if (isFull) return this.shed('full', waitMs);

    const endMs = nowMs + waitMs + this.#pace.durationOfMs(ownItems);
    const patienceMs = request.deadlineMs - request.arrivedMs;
    const boundMs = this.#boundMs(patienceMs, limitItems, fillItems, nowMs);
    // It must not make late those whose batch it joins either.
    const sinceMs = turn === 1 ? Math.min(request.arrivedMs, standing.oldestArrivedMs ?? Infinity) : request.arrivedMs;
    if (endMs <= request.deadlineMs && endMs <= sinceMs + boundMs) return QUEUED;
    return this.shed('late', waitMs);
  }

  /** `drainMs`: when there may be room again; the answer is whole seconds between that (at least 1 s) and twice that plus 1 s. */
  shed(reason: ShedReason, drainMs: number): Verdict {
    const leastS = Math.min(RETRY_AFTER_LEAST_MAX_S, Math.max(1, drainMs / 1000));
    const retryAfterS = Math.floor(leastS + this.#random.next() * (leastS + 1));
    return { kind: 'shed', reason, retryAfterMs: 1000 * retryAfterS };
  }

  #boundMs(patienceMs: number, limitItems: number, fillItems: number, nowMs: number): number {
    const slaMs = this.#sla() ?? UNKNOWN_SLA_MS;
    const fullMs = (this.#pace.intervalMs(limitItems, nowMs) + this.#pace.durationOfMs(fillItems)) / MARGIN_RATIO;
    const loneMs = this.#pace.loneMs ?? 0;
    const burstMs = loneMs > slaMs ? Math.max(2 * loneMs, fullMs) : BURST_RATIO * slaMs;
    if (this.#pace.saturatedForMs(nowMs) <= burstMs) return burstMs;
    return Math.min(burstMs, Math.max(MARGIN_RATIO * Math.min(slaMs, patienceMs), fullMs));
  }
}
