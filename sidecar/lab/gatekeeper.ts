// The agent's admission in front of a replay: the lane's own `Admission` and `Pace`, told what the lane would tell them.
import { createRandom } from '../../src/core/random.ts';
import type { EndedReplayBatch, Gatekeeper, Replay } from '../../src/model/replay.ts';
import { Admission } from '../proxy/admit.ts';
import { Pace } from '../proxy/pace.ts';

/** A hard stop behind the bound in time, the agent's default. */
export const QUEUE_REQUESTS = 10_000;

/**
 * The parts of the lane that a replay does not have. The lane's account of pressure (`pressedMs`: since when there have
 * been calls in flight without a break) is kept here in the same words, so that Pace learns the same.
 */
export class LaneGatekeeper implements Gatekeeper {
  readonly #pace = new Pace();
  readonly #admission: Admission;
  readonly #request = {
    key: '',
    items: 1,
    isBatchable: true,
    arrivedMs: 0,
    deadlineMs: Infinity,
    priority: 1,
  };
  readonly #standing = {
    queuedRequests: 0,
    aheadItems: 0,
    aheadKeys: 0,
    oldestArrivedMs: null as number | null,
    hasFreePlace: false,
    oldestStartedMs: null as number | null,
    limitItems: 1,
  };
  #pressedMs: number | null = null;

  constructor(slaMs: number | null) {
    this.#admission = new Admission(this.#pace, {
      sla: () => slaMs,
      queueRequests: QUEUE_REQUESTS,
      // Only Retry-After draws from it, which nobody here reads.
      random: createRandom(0),
    });
  }

  admits(replay: Replay, index: number, headIndex: number, nowMs: number): boolean {
    const { hasFreePlace, queuedRequests } = replay;
    // Most arrivals of a calm run end here, before anything is looked up.
    if (hasFreePlace && queuedRequests < QUEUE_REQUESTS) return true;
    this.#request.arrivedMs = nowMs;
    this.#request.items = replay.sizeOf(index);
    this.#standing.queuedRequests = queuedRequests;
    this.#standing.aheadItems = replay.queuedItems;
    this.#standing.oldestArrivedMs = headIndex < 0 ? null : replay.arrivalMs(headIndex);
    this.#standing.hasFreePlace = hasFreePlace;
    this.#standing.oldestStartedMs = replay.oldestStartedMs;
    this.#standing.limitItems = replay.limitItems;
    return this.#admission.judge(this.#request, this.#standing, nowMs).kind === 'queued';
  }

  started(isFull: boolean, leftOthers: boolean, nowMs: number): void {
    this.#pressedMs ??= nowMs;
    if (leftOthers && isFull) this.#pace.saturated(nowMs);
  }

  ended(batch: EndedReplayBatch, running: number, nowMs: number): void {
    this.#pace.finished(batch, 'success', this.#pressedMs ?? batch.startedMs, nowMs);
    if (running === 0) this.#pressedMs = null;
  }
}
