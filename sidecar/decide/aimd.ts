// Clipper's rule: the batch grows by addition until the SLA is touched, then falls by multiplication.
import type { Decision } from '../../src/core/proposal.ts';
import { toBounds } from '../../src/core/policy.ts';
import { clampSettings, isSameSettings } from '../../src/core/settings.ts';
import type { ModelSnapshot } from '../../src/core/snapshot.ts';
import type { DecideContext, Decider } from './decider.ts';
import { hold, propose } from './decisions.ts';

const NAME = 'aimd';
/** Items added when batches fill and the p99 is within the SLA. */
const INCREASE_ITEMS = 2;
/** "A small multiplicative backoff of 10 %": Crankshaw et al., Clipper, NSDI 2017, section 4.3.1. */
const DECREASE_RATIO = 0.9;
/** Below this share of full batches a larger limit would not be felt. */
const FULL_RATIO_MIN = 0.1;
/** So many of the batches full, and a queue older than a call: the limit is too small for the load. */
const STARVED_RATIO = 0.5;
const ANSWERS_MIN = 50;

/**
 * batch += 2 while batches fill and p99 <= SLA; batch *= 0.9 when p99 > SLA; no delay, one call in flight, as in the paper.
 * One departure: where the p99 is over the SLA because requests queue for full batches, Clipper's decrease would lower the very capacity
 * that is missing and never end; there the batch grows instead.
 */
export const aimd: Decider = {
  name: NAME,
  decide(model: ModelSnapshot, { policy }: DecideContext): Decision {
    const { window, sla, version } = model;
    const current = version.settings;
    const { latency, queue, upstream } = window;
    const grow = { ...current, batchSize: current.batchSize + INCREASE_ITEMS, batchDelayMs: 0, concurrency: 1 };
    const shrink = { ...grow, batchSize: Math.max(1, Math.floor(current.batchSize * DECREASE_RATIO)) };
    const go = (settings: typeof grow, reason: string): Decision => {
      const bounded = clampSettings(settings, toBounds(policy, sla));
      return isSameSettings(bounded, current)
        ? hold(model, NAME, `${reason}, at the bound`)
        : propose(model, NAME, bounded, reason, policy);
    };
    if (latency === null || latency.count < ANSWERS_MIN) return hold(model, NAME, 'too few answers for a p99');
    if (sla.p99Ms === null) return hold(model, NAME, 'no SLA is known yet');
    const fullRatio = window.departures.full / Math.max(1, window.batches);
    if (latency.p99Ms > sla.p99Ms) {
      const isStarved = fullRatio > STARVED_RATIO && (queue?.p99Ms ?? 0) > (upstream?.p99Ms ?? Infinity);
      return isStarved
        ? go(grow, 'over the SLA with full batches and a queue: more capacity')
        : go(shrink, 'over the SLA: 10 % smaller');
    }
    if (fullRatio < FULL_RATIO_MIN) return hold(model, NAME, 'batches do not fill');
    return go(grow, 'within the SLA and batches fill: two more');
  },
};
